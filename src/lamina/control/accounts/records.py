"""The tables of accounts, of what happened to them, and of access keys."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.states import (
    STANDING_TRANSITIONS,
    AccountEventKind,
    AccountStanding,
    KeyRole,
)
from lamina.database import Record, one_of
from lamina.ids import AccessKeyId, AccountId, RegionId


class AccountRecord(Record):
    """Who owns resources.

    Attributes:
        name: for people.
        standing: whether the account may use the service.
    """

    __tablename__ = "accounts"
    __table_args__ = (Index("ix_accounts_standing", "standing"),)

    id: Mapped[AccountId] = mapped_column(primary_key=True)
    name: Mapped[str]
    standing: Mapped[AccountStanding] = mapped_column(one_of(AccountStanding))
    created_at: Mapped[datetime]

    def move_to(self, standing: AccountStanding) -> None:
        """Change the standing; a change that the table of standings does not have is a bug."""
        known = STANDING_TRANSITIONS[self.standing]
        assert standing in known, f"account {self.id}: {self.standing.value} to {standing.value}"
        self.standing = standing


class AccountEventRecord(Record):
    """Something that was done to an account or its resources and not asked for by it: its standing, what was deleted.

    Attributes:
        id: the account and the number, so that it sorts.
        number: counts the events of the account, from 1 on.
        at: when; never before that of the event before it.
        subject: the new standing, or the id of what was deleted.
        region_id: where that was; None for standings.
        name: of what was deleted.
        by: who did it, such as `service` or `operator`.
        reason: why.
    """

    __tablename__ = "account_events"
    __table_args__ = (Index("ix_account_events_account", "account_id", "at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    number: Mapped[int]
    at: Mapped[datetime]
    kind: Mapped[AccountEventKind] = mapped_column(one_of(AccountEventKind))
    subject: Mapped[str]
    region_id: Mapped[RegionId | None]
    name: Mapped[str | None]
    by: Mapped[str]
    reason: Mapped[str]


class AccessKeyRecord(Record):
    """What signs an account's requests.

    Attributes:
        sealed_secret: the secret, sealed by the vault for this key's id.
        role: what they may do.
        is_enabled: whether requests signed with it are let in.
        expires_at: from when on they are not, in any case; None is never.
    """

    __tablename__ = "access_keys"

    id: Mapped[AccessKeyId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id), index=True)
    sealed_secret: Mapped[bytes]
    role: Mapped[KeyRole] = mapped_column(one_of(KeyRole))
    is_enabled: Mapped[bool]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
