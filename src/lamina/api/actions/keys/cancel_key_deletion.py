"""CancelKeyDeletion: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.keys.errors import KeyDeletionDueError, KeyNotFoundError, KeyStateError, ServiceKeyError
from lamina.control.keys.modify import cancel_deletion
from lamina.control.scope import Scope
from lamina.control.snapshots.chain import recount_chains
from lamina.ids import KeyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelKeyDeletionRequest:
    """Parameters."""

    region_id: RegionId
    key_id: KeyId
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelKeyDeletionAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        KeyNotFoundError,
        KeyStateError,
        KeyDeletionDueError,
        ServiceKeyError,
    ),
    resource="key_id",
)
def cancel_key_deletion(
    _call: Call, scope: Scope, request: CancelKeyDeletionRequest
) -> CancelKeyDeletionAnswer:
    """Save a key that is going to be deleted; it is enabled again."""
    cancel_deletion(scope, request.key_id)
    recount_chains(scope.session, request.key_id)
    return CancelKeyDeletionAnswer()
