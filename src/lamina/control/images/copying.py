"""The task that copies an image, and which copy is the next one.

    begin   the image is `Creating`
    copy    copy the data of one disk after the other; each manifest is the commit of its snapshot

The copies of an account that go to one region are made one after the other. A copy that waits has no task and no
snapshots yet. Whatever ends a copy starts the next one in the same transaction.
"""

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.images.copy_end import drop_copy, fail_copy, finish_copy
from lamina.control.images.queries import list_image_disks
from lamina.control.images.records import ImageDiskRecord, ImageRecord, ImageShareRecord
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.installation import Installation
from lamina.control.scope import Scope
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.copy_data import SnapshotCopy, copy_data
from lamina.control.snapshots.holds import place_hold
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.settle import Copied, measure
from lamina.control.snapshots.states import HolderKind, SnapshotCategory, SnapshotKind, SnapshotState
from lamina.ids import AccountId, ImageId, KeyId, RegionId, SnapshotId, mint_disk_id, mint_snapshot_id
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import FailureKind, Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.records import TaskRecord
from lamina.tasks.task import COPY, Step, TaskKind
from lamina.transfer.progress import Progress

_COPY: Final = "copy"
UNFINISHED: Final = (ImageState.WAITING, ImageState.CREATING)
"""The states of a copy that has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskCopy:
    """One disk of the image.

    Attributes:
        snapshot: what is copied, and what becomes of it.
        used_bytes: how much data it has, for the measure of progress.
        is_of_disk: whether the copy is one of the snapshots of the disk that the original was taken of.
    """

    snapshot: SnapshotCopy
    used_bytes: int
    is_of_disk: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyImageArguments:
    """Which image, and its disks as far as they have data."""

    account_id: AccountId
    region_id: RegionId
    image_id: ImageId
    disks: tuple[DiskCopy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _AllCopied:
    """Checkpoint: what the copies found out."""

    snapshots: dict[SnapshotId, Copied]


def _begin(_plant: Installation, task: CopyImageArguments, context: StepContext) -> None:
    with context.transaction() as session:
        image = session.get(ImageRecord, task.image_id)
        if image is not None and image.state is ImageState.WAITING:
            image.move_to(ImageState.CREATING)


def _copy(plant: Installation, task: CopyImageArguments, context: StepContext) -> None:
    known = sum(disk.used_bytes for disk in task.disks)
    done = 0
    copied = {}
    for disk in task.disks:
        copied[disk.snapshot.snapshot_id] = _copy_disk(plant, disk, context, (done, known))
        done += disk.used_bytes
        context.progress(done, known)
    context.save(_AllCopied(snapshots=copied))


def _copy_disk(plant: Installation, disk: DiskCopy, context: StepContext, so_far: tuple[int, int]) -> Copied:
    progress = Progress()
    done, known = so_far

    def read() -> tuple[int, int]:
        return done + min(progress.read().done_bytes, disk.used_bytes), known

    try:
        with context.following(read, progress.cancel):
            manifest = copy_data(plant, disk.snapshot, progress)
    finally:
        context.check()  # a cancelled pipeline stopped for one of three reasons: say which
    found = measure(manifest, tracking=None)
    return found if disk.is_of_disk else replace(found, incremental_bytes=found.used_bytes)


def _settle(plant: Installation, session: Session, task: CopyImageArguments, outcome: Outcome) -> None:
    image = session.get(ImageRecord, task.image_id)
    if image is None or image.state not in UNFINISHED:
        return
    scope = plant.scope(session, task.account_id, task.region_id)
    failure = outcome.failure
    if failure is None and not _is_cancelled(session, image):
        copied = outcome.checkpoints.load(_COPY, _AllCopied)
        assert copied is not None, "the copy saves its outcome"
        finish_copy(scope, image, copied.snapshots)
    elif failure is None or failure.kind is FailureKind.CANCELLED:
        drop_copy(scope, image)
    else:
        fail_copy(scope, image, failure.message)
    start_next_copy(scope)


def _is_cancelled(session: Session, image: ImageRecord) -> bool:
    """Whether the wish to cancel came after the task's last look."""
    query = select(TaskRecord.is_cancel_requested).where(TaskRecord.id == image.task_id)
    return bool(session.scalar(query))


COPY_IMAGE: Final = TaskKind(
    name="copy-image",
    arguments=CopyImageArguments,
    lane=COPY,
    steps=(Step(name="begin", run=_begin), Step(name=_COPY, run=_copy)),
    settle=_settle,
)


def start_next_copy(scope: Scope) -> None:
    """Start the copy that has waited longest, unless another one of the account goes to the region at this moment."""
    unfinished = scope.session.scalars(
        select(ImageRecord)
        .where(
            ImageRecord.account_id == scope.account_id,
            ImageRecord.region_id == scope.region_id,
            ImageRecord.origin == ImageOrigin.COPIED,
            ImageRecord.state.in_(UNFINISHED),
        )
        .order_by(ImageRecord.created_at, ImageRecord.id)
    ).all()
    if any(image.task_id is not None for image in unfinished):
        return  # one that has lost its task is ended by `restart_image_copies`, and then the next one starts
    for image in unfinished:
        if _start(scope, image):
            return


def _start(scope: Scope, image: ImageRecord) -> bool:
    """Start a copy; False if it failed at once, since the original is gone, or not shared any more."""
    source = scope.session.get(ImageRecord, image.source_image_id)
    if source is None or not _may_copy(scope, source):
        fail_copy(scope, image, f"image {image.source_image_id} was taken away before it was copied")
        return False
    originals = {disk.device: disk.snapshot_id for disk in list_image_disks(scope.session, source.id)}
    copies, snapshots = [], []
    for disk in list_image_disks(scope.session, image.id):
        original_id = originals.get(disk.device)
        original = scope.session.get(SnapshotRecord, original_id) if original_id is not None else None
        if original is not None:  # otherwise it is an empty disk
            snapshot = _add_snapshot(scope, disk, original, image.copy_key_id)
            snapshots.append(snapshot)
            copies.append(_plan_copy(snapshot, original))
    arguments = CopyImageArguments(
        account_id=scope.account_id, region_id=scope.region_id, image_id=image.id, disks=tuple(copies)
    )
    image.task_id = enqueue(scope.session, scope.clock, COPY_IMAGE, arguments, key=image.id)
    for snapshot in snapshots:
        snapshot.task_id = image.task_id
    scope.session.flush()
    return True


def _may_copy(scope: Scope, source: ImageRecord) -> bool:
    if source.account_id == scope.account_id:
        return True
    return scope.session.get(ImageShareRecord, (source.id, scope.account_id)) is not None


def _plan_copy(snapshot: SnapshotRecord, original: SnapshotRecord) -> DiskCopy:
    return DiskCopy(
        snapshot=SnapshotCopy(
            account_id=snapshot.account_id,
            region_id=snapshot.region_id,
            snapshot_id=snapshot.id,
            source_account_id=original.account_id,
            source_region_id=original.region_id,
            source_id=original.id,
            key_id=snapshot.key_id,
            source_key_id=original.key_id,
        ),
        used_bytes=original.used_bytes or 0,
        is_of_disk=snapshot.disk_id == original.disk_id,
    )


def _add_snapshot(
    scope: Scope, disk: ImageDiskRecord, original: SnapshotRecord, key_id: KeyId | None
) -> SnapshotRecord:
    """The row of the snapshot of one disk of the copy.

    In another region it is one of the disk's snapshots, as with CopySnapshot, so that versions of an image cost what
    differs. Within the region it would come between those of the disk itself: there it is of no disk. Of another
    account's image it does not tell what it was made from.
    """
    now = scope.clock.now()
    is_own = scope.account_id == original.account_id
    snapshot = SnapshotRecord(
        id=mint_snapshot_id(),
        account_id=scope.account_id,
        region_id=scope.region_id,
        description=f"Created for image {disk.image_id}",
        kind=SnapshotKind.USER,
        category=SnapshotCategory.STANDARD,
        state=SnapshotState.PROGRESSING,
        disk_id=mint_disk_id() if scope.region_id == original.region_id else original.disk_id,
        disk_size_gib=original.disk_size_gib,
        disk_role=original.disk_role,
        disk_name=original.disk_name if is_own else None,
        created_at=now,
        modified_at=now,
        source_snapshot_id=original.id if is_own else None,
        source_region_id=original.region_id if is_own else None,
        key_id=key_id,
    )
    scope.session.add(snapshot)
    scope.session.flush()
    disk.snapshot_id = snapshot.id
    place_hold(scope.session, snapshot.id, HolderKind.IMAGE, disk.image_id)
    sum_up_chain(scope.session, snapshot, now)
    return snapshot
