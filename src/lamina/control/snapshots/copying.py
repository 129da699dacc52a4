"""The task that copies a snapshot into the repository of another region; how, is told in `copy_data`."""

from typing import Final

from sqlalchemy.orm import Session

from lamina.control.installation import Installation
from lamina.control.snapshots.copy_data import SnapshotCopy, copy_data
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import remove_data
from lamina.control.snapshots.settle import Copied, measure, settle_failure, settle_success
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import COPY, Step, TaskKind
from lamina.transfer.progress import Progress

_COPY: Final = "copy"


def _copy(plant: Installation, task: SnapshotCopy, context: StepContext) -> None:
    progress = Progress()

    def read() -> tuple[int, int]:
        reading = progress.read()
        return reading.done_bytes, reading.known_bytes

    try:
        with context.following(read, progress.cancel):
            manifest = copy_data(plant, task, progress)
    finally:
        context.check()  # a cancelled pipeline stopped for one of three reasons: say which
    context.save(measure(manifest, tracking=None))


def _uncopy(plant: Installation, task: SnapshotCopy, _context: StepContext) -> None:
    remove_data(plant, task.snapshot_id)


def _settle(plant: Installation, session: Session, task: SnapshotCopy, outcome: Outcome) -> None:
    copy = session.get(SnapshotRecord, task.snapshot_id)
    if copy is None:
        return
    if outcome.failure is None:
        copied = outcome.checkpoints.load(_COPY, Copied)
        assert copied is not None, "the copy saves its outcome"
        settle_success(session, plant.clock, copy, copied)
    else:
        settle_failure(session, plant.clock, copy, outcome.failure)


COPY_SNAPSHOT: Final = TaskKind(
    name="copy-snapshot",
    arguments=SnapshotCopy,
    lane=COPY,
    steps=(Step(name=_COPY, run=_copy, undo=_uncopy),),
    settle=_settle,
)
