"""The tables of accounts and access keys."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.states import AccountStanding, KeyRole
from lamina.database import Record, one_of
from lamina.ids import AccessKeyId, AccountId


class AccountRecord(Record):
    """Who owns resources.

    Attributes:
        name: for people.
        standing: whether the account may use the service.
    """

    __tablename__ = "accounts"

    id: Mapped[AccountId] = mapped_column(primary_key=True)
    name: Mapped[str]
    standing: Mapped[AccountStanding] = mapped_column(one_of(AccountStanding))
    created_at: Mapped[datetime]


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
