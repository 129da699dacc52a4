"""UnlockSnapshot."""

from dataclasses import dataclass

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import CoolOffOverError, LockNotFoundError, SnapshotNotFoundError
from lamina.control.snapshots.lock import unlock_snapshot as unlock
from lamina.ids import RegionId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockSnapshotRequest:
    """Parameters."""

    region_id: RegionId
    snapshot_id: SnapshotId
    client_token: str | None = param(default=None, check=rules.check_client_token)
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockSnapshotAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(SnapshotNotFoundError, LockNotFoundError, CoolOffOverError),
    resource="snapshot_id",
)
def unlock_snapshot(_call: Call, scope: Scope, request: UnlockSnapshotRequest) -> UnlockSnapshotAnswer:
    """Take the lock off a snapshot within its cool-off period."""
    unlock(scope, request.snapshot_id)
    return UnlockSnapshotAnswer()
