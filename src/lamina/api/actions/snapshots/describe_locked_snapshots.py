"""DescribeLockedSnapshots."""

from dataclasses import dataclass
from typing import ClassVar

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.lock import LockShape, show_lock
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots.lock_queries import list_locks
from lamina.control.snapshots.states import LockState
from lamina.ids import RegionId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeLockedSnapshotsRequest:
    """Parameters; all filters must match."""

    region_id: RegionId
    snapshot_ids: tuple[SnapshotId, ...] | None = param(default=None, at_most=100)
    lock_status: str | None = param(
        default=None,
        choices=tuple(state.value for state in LockState),
        malformed=Code(400, "InvalidLockStatus.Malformed"),
    )
    dry_run: bool = False
    next_token: str | None = None
    max_results: int | None = None
    page_number: ClassVar[None] = None
    page_size: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeLockedSnapshotsAnswer:
    """One page of locks, newest first; the list has no wrapper here."""

    locked_snapshots_info: tuple[LockShape, ...]
    next_token: str


@action(
    kind=Kind.READS,
    answers=(INVALID_TOKEN,),
    not_offered={
        "a snapshot that is not locked is left out and is no error": ("InvalidSnapshotLock.NotFound",)
    },
)
def describe_locked_snapshots(
    call: Call, scope: Scope, request: DescribeLockedSnapshotsRequest
) -> DescribeLockedSnapshotsAnswer:
    """List the locks on snapshots; a lock that has expired is listed until its snapshot is deleted."""
    pager = call.pager()
    wanted = pager.read(request)
    state = LockState(request.lock_status) if request.lock_status else None
    page = list_locks(scope, request.snapshot_ids, state, wanted)
    return DescribeLockedSnapshotsAnswer(
        locked_snapshots_info=tuple(show_lock(view) for view in page.items),
        next_token=pager.describe(request, wanted, page).next_token,
    )
