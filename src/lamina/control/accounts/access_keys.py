"""Access keys: made, looked up, rotated, disabled, deleted. What happens to a key counts from the next call on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.accounts.errors import AccessKeyNotFoundError, AccountNotFoundError
from lamina.control.accounts.records import AccessKeyRecord, AccountRecord
from lamina.control.accounts.states import AccountStanding, KeyRole
from lamina.control.root_key import Vault
from lamina.ids import AccessKeyId, AccountId, mint_access_key_id, mint_secret

# Runs for every call. Columns instead of records, and built once: a third of the time.
_KEY_WITH_STANDING: Final = (
    select(
        AccessKeyRecord.id,
        AccessKeyRecord.sealed_secret,
        AccessKeyRecord.account_id,
        AccessKeyRecord.role,
        AccessKeyRecord.is_enabled,
        AccessKeyRecord.expires_at,
        AccountRecord.standing,
    )
    .join(AccountRecord, AccountRecord.id == AccessKeyRecord.account_id)
    .where(AccessKeyRecord.id == bindparam("access_key_id"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """An access key with its secret in clear, as long as a request is checked or a new key is handed out.

    Attributes:
        id: what the client sends.
        secret: what the client signs with; never logged.
        account_id: whose key it is.
        role: what its calls may do.
        is_enabled: whether it may be used.
        expires_at: from when on it may not, in any case; None is never.
        standing: the account's.
    """

    id: AccessKeyId
    secret: str = field(repr=False)
    account_id: AccountId
    role: KeyRole
    is_enabled: bool
    expires_at: datetime | None
    standing: AccountStanding

    def is_usable(self, now: datetime) -> bool:
        """Whether calls signed with it are let in at this instant."""
        return self.is_enabled and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that is about to be stored.

    Attributes:
        id: what the client will send.
        secret: what it will sign with.
        role: what its calls will be allowed.
    """

    id: AccessKeyId = field(default_factory=mint_access_key_id)
    secret: str = field(default_factory=mint_secret, repr=False)
    role: KeyRole = KeyRole.ADMINISTRATOR


def add_access_key(
    session: Session, vault: Vault, clock: Clock, account_id: AccountId, key: NewKey | None = None
) -> AccessKey:
    """Give an account one more key: a fresh one for an administrator, or `key`.

    Raises:
        AccountNotFoundError: there is no such account.
    """
    account = session.get(AccountRecord, account_id)
    if account is None:
        raise AccountNotFoundError(account_id)
    key = key or NewKey()
    record = AccessKeyRecord(
        id=key.id,
        account_id=account_id,
        sealed_secret=vault.seal(key.secret, owner=key.id),
        role=key.role,
        is_enabled=True,
        created_at=clock.now(),
    )
    session.add(record)
    session.flush()
    return _show(record, account, key.secret)


def find_access_key(session: Session, vault: Vault, access_key_id: AccessKeyId) -> AccessKey | None:
    """The key with this id, whoever owns it; the caller knows nothing but the id yet.

    Raises:
        Corruption: the stored secret does not open.
    """
    found = session.execute(_KEY_WITH_STANDING, {"access_key_id": access_key_id}).one_or_none()
    if found is None:
        return None
    key_id, sealed_secret, account_id, role, is_enabled, expires_at, standing = found
    return AccessKey(
        id=key_id,
        secret=vault.open(sealed_secret, owner=key_id),
        account_id=account_id,
        role=role,
        is_enabled=is_enabled,
        expires_at=expires_at,
        standing=standing,
    )


def list_access_keys(session: Session, account_id: AccountId | None = None) -> Sequence[AccessKeyRecord]:
    """The keys of an account, or of all accounts, oldest first."""
    query = select(AccessKeyRecord).order_by(AccessKeyRecord.created_at, AccessKeyRecord.id)
    if account_id is not None:
        query = query.where(AccessKeyRecord.account_id == account_id)
    return session.scalars(query).all()


def rotate_access_key(
    session: Session, vault: Vault, clock: Clock, access_key_id: AccessKeyId, *, overlap: timedelta
) -> AccessKey:
    """A fresh key with the account and the role of an old one, which stays usable for a while.

    Args:
        session: of the caller's transaction.
        vault: seals the new secret.
        clock: from now on the overlap counts.
        access_key_id: the old key.
        overlap: for how long both may be used, so that no client is cut off before it has the new one.

    Raises:
        AccessKeyNotFoundError: there is no such key.
    """
    old = _get(session, access_key_id)
    until = clock.now() + overlap
    old.expires_at = until if old.expires_at is None else min(until, old.expires_at)
    return add_access_key(session, vault, clock, old.account_id, NewKey(role=old.role))


def disable_access_key(session: Session, access_key_id: AccessKeyId) -> None:
    """Let nothing in that is signed with this key any more; disabling twice does no harm.

    Raises:
        AccessKeyNotFoundError: there is no such key.
    """
    _get(session, access_key_id).is_enabled = False


def enable_access_key(session: Session, access_key_id: AccessKeyId) -> None:
    """Let calls in again that are signed with this key; one that was rotated out does not end any more.

    Raises:
        AccessKeyNotFoundError: there is no such key.
    """
    record = _get(session, access_key_id)
    record.is_enabled, record.expires_at = True, None


def delete_access_key(session: Session, access_key_id: AccessKeyId) -> None:
    """Forget a key and its secret, for good.

    Raises:
        AccessKeyNotFoundError: there is no such key.
    """
    session.delete(_get(session, access_key_id))
    session.flush()


def _get(session: Session, access_key_id: AccessKeyId) -> AccessKeyRecord:
    record = session.get(AccessKeyRecord, access_key_id)
    if record is None:
        raise AccessKeyNotFoundError(access_key_id)
    return record


def _show(record: AccessKeyRecord, account: AccountRecord, secret: str) -> AccessKey:
    return AccessKey(
        id=record.id,
        secret=secret,
        account_id=account.id,
        role=record.role,
        is_enabled=record.is_enabled,
        expires_at=record.expires_at,
        standing=account.standing,
    )
