"""LockSnapshot."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.shapes.lock import LockShape, show_lock
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots import lock_queries
from lamina.control.snapshots.errors import (
    CoolOffError,
    CoolOffOverError,
    LockDurationError,
    SnapshotNotFoundError,
    SnapshotNotLockableError,
)
from lamina.control.snapshots.lock import NewLock
from lamina.control.snapshots.lock import lock_snapshot as lock
from lamina.ids import RegionId, SnapshotId

_DAYS: Final = (1, 36_500)
_HOURS: Final = (0, 72)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSnapshotRequest:
    """Parameters."""

    region_id: RegionId
    snapshot_id: SnapshotId
    lock_mode: str = param(choices=("compliance",), malformed=Code(400, "InvalidLockMode.Malformed"))
    lock_duration: int = param(between=_DAYS)
    cool_off_period: int = param(between=_HOURS)
    client_token: str | None = param(default=None, check=rules.check_client_token)
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSnapshotAnswer:
    """The lock as it is now."""

    locked_snapshot_info: LockShape


@action(
    kind=Kind.WRITES,
    raises=(
        SnapshotNotFoundError,
        SnapshotNotLockableError,
        CoolOffError,
        CoolOffOverError,
        LockDurationError,
    ),
    resource="snapshot_id",
    not_offered={
        "there are no shared snapshots, and none that other products manage": (
            "InvalidOperation.LockSharedSnapshotUnsupported",
            "InvalidOperation.ResourceManagedByCloudProduct",
        ),
    },
)
def lock_snapshot(_call: Call, scope: Scope, request: LockSnapshotRequest) -> LockSnapshotAnswer:
    """Lock a snapshot so that nobody can delete it, or make its lock longer."""
    new = NewLock(
        snapshot_id=request.snapshot_id,
        duration_days=request.lock_duration,
        cool_off_hours=request.cool_off_period,
    )
    view = lock_queries.show_lock(lock(scope, new), scope.clock.now())
    return LockSnapshotAnswer(locked_snapshot_info=show_lock(view))
