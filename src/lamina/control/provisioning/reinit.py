"""Bring a disk back to how it was made (ReInitDisk): empty, or with the bytes of its source snapshot or its image.

As with rolling back, the snapshot is looked at before the first byte changes, and from then on there is only the way
forward.
"""

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.copying import open_data
from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskNeverUsedError,
    NotAttachedError,
    SourceSnapshotGoneError,
)
from lamina.control.disks.host import find_host, require_host_stopped
from lamina.control.disks.queries import get_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.disks.unlock import open_volume
from lamina.control.images.queries import find_usable_image
from lamina.control.installation import Installation
from lamina.control.keys.queries import require_enabled
from lamina.control.provisioning.idle import require_idle
from lamina.control.provisioning.sources import DiskToMake, describe_task, empty_disk, fill_disk
from lamina.control.provisioning.start import start_instance
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotNotFoundError
from lamina.control.snapshots.queries import get_snapshot, require_ready
from lamina.failures import Refusal
from lamina.ids import AccountId, DiskId, InstanceId, RegionId, TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import COPY, Step, TaskKind

_WRITE: Final = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinitArguments:
    """Which disk, and what it is to hold.

    Attributes:
        account_id: whose it is.
        region_id: the disk's, and its snapshot's.
        disk: it, and whose bytes it gets.
        started_instance_id: the instance that is started afterwards.
        is_touched: an earlier task may have begun to replace the bytes.
    """

    account_id: AccountId
    region_id: RegionId
    disk: DiskToMake
    started_instance_id: InstanceId | None
    is_touched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Touched:
    """Checkpoint: bytes of the disk may have changed."""

    has_begun: bool


def reinit_disk(scope: Scope, disk_id: DiskId, *, starts_instance: bool = False) -> DiskRecord:
    """Start bringing a disk back to how it was made; it is `ReIniting` until then. Its snapshots stay.

    Args:
        scope: who asks.
        disk_id: a disk of a stopped instance.
        starts_instance: start the instance when it is done.

    Raises:
        DiskNotFoundError: the account has no such disk.
        DiskCategoryError: it is a local disk.
        NotAttachedError: it belongs to no instance.
        InstanceSecurityLockError, InstanceArrearsError: its instance is locked.
        InstanceStateError: its instance is not `Stopped`.
        DiskNeverUsedError: its instance was never started, and nothing was written to it otherwise.
        DiskConnectedError: it is open through a connection.
        DiskStateError: it is not `In_use`.
        SnapshotInProgressError: a snapshot of it is being created.
        SourceSnapshotGoneError: the snapshot that it was made from was deleted.
        KeyNotEnabledError, KeyDestroyedError: its key, or that of what it was made from, cannot be used now.
        SnapshotDataMissingError: the object store does not have that snapshot's data.
        ImageNotFoundError: the image that it was made from was deleted, or is not shared with the account any more.
        ImageStateError: the image's data is missing.
    """
    disk = get_disk(scope, disk_id)
    _check(scope, disk)
    _check_source(scope, disk)
    disk.move_to(DiskState.REINITING)
    disk.reset_snapshot_id = disk.source_snapshot_id
    started_id = disk.instance_id if starts_instance else None
    disk.task_id = _enqueue(scope.session, scope.clock, disk, started_id, is_touched=False)
    return disk


def restart_reinit(session: Session, clock: Clock, disk: DiskRecord) -> TaskId:
    """Have a disk brought back that a task did not finish, of which nobody knows how far it came.

    Raises:
        ImageNotFoundError: its image is gone.
    """
    return _enqueue(session, clock, disk, None, is_touched=True)


def _enqueue(
    session: Session, clock: Clock, disk: DiskRecord, started_id: InstanceId | None, *, is_touched: bool
) -> TaskId:
    arguments = ReinitArguments(
        account_id=disk.account_id,
        region_id=disk.region_id,
        disk=describe_task(session, disk),
        started_instance_id=started_id,
        is_touched=is_touched,
    )
    return enqueue(session, clock, REINIT_DISK, arguments, key=disk.id)


def _check(scope: Scope, disk: DiskRecord) -> None:
    if not disk.category.supports_snapshots:
        raise DiskCategoryError(disk.category.value)
    host = find_host(scope, disk)
    if host is None:
        raise NotAttachedError(disk.id)
    require_host_stopped(scope, disk)
    if not disk.was_attached:
        raise DiskNeverUsedError(disk.id, host.id)
    require_idle(scope, disk)


def _check_source(scope: Scope, disk: DiskRecord) -> None:
    require_enabled(scope.session, disk.key_id)
    if disk.source_snapshot_id is None:
        if disk.image_id is not None:
            find_usable_image(replace(scope, region_id=disk.region_id), disk.image_id)
        return
    try:
        source = get_snapshot(scope, disk.source_snapshot_id)
    except SnapshotNotFoundError as error:
        raise SourceSnapshotGoneError(disk.id, disk.source_snapshot_id) from error
    require_ready(scope.session, source)


def _look(plant: Installation, task: ReinitArguments, _context: StepContext) -> None:
    source = task.disk.source
    if source is not None:
        open_data(plant, source.snapshot_id)
    with open_volume(plant, task.disk.disk_id):
        pass


def _write(plant: Installation, task: ReinitArguments, context: StepContext) -> None:
    # nobody is connected any more, but a last write of an ended connection may still be on its way
    plant.volumes.end_turn(task.disk.disk_id)
    context.save(_Touched(has_begun=True))
    if task.disk.source is None:
        empty_disk(plant, task.disk)
    else:
        fill_disk(plant, task.disk, context)


def _settle(plant: Installation, session: Session, task: ReinitArguments, outcome: Outcome) -> None:
    disk = session.get(DiskRecord, task.disk.disk_id)
    if disk is None or disk.state is not DiskState.REINITING:
        return
    is_touched = task.is_touched or outcome.checkpoints.load(_WRITE, _Touched) is not None
    if outcome.failure is not None and is_touched:
        return  # it stays `ReIniting`, and a reconciler tries again
    disk.move_to(disk.rest_state)
    disk.reset_snapshot_id = None
    if outcome.failure is None and task.started_instance_id is not None:
        session.flush()
        scope = plant.scope(session, task.account_id, task.region_id)
        try:
            start_instance(scope, task.started_instance_id)
        except Refusal:
            return  # somebody stepped in meanwhile: the disk is as was asked, and its instance is theirs to start


REINIT_DISK: Final = TaskKind(
    name="reinit-disk",
    arguments=ReinitArguments,
    lane=COPY,
    steps=(Step(name="look", run=_look), Step(name=_WRITE, run=_write)),
    settle=_settle,
)
