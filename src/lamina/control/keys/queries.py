"""Looking keys up."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.keys.errors import KeyDestroyedError, KeyNotEnabledError, KeyNotFoundError
from lamina.control.keys.records import KeyRecord
from lamina.control.keys.states import KeyState
from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope
from lamina.ids import KeyId


def get_key(scope: Scope, key_id: KeyId) -> KeyRecord:
    """One key of the account in the scope's region.

    Raises:
        KeyNotFoundError: there is none, or it was destroyed.
    """
    key = scope.session.get(KeyRecord, key_id)
    if key is None or (key.account_id, key.region_id) != (scope.account_id, scope.region_id):
        raise KeyNotFoundError(key_id)
    if key.state is KeyState.DESTROYED:
        raise KeyNotFoundError(key_id)
    return key


def find_usable_key(scope: Scope, key_id: KeyId) -> KeyRecord:
    """One key of the account in the scope's region with which something new may be sealed.

    Raises:
        KeyNotFoundError: there is none, or it was destroyed.
        KeyNotEnabledError: it is disabled, or going to be deleted.
    """
    key = get_key(scope, key_id)
    if key.state is not KeyState.ENABLED:
        raise KeyNotEnabledError(key_id, key.state)
    return key


def require_enabled(session: Session, key_id: KeyId | None) -> None:
    """Refuse work on what a key protects unless it is enabled; None is what no key of an account protects.

    Raises:
        KeyNotEnabledError: it is disabled, or going to be deleted.
        KeyDestroyedError: it was destroyed.
    """
    if key_id is None:
        return
    key = session.get_one(KeyRecord, key_id)
    if key.state is KeyState.DESTROYED:
        raise KeyDestroyedError(key_id)
    if key.state is not KeyState.ENABLED:
        raise KeyNotEnabledError(key_id, key.state)


def list_keys(scope: Scope, part: Slice) -> Page[KeyRecord]:
    """The keys of the account in the region, newest first."""
    query = select(KeyRecord).where(
        KeyRecord.account_id == scope.account_id,
        KeyRecord.region_id == scope.region_id,
        KeyRecord.state != KeyState.DESTROYED,
    )
    order = AgeOrder(created_at=KeyRecord.created_at, id=KeyRecord.id)
    keys, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=tuple(keys),
        total_count=total,
        next_key=PageKey(created_at=keys[-1].created_at, id=keys[-1].id) if has_more else None,
    )
