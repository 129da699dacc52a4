"""Copying a snapshot onto a disk, as a step of a task does it."""

from lamina.control.disks.volumes import Volume
from lamina.control.installation import Installation
from lamina.control.snapshots.stored import find_repository
from lamina.engine.repository import Repository, SnapshotNotFoundError
from lamina.failures import Corruption
from lamina.ids import SnapshotId
from lamina.tasks.context import StepContext
from lamina.transfer.progress import Progress
from lamina.transfer.restore import RestoreRequest, restore


def open_data(plant: Installation, snapshot_id: SnapshotId) -> Repository:
    """The repository that holds a snapshot's data, after a look at its manifest.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: the snapshot's key cannot be used now.
        Corruption: the repository or the manifest is not there although the snapshot is accomplished.
        Fault: the store failed.
    """
    repository = find_repository(plant, snapshot_id)
    if repository is None:
        raise Corruption(f"the data of snapshot {snapshot_id} is gone: its region has no repository")
    try:
        repository.read_manifest(snapshot_id)
    except SnapshotNotFoundError as error:
        raise Corruption(f"the data of snapshot {snapshot_id} is gone from its repository") from error
    return repository


def copy_to_disk(
    repository: Repository,
    snapshot_id: SnapshotId,
    target: Volume,
    context: StepContext,
    workers: int,
) -> None:
    """Make a disk hold the bytes of a snapshot, and zeros behind them; what it holds already is not written again.

    Raises:
        Cancelled: the step was told to stop; the disk is half written.
        Corruption: the snapshot is damaged.
        Fault: the store or the disk failed.
    """
    progress = Progress()

    def read() -> tuple[int, int]:
        reading = progress.read()
        return reading.done_bytes, reading.known_bytes

    with context.following(read, progress.cancel):
        result = restore(repository, snapshot_id, target, RestoreRequest(workers=workers), progress)
    context.check()
    if target.size_bytes > result.size_bytes:  # the disk was made larger than the snapshot's
        target.punch(result.size_bytes, target.size_bytes - result.size_bytes)
        target.flush()
