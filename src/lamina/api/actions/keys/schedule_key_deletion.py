"""ScheduleKeyDeletion: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.keys.errors import KeyNotFoundError, KeyStateError, ServiceKeyError
from lamina.control.keys.modify import schedule_deletion
from lamina.control.scope import Scope
from lamina.ids import KeyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleKeyDeletionRequest:
    """Parameters."""

    region_id: RegionId
    key_id: KeyId
    pending_window_in_days: int = param(between=(7, 366))
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleKeyDeletionAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        KeyNotFoundError,
        KeyStateError,
        ServiceKeyError,
    ),
    resource="key_id",
)
def schedule_key_deletion(
    _call: Call, scope: Scope, request: ScheduleKeyDeletionRequest
) -> ScheduleKeyDeletionAnswer:
    """Have a key deleted after a waiting period, and with it everything that it protects."""
    schedule_deletion(scope, request.key_id, request.pending_window_in_days)
    return ScheduleKeyDeletionAnswer()
