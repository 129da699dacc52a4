"""Capturing several disks at one instant: what the tasks of snapshot groups and of images are, but for their ends.

    freeze   the point in time of all disks, between two writes to any of them
    copy     capture one disk after the other; each manifest is the commit of its member
    tidy     drop the clones of earlier captures

Where disks have reflink, the frozen clones have names and stay, and an interrupted copy goes on with them. Elsewhere
all disks are held still while all are copied; an interruption in the middle then ends the task, since what is
copied later would be of another instant. Undoing removes every member's data: all are captured, or none.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from sqlalchemy.orm import Session

from lamina.blockio.file_volume import FrozenVolume, forget, list_frozen
from lamina.control.installation import Installation
from lamina.control.snapshots.capture_data import (
    CaptureArguments,
    capture_frozen,
    forget_other_clones,
    plan_capture,
)
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import remove_data
from lamina.control.snapshots.settle import Copied, find_manifest, measure, settle_failure, settle_success
from lamina.control.snapshots.stored import ensure_repository
from lamina.failures import Refusal
from lamina.ids import AccountId, DiskId, RegionId, SnapshotId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import COPY, Step, TaskKind
from lamina.transfer.progress import Progress

_COPY: Final = "copy"


class GroupInterruptedError(Refusal):
    """Some disks of several were copied, and the others were written to since."""

    def __init__(self, whole_id: str) -> None:
        super().__init__(
            f"{whole_id} was interrupted on a file system without reflink, and its other disks may have changed"
            " since; create it again, or keep the disks on xfs or btrfs"
        )
        self.whole_id = whole_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What is captured at one instant.

    Attributes:
        whole_id: the group or the image that it is for.
        members: snapshots by their disks.
    """

    account_id: AccountId
    region_id: RegionId
    whole_id: str
    members: dict[DiskId, SnapshotId]

    def list_captures(self) -> list[CaptureArguments]:
        """One capture per member, in the order of the disks' ids."""
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


class CapturesTogether(Protocol):
    """The arguments of such a task."""

    @property
    def together(self) -> Together:
        """What is captured."""
        ...


A = TypeVar("A", bound=CapturesTogether)


def capture_together(
    name: str, arguments: type[A], settle: Callable[[Installation, Session, A, Outcome], None]
) -> TaskKind[Installation, A]:
    """A kind of task that captures several disks at one instant.

    Args:
        name: of the kind.
        arguments: of the kind.
        settle: writes what the end means for what the snapshots are taken for; theirs is in their rows already.
    """

    def settle_all(plant: Installation, session: Session, task: A, outcome: Outcome) -> None:
        _settle_members(plant, session, task.together, outcome)
        session.flush()
        settle(plant, session, task, outcome)

    return TaskKind(
        name=name,
        arguments=arguments,
        lane=COPY,
        steps=(
            Step(name="freeze", run=_freeze, undo=_thaw),
            Step(name=_COPY, run=_copy, undo=_uncopy),
            Step(name="tidy", run=_tidy),
        ),
        settle=settle_all,
    )


def _freeze(plant: Installation, task: CapturesTogether, _context: StepContext) -> None:
    """Take the instant, as far as the file system can keep it."""
    with ExitStack() as stack:
        _open_all(plant, task.together, stack)
    if not _are_all_cloned(plant, task.together):
        _forget_all(plant, task.together)


def _thaw(plant: Installation, task: CapturesTogether, _context: StepContext) -> None:
    _forget_all(plant, task.together)


def _copy(plant: Installation, task: CapturesTogether, context: StepContext) -> None:
    """Have every member in the repository; the checkpoint tells their sizes.

    Raises:
        GroupInterruptedError: an earlier attempt copied some members, and the instant is lost.
        KeyNotEnabledError, KeyDestroyedError: the key of a disk cannot be used now.
        Fault: a disk or the store failed.
        Cancelled: somebody asked for it.
    """
    together = task.together
    captures = together.list_captures()
    repositories = {each.snapshot_id: ensure_repository(plant, each.snapshot_id) for each in captures}
    missing = [
        each for each in captures if find_manifest(repositories[each.snapshot_id], each.snapshot_id) is None
    ]
    if missing:
        if len(missing) < len(captures) and not _are_all_cloned(plant, together):
            raise GroupInterruptedError(together.whole_id)
        _capture_all(plant, together, missing, context)
    copied = {
        snapshot_id: measure(repository.read_manifest(snapshot_id), snapshot_id)
        for snapshot_id, repository in repositories.items()
    }
    context.save(_AllCopied(members=copied))


def _uncopy(plant: Installation, task: CapturesTogether, _context: StepContext) -> None:
    for snapshot_id in task.together.members.values():
        remove_data(plant, snapshot_id)


def _tidy(plant: Installation, task: CapturesTogether, _context: StepContext) -> None:
    """Let the next capture of each disk compare with this one."""
    for each in task.together.list_captures():
        forget_other_clones(plant, each)


def _settle_members(plant: Installation, session: Session, together: Together, outcome: Outcome) -> None:
    copied = outcome.checkpoints.load(_COPY, _AllCopied)
    for snapshot_id in together.members.values():
        snapshot = session.get(SnapshotRecord, snapshot_id)
        if snapshot is None:
            continue
        if outcome.failure is None:
            assert copied is not None, "the copy saves its outcome"
            settle_success(session, plant.clock, snapshot, copied.members[snapshot_id])
        else:
            settle_failure(session, plant.clock, snapshot, outcome.failure)


def _open_all(plant: Installation, together: Together, stack: ExitStack) -> dict[SnapshotId, FrozenVolume]:
    """Freeze all disks at one instant, or find the clones of that instant; `stack` closes them.

    Locks are taken in the order of the disks' ids, so that two tasks do not wait for each other in a circle. What
    was written before is on the medium already, so that the moment in which nobody can write is short.
    """
    captures = together.list_captures()
    for each in captures:
        with plant.volumes.open(each.disk_id) as volume:
            volume.flush()
    with ExitStack() as barrier:
        for each in captures:
            barrier.enter_context(plant.volumes.exclusive(each.disk_id))
        if not _are_all_cloned(plant, together):
            _forget_all(plant, together)  # clones of an attempt that did not get to the last disk
        return {
            each.snapshot_id: stack.enter_context(_freeze_one(plant, each, since=None)) for each in captures
        }


def _freeze_one(plant: Installation, task: CaptureArguments, *, since: str | None) -> FrozenVolume:
    return plant.volumes.freeze(task.disk_id, task.snapshot_id, since)


def _are_all_cloned(plant: Installation, together: Together) -> bool:
    return all(_is_cloned(plant, each) for each in together.list_captures())


def _forget_all(plant: Installation, together: Together) -> None:
    for each in together.list_captures():
        forget(plant.volumes.frozen_folder(each.disk_id), each.snapshot_id)


def _capture_all(
    plant: Installation, together: Together, missing: list[CaptureArguments], context: StepContext
) -> None:
    progress = Progress()

    def read() -> tuple[int, int]:
        reading = progress.read()
        return reading.done_bytes, reading.known_bytes

    with ExitStack() as stack:
        frozen = _open_all(plant, together, stack)
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
