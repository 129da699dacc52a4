"""Enable and disable keys, and schedule or cancel their deletion."""

from datetime import timedelta

from lamina.control.keys.errors import KeyDeletionDueError, KeyStateError, ServiceKeyError
from lamina.control.keys.queries import get_key
from lamina.control.keys.records import KeyRecord
from lamina.control.keys.states import KeyOrigin, KeyState
from lamina.control.scope import Scope
from lamina.ids import KeyId


def enable_key(scope: Scope, key_id: KeyId) -> None:
    """Let a key be used; nothing happens if it may be already.

    Raises:
        KeyNotFoundError: the account has no such key in the region.
        ServiceKeyError: it is the service's own.
        KeyStateError: it is going to be deleted.
    """
    key = _get_own(scope, key_id)
    if key.state is KeyState.PENDING_DELETION:
        raise KeyStateError(key_id, key.state, "cancel its deletion, which enables it")
    if key.state is KeyState.DISABLED:
        key.move_to(KeyState.ENABLED)


def disable_key(scope: Scope, key_id: KeyId) -> None:
    """Keep a key from being used; nothing is lost. Nothing happens if it is disabled already.

    Raises:
        KeyNotFoundError: the account has no such key in the region.
        ServiceKeyError: it is the service's own.
        KeyStateError: it is going to be deleted.
    """
    key = _get_own(scope, key_id)
    if key.state is KeyState.PENDING_DELETION:
        raise KeyStateError(key_id, key.state, "it is as good as disabled already")
    if key.state is KeyState.ENABLED:
        key.move_to(KeyState.DISABLED)


def schedule_deletion(scope: Scope, key_id: KeyId, days: int) -> KeyRecord:
    """Have a key destroyed when `days` have passed; until then it cannot be used, and can be saved.

    Raises:
        KeyNotFoundError: the account has no such key in the region.
        ServiceKeyError: it is the service's own.
        KeyStateError: its deletion is scheduled already.
    """
    key = _get_own(scope, key_id)
    if key.state is KeyState.PENDING_DELETION:
        raise KeyStateError(key_id, key.state, "cancel its deletion before you choose another time")
    key.move_to(KeyState.PENDING_DELETION)
    key.deletes_at = scope.clock.now() + timedelta(days=days)
    return key


def cancel_deletion(scope: Scope, key_id: KeyId) -> None:
    """Save a key whose waiting period is not over; it is enabled again.

    Raises:
        KeyNotFoundError: the account has no such key in the region.
        KeyStateError: its deletion is not scheduled.
        KeyDeletionDueError: it is too late.
    """
    key = _get_own(scope, key_id)
    if key.state is not KeyState.PENDING_DELETION or key.deletes_at is None:
        raise KeyStateError(key_id, key.state, "its deletion is not scheduled")
    if key.deletes_at <= scope.clock.now():
        raise KeyDeletionDueError(key_id, key.deletes_at)
    key.move_to(KeyState.ENABLED)
    key.deletes_at = None


def _get_own(scope: Scope, key_id: KeyId) -> KeyRecord:
    key = get_key(scope, key_id)
    if key.origin is KeyOrigin.SERVICE:
        raise ServiceKeyError(key_id)
    return key
