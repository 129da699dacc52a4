"""Looking snapshots up. A snapshot that is being deleted is not found."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole
from lamina.control.keys.queries import require_enabled
from lamina.control.paging import Page, PageKey, Slice
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
)
from lamina.control.snapshots.holds import has_usage, list_usages
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import (
    SnapshotCategory,
    SnapshotKind,
    SnapshotState,
    SnapshotUsage,
)
from lamina.control.tags.listing import LongList, fetch_long_list
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import DiskId, InstanceId, KeyId, SnapshotId
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import ACTIVE

_ALL: Final = LongList(
    record=SnapshotRecord,
    resource_type=ResourceType.SNAPSHOT,
    id=SnapshotRecord.id,
    account_id=SnapshotRecord.account_id,
    region_id=SnapshotRecord.region_id,
    created_at=SnapshotRecord.created_at,
    is_gone=SnapshotRecord.state == SnapshotState.DELETING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFilter:
    """Which snapshots of the scope's account and region are wanted; what is None does not matter.

    Attributes:
        snapshot_ids: only these; an empty list matches nothing.
        instance_id: taken of disks that belong to this instance now.
        disk_id: taken of this disk, which may be gone. For a chain's id see `chain.find_disk_of_chain`.
        tags: key to value; None as a value matches any.
        created_from: not before this instant.
        created_to: not after this instant.
    """

    snapshot_ids: Sequence[SnapshotId] | None = None
    disk_id: DiskId | None = None
    name: str | None = None
    state: SnapshotState | None = None
    kind: SnapshotKind | None = None
    categories: Collection[SnapshotCategory] | None = None
    instance_id: InstanceId | None = None
    usage: SnapshotUsage | None = None
    disk_role: DiskRole | None = None
    is_encrypted: bool | None = None
    key_id: KeyId | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotView:
    """A snapshot with what is kept elsewhere about it.

    Attributes:
        snapshot: its row.
        usage: what was made from it.
        tags: its tags.
        progress_percent: how much of its data is copied, as measured; 100 only when it is accomplished.
        remaining_seconds: how long the rest takes at the speed so far; None when that is not known.
    """

    snapshot: SnapshotRecord
    usage: SnapshotUsage
    tags: Mapping[str, str]
    progress_percent: int
    remaining_seconds: int | None


def get_snapshot(scope: Scope, snapshot_id: SnapshotId) -> SnapshotRecord:
    """One snapshot of the account, in any region.

    Raises:
        SnapshotNotFoundError: the account has no such snapshot, or it is being deleted.
    """
    snapshot = scope.session.scalars(
        select(SnapshotRecord).where(
            SnapshotRecord.id == snapshot_id,
            SnapshotRecord.account_id == scope.account_id,
            SnapshotRecord.state != SnapshotState.DELETING,
        )
    ).one_or_none()
    if snapshot is None:
        raise SnapshotNotFoundError(snapshot_id)
    return snapshot


def require_ready(session: Session, snapshot: SnapshotRecord) -> None:
    """Let only a snapshot pass whose data can be read.

    Raises:
        SnapshotNotReadyError: it is not accomplished.
        KeyNotEnabledError, KeyDestroyedError: its key cannot be used now.
        SnapshotDataMissingError: the object store does not have it.
    """
    if snapshot.state is not SnapshotState.ACCOMPLISHED:
        raise SnapshotNotReadyError(snapshot.id, snapshot.state)
    require_enabled(session, snapshot.key_id)
    if snapshot.is_data_missing:
        raise SnapshotDataMissingError(snapshot.id)


def is_unfinished() -> ColumnElement[bool]:
    """A condition for a query of snapshots: it is being created of its disk, or its creation is being cancelled.

    Copies do not count: they are made from snapshots, and the disk does not matter to them.
    """
    is_cancelled = (
        select(TaskRecord.id)
        .where(
            TaskRecord.id == SnapshotRecord.task_id,
            TaskRecord.key != SnapshotRecord.id,  # otherwise its data is being removed
            TaskRecord.state.in_(ACTIVE),
        )
        .exists()
    )
    return and_(
        SnapshotRecord.source_snapshot_id.is_(None),
        or_(
            SnapshotRecord.state == SnapshotState.PROGRESSING,
            and_(SnapshotRecord.state == SnapshotState.DELETING, is_cancelled),
        ),
    )


def find_unfinished(scope: Scope, disk_id: DiskId) -> SnapshotRecord | None:
    """The snapshot of a disk that is being created, or whose creation is being cancelled; see `is_unfinished`."""
    return scope.session.scalars(
        select(SnapshotRecord).where(
            SnapshotRecord.account_id == scope.account_id, SnapshotRecord.disk_id == disk_id, is_unfinished()
        )
    ).first()


def list_snapshots(scope: Scope, wanted: SnapshotFilter, part: Slice) -> Page[SnapshotView]:
    """The snapshots of the account in the region that match, newest first."""
    snapshots, total, has_more = fetch_long_list(
        scope, _ALL, wanted.tags, _match(scope, wanted), part, filters=wanted
    )
    return Page(
        items=view_snapshots(scope, snapshots),
        total_count=total,
        next_key=PageKey(created_at=snapshots[-1].created_at, id=snapshots[-1].id) if has_more else None,
    )


def view_snapshots(scope: Scope, snapshots: Sequence[SnapshotRecord]) -> tuple[SnapshotView, ...]:
    """Snapshots with what is kept elsewhere about them, in their order."""
    ids = [snapshot.id for snapshot in snapshots]
    usages = list_usages(scope.session, ids)
    tags = list_tags(scope.session, ResourceType.SNAPSHOT, ids)
    running = [each.task_id for each in snapshots if each.state is SnapshotState.PROGRESSING]
    found = scope.session.scalars(select(TaskRecord).where(TaskRecord.id.in_(running))) if running else ()
    tasks = {task.id: task for task in found}
    views = []
    for snapshot in snapshots:
        task = tasks.get(snapshot.task_id) if snapshot.task_id is not None else None
        percent, remaining = measure_progress(snapshot.state, task, scope.clock)
        views.append(
            SnapshotView(
                snapshot=snapshot,
                usage=usages[snapshot.id],
                tags=tags[snapshot.id],
                progress_percent=percent,
                remaining_seconds=remaining,
            )
        )
    return tuple(views)


def measure_progress(state: SnapshotState, task: TaskRecord | None, clock: Clock) -> tuple[int, int | None]:
    """How far a snapshot is in percent, and how many seconds the rest takes at the speed so far."""
    if state is SnapshotState.ACCOMPLISHED:
        return 100, 0
    if task is None or task.started_at is None or task.progress_known == 0:
        return 0, None
    done, known = task.progress_done, task.progress_known
    percent = min(99, done * 100 // known)
    elapsed = (clock.now() - task.started_at).total_seconds()
    if done == 0 or elapsed <= 0:
        return percent, None
    return percent, round(elapsed * (known - done) / done)


def _match(scope: Scope, wanted: SnapshotFilter) -> list[ColumnElement[bool]]:
    plain = (
        (SnapshotRecord.disk_id, wanted.disk_id),
        (SnapshotRecord.name, wanted.name),
        (SnapshotRecord.state, wanted.state),
        (SnapshotRecord.kind, wanted.kind),
        (SnapshotRecord.disk_role, wanted.disk_role),
        (SnapshotRecord.key_id, wanted.key_id),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in plain if value is not None]
    if wanted.snapshot_ids is not None:
        conditions.append(SnapshotRecord.id.in_(wanted.snapshot_ids))
    if wanted.categories is not None:
        # a constant, where none is wanted: SQLite would look at every row to find that it is in an empty list
        is_wanted = SnapshotRecord.category.in_(wanted.categories) if wanted.categories else false()
        conditions.append(is_wanted)
    if wanted.instance_id is not None:
        # At most 17, by name: behind a subquery SQLite expects so many that it walks through all snapshots instead.
        disks = select(DiskRecord.id).where(DiskRecord.instance_id == wanted.instance_id)
        conditions.append(SnapshotRecord.disk_id.in_(scope.session.scalars(disks).all()))
    if wanted.is_encrypted is not None:
        has_key = SnapshotRecord.key_id.is_not(None)
        conditions.append(has_key if wanted.is_encrypted else ~has_key)
    if wanted.created_from is not None:
        conditions.append(SnapshotRecord.created_at >= wanted.created_from)
    if wanted.created_to is not None:
        conditions.append(SnapshotRecord.created_at <= wanted.created_to)
    if wanted.usage is not None:
        conditions += has_usage(scope.session, wanted.usage)
    return conditions
