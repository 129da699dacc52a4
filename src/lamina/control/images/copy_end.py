"""The end of the copying of an image: the copy can be used, or nothing is left of it."""

from collections.abc import Mapping

from lamina.control.images.delete import drop_image
from lamina.control.images.queries import list_image_disks
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import ImageState
from lamina.control.scope import Scope
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.holds import release_holds
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import start_removal
from lamina.control.snapshots.settle import Copied, settle_success
from lamina.control.snapshots.states import HolderKind, SnapshotState
from lamina.ids import SnapshotId


def finish_copy(scope: Scope, image: ImageRecord, copied: Mapping[SnapshotId, Copied]) -> None:
    """All data is there: the snapshots are accomplished and the image is `Available`."""
    for snapshot_id, measured in copied.items():
        snapshot = scope.session.get(SnapshotRecord, snapshot_id)
        assert snapshot is not None, "the image holds it"
        settle_success(scope.session, scope.clock, snapshot, measured)
    image.move_to(ImageState.AVAILABLE)
    scope.session.flush()


def fail_copy(scope: Scope, image: ImageRecord, reason: str) -> None:
    """The data is not there: the image says why, and has no snapshots any more."""
    _remove_snapshots(scope, image)
    image.move_to(ImageState.CREATE_FAILED)
    image.failure = reason
    scope.session.flush()


def drop_copy(scope: Scope, image: ImageRecord) -> None:
    """The copy is not wanted any more: its row goes, and so does what there is of its snapshots."""
    _remove_snapshots(scope, image)
    drop_image(scope, image)


def _remove_snapshots(scope: Scope, image: ImageRecord) -> None:
    """Have them removed by tasks of their own, which try again until the store has let go of the data."""
    release_holds(scope.session, HolderKind.IMAGE, image.id)
    for disk in list_image_disks(scope.session, image.id):
        snapshot_id, disk.snapshot_id = disk.snapshot_id, None
        snapshot = scope.session.get(SnapshotRecord, snapshot_id) if snapshot_id is not None else None
        if snapshot is not None and snapshot.state is not SnapshotState.DELETING:
            snapshot.move_to(SnapshotState.DELETING)
            start_removal(scope.session, scope.clock, snapshot)
            sum_up_chain(scope.session, snapshot, scope.clock.now())
    scope.session.flush()
