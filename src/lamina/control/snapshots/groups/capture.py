"""The task that takes the snapshots of a group.

    freeze   the point in time of all disks, between two writes to any of them
    copy     capture one disk after the other; each manifest is the commit of its member
    tidy     drop the clones of earlier captures

Where disks have reflink, the frozen clones have names and stay, and an interrupted copy goes on with them. Elsewhere
all disks are held still while all are copied; an interruption in the middle then ends the group, since what is
copied later would be of another instant. Undoing removes every member's data: a group is whole, or it is not.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.blockio.file_volume import FrozenVolume, forget, freeze, list_frozen
from lamina.control.installation import Installation
from lamina.control.snapshots.capture_data import (
    CaptureArguments,
    capture_frozen,
    forget_other_clones,
    plan_capture,
)
from lamina.control.snapshots.records import GroupRecord, SnapshotRecord
from lamina.control.snapshots.remove import remove_data
from lamina.control.snapshots.settle import Copied, find_manifest, measure, settle_failure, settle_success
from lamina.control.snapshots.states import GroupState
from lamina.failures import Refusal
from lamina.ids import AccountId, DiskId, RegionId, SnapshotGroupId, SnapshotId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import COPY, Step, TaskKind
from lamina.transfer.progress import Progress

_COPY: Final = "copy"


class GroupInterruptedError(Refusal):
    """Some disks of a group were copied, and the others were written to since."""

    def __init__(self, group_id: SnapshotGroupId) -> None:
        super().__init__(
            f"snapshot group {group_id} was interrupted on a file system without reflink, and its other disks may"
            " have changed since; create the group again, or keep the disks on xfs or btrfs"
        )
        self.group_id = group_id


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupArguments:
    """Which group; the members' snapshots by their disks, in the order of the disks' ids."""

    account_id: AccountId
    region_id: RegionId
    group_id: SnapshotGroupId
    members: dict[DiskId, SnapshotId]

    def list_captures(self) -> list[CaptureArguments]:
        """One capture per member."""
        return [
            CaptureArguments(
                account_id=self.account_id,
                region_id=self.region_id,
                disk_id=disk_id,
                snapshot_id=snapshot_id,
            )
            for disk_id, snapshot_id in sorted(self.members.items())
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _AllCopied:
    """Checkpoint: what the copies found out."""

    members: dict[SnapshotId, Copied]


def _freeze(plant: Installation, task: GroupArguments, _context: StepContext) -> None:
    with ExitStack() as stack:
        _open_all(plant, task, stack)
    if not _are_all_cloned(plant, task):
        _forget_all(plant, task)


def _thaw(plant: Installation, task: GroupArguments, _context: StepContext) -> None:
    _forget_all(plant, task)


def _copy(plant: Installation, task: GroupArguments, context: StepContext) -> None:
    repository = plant.repositories.ensure(task.account_id, task.region_id)
    captures = task.list_captures()
    missing = [each for each in captures if find_manifest(repository, each.snapshot_id) is None]
    if missing:
        if len(missing) < len(captures) and not _are_all_cloned(plant, task):
            raise GroupInterruptedError(task.group_id)
        _capture_all(plant, task, missing, context)
    copied = {
        each.snapshot_id: measure(repository.read_manifest(each.snapshot_id), each.snapshot_id)
        for each in captures
    }
    context.save(_AllCopied(members=copied))


def _uncopy(plant: Installation, task: GroupArguments, _context: StepContext) -> None:
    for snapshot_id in task.members.values():
        remove_data(plant, task.account_id, task.region_id, snapshot_id)


def _tidy(plant: Installation, task: GroupArguments, _context: StepContext) -> None:
    for each in task.list_captures():
        forget_other_clones(plant, each)


def _settle(plant: Installation, session: Session, task: GroupArguments, outcome: Outcome) -> None:
    copied = outcome.checkpoints.load(_COPY, _AllCopied)
    for snapshot_id in task.members.values():
        snapshot = session.get(SnapshotRecord, snapshot_id)
        if snapshot is None:
            continue
        if outcome.failure is None:
            assert copied is not None, "the copy saves its outcome"
            settle_success(session, plant.clock, snapshot, copied.members[snapshot_id])
        else:
            settle_failure(session, plant.clock, snapshot, outcome.failure)
    group = session.get(GroupRecord, task.group_id)
    if group is None or group.state is not GroupState.PROGRESSING:
        return  # it was deleted meanwhile
    if outcome.failure is None:
        group.move_to(GroupState.ACCOMPLISHED)
    else:
        group.move_to(GroupState.FAILED)
        group.failure = outcome.failure.message


CAPTURE_GROUP: Final = TaskKind(
    name="capture-group",
    arguments=GroupArguments,
    lane=COPY,
    steps=(
        Step(name="freeze", run=_freeze, undo=_thaw),
        Step(name=_COPY, run=_copy, undo=_uncopy),
        Step(name="tidy", run=_tidy),
    ),
    settle=_settle,
)


def _open_all(plant: Installation, task: GroupArguments, stack: ExitStack) -> dict[SnapshotId, FrozenVolume]:
    """Freeze all disks at one instant, or find the clones of that instant; `stack` closes them.

    Locks are taken in the order of the disks' ids, so that two groups do not wait for each other in a circle. What
    was written before is on the medium already, so that the moment in which nobody can write is short.
    """
    captures = task.list_captures()
    for each in captures:
        with plant.volumes.open(each.disk_id) as volume:
            volume.flush()
    with ExitStack() as barrier:
        for each in captures:
            barrier.enter_context(plant.volumes.exclusive(each.disk_id))
        if not _are_all_cloned(plant, task):
            _forget_all(plant, task)  # clones of an attempt that did not get to the last disk
        return {
            each.snapshot_id: stack.enter_context(_freeze_one(plant, each, since=None)) for each in captures
        }


def _freeze_one(plant: Installation, task: CaptureArguments, *, since: str | None) -> FrozenVolume:
    raw, folder = plant.volumes.raw_path(task.disk_id), plant.volumes.frozen_folder(task.disk_id)
    return freeze(raw, folder, task.snapshot_id, since)


def _are_all_cloned(plant: Installation, task: GroupArguments) -> bool:
    return all(_is_cloned(plant, each) for each in task.list_captures())


def _forget_all(plant: Installation, task: GroupArguments) -> None:
    for each in task.list_captures():
        forget(plant.volumes.frozen_folder(each.disk_id), each.snapshot_id)


def _capture_all(
    plant: Installation, task: GroupArguments, missing: list[CaptureArguments], context: StepContext
) -> None:
    progress = Progress()

    def read() -> tuple[int, int]:
        reading = progress.read()
        return reading.done_bytes, reading.known_bytes

    with ExitStack() as stack:
        frozen = _open_all(plant, task, stack)
        stack.enter_context(context.following(read, progress.cancel))
        try:
            for each in missing:
                _capture_one(plant, each, frozen[each.snapshot_id], progress)
        finally:
            context.check()  # a cancelled pipeline stopped for one of three reasons: say which


def _capture_one(
    plant: Installation, task: CaptureArguments, frozen: FrozenVolume, progress: Progress
) -> None:
    plan = plan_capture(plant, task)
    if not _is_cloned(plant, task):
        capture_frozen(plant, task, plan, frozen, progress)
        return
    # once more, now with what changed since the parent: that is looked up when writers may go on
    with _freeze_one(plant, task, since=plan.parent_tracking) as clone:
        capture_frozen(plant, task, plan, clone, progress)


def _is_cloned(plant: Installation, task: CaptureArguments) -> bool:
    return task.snapshot_id in list_frozen(plant.volumes.frozen_folder(task.disk_id))
