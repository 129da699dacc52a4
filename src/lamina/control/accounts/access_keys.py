"""Access keys: made, looked up, disabled."""

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.accounts.errors import AccessKeyNotFoundError, AccountNotFoundError
from lamina.control.accounts.records import AccessKeyRecord, AccountRecord
from lamina.control.accounts.states import AccountStanding
from lamina.control.root_key import Vault
from lamina.ids import AccessKeyId, AccountId, mint_access_key_id, mint_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """An access key with its secret in clear, as long as a request is checked or a new key is handed out.

    Attributes:
        id: what the client sends.
        secret: what the client signs with; never logged.
        account_id: whose key it is.
        is_enabled: whether it may be used.
        standing: the account's.
    """

    id: AccessKeyId
    secret: str = field(repr=False)
    account_id: AccountId
    is_enabled: bool
    standing: AccountStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """The two halves of a key that is about to be stored."""

    id: AccessKeyId = field(default_factory=mint_access_key_id)
    secret: str = field(default_factory=mint_secret, repr=False)


def add_access_key(
    session: Session, vault: Vault, clock: Clock, account_id: AccountId, key: NewKey | None = None
) -> AccessKey:
    """Give an account one more key: a fresh one, or `key`.

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
    found = session.execute(
        select(AccessKeyRecord, AccountRecord)
        .join(AccountRecord, AccountRecord.id == AccessKeyRecord.account_id)
        .where(AccessKeyRecord.id == access_key_id)
    ).one_or_none()
    if found is None:
        return None
    record, account = found
    return _show(record, account, vault.open(record.sealed_secret, owner=record.id))


def disable_access_key(session: Session, account_id: AccountId, access_key_id: AccessKeyId) -> None:
    """Let nothing in that is signed with this key any more; disabling twice does no harm.

    Raises:
        AccessKeyNotFoundError: the account has no such key.
    """
    record = session.get(AccessKeyRecord, access_key_id)
    if record is None or record.account_id != account_id:
        raise AccessKeyNotFoundError(access_key_id)
    record.is_enabled = False


def _show(record: AccessKeyRecord, account: AccountRecord, secret: str) -> AccessKey:
    return AccessKey(
        id=record.id,
        secret=secret,
        account_id=account.id,
        is_enabled=record.is_enabled,
        standing=account.standing,
    )
