"""What becomes of a disk's snapshots when the disk goes (FAQ: automatic snapshots and the release of disks)."""

import contextlib

from sqlalchemy import select

from lamina.control.disks.records import DiskRecord
from lamina.control.scope import Scope
from lamina.control.snapshots.delete import cancel_capture, delete_snapshot, require_cancellable
from lamina.control.snapshots.errors import SnapshotLockedError
from lamina.control.snapshots.queries import find_unfinished
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.failures import Refusal


def release_automatic_snapshots(scope: Scope, disk: DiskRecord) -> None:
    """Start deleting the automatic snapshots of a disk that goes, if the disk says so; manual ones always stay.

    An automatic snapshot that images or other disks were made from stays, too, until its own retention ends.
    """
    if not disk.delete_auto_snapshot:
        return
    automatic = scope.session.scalars(
        select(SnapshotRecord.id).where(
            SnapshotRecord.account_id == scope.account_id,
            SnapshotRecord.region_id
            == disk.region_id,  # copies elsewhere are there for when the disk is gone
            SnapshotRecord.disk_id == disk.id,
            SnapshotRecord.kind == SnapshotKind.AUTO,
            SnapshotRecord.state.in_((SnapshotState.ACCOMPLISHED, SnapshotState.FAILED)),
        )
    ).all()
    for snapshot_id in automatic:
        with contextlib.suppress(Refusal):  # it is held, or it is being read at this moment
            delete_snapshot(scope, snapshot_id)


def cancel_unfinished_snapshot(scope: Scope, disk: DiskRecord) -> None:
    """A snapshot that is being created when its disk is released goes with the disk, whoever asked for it.

    Nothing can use it yet, beside the image that it is created for, which cannot be finished either. One that is
    locked, or is made together with a locked one, is finished all the same, and the disk goes then.
    """
    unfinished = find_unfinished(scope, disk.id)
    if unfinished is not None and unfinished.state is SnapshotState.PROGRESSING:
        with contextlib.suppress(SnapshotLockedError):
            require_cancellable(scope, unfinished)
            cancel_capture(scope, unfinished)
