"""The task that makes the data of a snapshot.

    freeze   take the point in time; on a file system with reflink it is a clone that stays
    copy     capture it into the account's repository; the manifest, written last, is the commit
    tidy     drop the clones of earlier captures: the next one compares with this one

Undoing removes the manifest, if it came to that, and the clone. What the copy uploaded is found by a sweep.
The point in time is named by the snapshot's id, so that a repeated attempt finds the one it took before.
"""

from typing import Final

from sqlalchemy.orm import Session

from lamina.blockio.file_volume import FrozenVolume, forget
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
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import COPY, Step, TaskKind
from lamina.transfer.progress import Progress

_COPY: Final = "copy"


def _freeze(plant: Installation, task: CaptureArguments, _context: StepContext) -> None:
    _take(plant, task, since=None).close()


def _thaw(plant: Installation, task: CaptureArguments, _context: StepContext) -> None:
    forget(plant.volumes.frozen_folder(task.disk_id), task.snapshot_id)


def _copy(plant: Installation, task: CaptureArguments, context: StepContext) -> None:
    repository = ensure_repository(plant, task.snapshot_id)
    manifest = find_manifest(repository, task.snapshot_id)
    if manifest is None:
        _capture(plant, task, context)
        manifest = repository.read_manifest(task.snapshot_id)
    context.save(measure(manifest, task.snapshot_id))


def _uncopy(plant: Installation, task: CaptureArguments, _context: StepContext) -> None:
    remove_data(plant, task.snapshot_id)


def _tidy(plant: Installation, task: CaptureArguments, _context: StepContext) -> None:
    forget_other_clones(plant, task)


def _settle(plant: Installation, session: Session, task: CaptureArguments, outcome: Outcome) -> None:
    snapshot = session.get(SnapshotRecord, task.snapshot_id)
    if snapshot is None:
        return
    if outcome.failure is None:
        copied = outcome.checkpoints.load(_COPY, Copied)
        assert copied is not None, "the copy saves its outcome"
        settle_success(session, plant.clock, snapshot, copied)
    else:
        settle_failure(session, plant.clock, snapshot, outcome.failure)


CAPTURE_SNAPSHOT: Final = TaskKind(
    name="capture-snapshot",
    arguments=CaptureArguments,
    lane=COPY,
    steps=(
        Step(name="freeze", run=_freeze, undo=_thaw),
        Step(name=_COPY, run=_copy, undo=_uncopy),
        Step(name="tidy", run=_tidy),
    ),
    settle=_settle,
)


def _take(plant: Installation, task: CaptureArguments, *, since: str | None) -> FrozenVolume:
    """The point in time of the disk, at a moment when no request of ours is half way through."""
    with plant.volumes.exclusive(task.disk_id):
        return plant.volumes.freeze(task.disk_id, task.snapshot_id, since)


def _capture(plant: Installation, task: CaptureArguments, context: StepContext) -> None:
    plan = plan_capture(plant, task)
    progress = Progress()
    with (
        _take(plant, task, since=plan.parent_tracking) as frozen,
        context.following(lambda: _read(progress), progress.cancel),
    ):
        try:
            capture_frozen(plant, task, plan, frozen, progress)
        finally:
            context.check()  # a cancelled pipeline stopped for one of three reasons: say which


def _read(progress: Progress) -> tuple[int, int]:
    reading = progress.read()
    return reading.done_bytes, reading.known_bytes
