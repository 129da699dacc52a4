"""Delete a snapshot, or cancel one that is being created."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import select

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.metering.log import Subject, note_size
from lamina.control.scope import Scope
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.errors import (
    SnapshotArchivingError,
    SnapshotBeingCopiedError,
    SnapshotBusyError,
    SnapshotHeldByDiskError,
    SnapshotHeldByImageError,
)
from lamina.control.snapshots.holds import list_holders
from lamina.control.snapshots.lock import require_unlocked
from lamina.control.snapshots.queries import get_snapshot
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import start_removal
from lamina.control.snapshots.states import HolderKind, SnapshotCategory, SnapshotState
from lamina.ids import SnapshotId
from lamina.tasks.queue import request_cancel

LEAST_ARCHIVED: Final = timedelta(days=60)
"""For how long an archived snapshot is billed at least, also if it is deleted before (ECS, Archive snapshots)."""


def delete_snapshot(scope: Scope, snapshot_id: SnapshotId, *, force: bool = False) -> None:
    """Delete a snapshot: it is gone for the account at once, and its data soon.

    One that is being created is cancelled; with a member of an unfinished group that is the whole group, so a lock on
    any of its members keeps them all. Images and locks hold a snapshot against any force; disks that were made from
    it only without. Images are named first, since they can be deleted at once, then locks, since force cannot help
    there.

    Raises:
        SnapshotNotFoundError: the account has no such snapshot.
        SnapshotHeldByImageError: images use it.
        SnapshotLockedError: it is locked, or another member of its unfinished group is.
        SnapshotHeldByDiskError: disks were made from it, and there is no `force`.
        SnapshotBusyError: a disk is being made from it or rolled back to it at this moment.
        SnapshotBeingCopiedError: an unfinished copy reads it.
        SnapshotArchivingError: it is being archived.
    """
    snapshot = get_snapshot(scope, snapshot_id)
    images = list_holders(scope.session, snapshot_id, HolderKind.IMAGE)
    if images:
        raise SnapshotHeldByImageError(snapshot_id, images)
    require_unlocked(scope.session, snapshot_id, scope.clock.now())
    disks = list_holders(scope.session, snapshot_id, HolderKind.DISK)
    if disks and not force:
        raise SnapshotHeldByDiskError(snapshot_id, disks)
    readers = _list_readers(scope, snapshot_id)
    if readers:
        raise SnapshotBusyError(snapshot_id, readers)
    copies = _list_copies(scope, snapshot_id)
    if copies:
        raise SnapshotBeingCopiedError(snapshot_id, copies)
    if snapshot.category is SnapshotCategory.ARCHIVING:
        raise SnapshotArchivingError(snapshot_id)
    if snapshot.state is SnapshotState.PROGRESSING:
        require_cancellable(scope, snapshot)
        cancel_capture(scope, snapshot)
        return
    snapshot.move_to(SnapshotState.DELETING)
    start_removal(scope.session, scope.clock, snapshot)
    _end_metering(scope, snapshot)
    sum_up_chain(scope.session, snapshot, scope.clock.now())


def _end_metering(scope: Scope, snapshot: SnapshotRecord) -> None:
    """Nobody pays for it any more; for an archived one when it has been archived for as long as is billed at least."""
    subject = Subject(
        snapshot_id=snapshot.id,
        disk_id=snapshot.disk_id,
        account_id=snapshot.account_id,
        region_id=snapshot.region_id,
    )
    note_size(scope.session, subject, None, scope.clock.now(), least_archived=LEAST_ARCHIVED)


def require_cancellable(scope: Scope, snapshot: SnapshotRecord) -> None:
    """Let only an unfinished snapshot pass that is not locked, and neither is what would be cancelled with it.

    Raises:
        SnapshotLockedError: a lock on one of them has not expired.
    """
    for snapshot_id in (snapshot.id, *_list_companions(scope, snapshot)):
        require_unlocked(scope.session, snapshot_id, scope.clock.now())


def cancel_capture(scope: Scope, snapshot: SnapshotRecord) -> None:
    """Stop the creation of a snapshot, whatever holds it; with several that are taken together, that of all of them.

    When the task has undone itself it drops the row, and if the wish came too late it starts the removal.
    """
    snapshot.move_to(SnapshotState.DELETING)
    is_active = snapshot.task_id is not None and request_cancel(scope.session, snapshot.task_id)
    if not is_active:
        start_removal(scope.session, scope.clock, snapshot)
    sum_up_chain(scope.session, snapshot, scope.clock.now())


def _list_companions(scope: Scope, snapshot: SnapshotRecord) -> Sequence[SnapshotId]:
    """What would be cancelled with an unfinished member of a group."""
    if snapshot.group_id is None:
        return ()
    return scope.session.scalars(
        select(SnapshotRecord.id)
        .where(
            SnapshotRecord.account_id == scope.account_id,
            SnapshotRecord.group_id == snapshot.group_id,
            SnapshotRecord.id != snapshot.id,
            SnapshotRecord.state == SnapshotState.PROGRESSING,
        )
        .order_by(SnapshotRecord.id)
    ).all()


def _list_copies(scope: Scope, snapshot_id: SnapshotId) -> Sequence[SnapshotId]:
    """Copies that are not finished."""
    return scope.session.scalars(
        select(SnapshotRecord.id)
        .where(
            SnapshotRecord.account_id == scope.account_id,
            SnapshotRecord.source_snapshot_id == snapshot_id,
            SnapshotRecord.state == SnapshotState.PROGRESSING,
        )
        .order_by(SnapshotRecord.id)
    ).all()


def _list_readers(scope: Scope, snapshot_id: SnapshotId) -> list[str]:
    """Disks whose bytes are being made from the snapshot."""
    creating = select(DiskRecord.id).where(
        DiskRecord.account_id == scope.account_id,
        DiskRecord.state == DiskState.CREATING,
        DiskRecord.source_snapshot_id == snapshot_id,
    )
    resetting = select(DiskRecord.id).where(
        DiskRecord.account_id == scope.account_id,
        DiskRecord.state == DiskState.REINITING,
        DiskRecord.reset_snapshot_id == snapshot_id,
    )
    return sorted({*scope.session.scalars(creating), *scope.session.scalars(resetting)})
