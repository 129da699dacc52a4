"""The task that imports an image: every file becomes a snapshot in the account's repository.

    begin    the image is `Creating`
    import   the files, one after the other; see `import_data`

A disk that is captured stays captured when the task is interrupted. Undoing removes the manifests; what was uploaded
is found by a sweep.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.images.import_data import FileImport, ImportArguments
from lamina.control.images.import_end import ImportedDisk, fail_import, finish_import, forget_import
from lamina.control.images.records import ImageRecord
from lamina.control.images.scratch import FILES, drop_scratch, find_scratch
from lamina.control.images.states import ImageState
from lamina.control.installation import Installation
from lamina.control.snapshots.remove import remove_data
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import FailureKind, Outcome
from lamina.tasks.task import Step, TaskKind

_IMPORT: Final = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Checkpoint: the disks that are done."""

    disks: tuple[ImportedDisk, ...] = ()


def _begin(_plant: Installation, task: ImportArguments, context: StepContext) -> None:
    with context.transaction() as session:
        image = session.get(ImageRecord, task.image_id)
        if image is not None and image.state is ImageState.WAITING:
            image.move_to(ImageState.CREATING)


def _import(plant: Installation, task: ImportArguments, context: StepContext) -> None:
    done = (context.load(Imported) or Imported()).disks
    for index in range(len(done), len(task.files)):
        done = (*done, FileImport(plant=plant, task=task, context=context, index=index).run())
        context.save(Imported(disks=done))
    drop_scratch(find_scratch(plant, context.lease.task_id))


def _unimport(plant: Installation, task: ImportArguments, context: StepContext) -> None:
    drop_scratch(find_scratch(plant, context.lease.task_id))
    for file in task.files:
        remove_data(plant, file.snapshot_id)


def _settle(plant: Installation, session: Session, task: ImportArguments, outcome: Outcome) -> None:
    image = session.get(ImageRecord, task.image_id)
    if image is None:
        return
    scope = plant.scope(session, task.account_id, task.region_id)
    if outcome.failure is None:
        done = outcome.checkpoints.load(_IMPORT, Imported)
        assert done is not None, "the import saves what it did"
        finish_import(session, plant.clock, image, done.disks)
    elif outcome.failure.kind is FailureKind.CANCELLED:
        forget_import(scope, image)
    else:
        fail_import(scope, image, outcome.failure.message)


IMPORT_IMAGE: Final = TaskKind(
    name="import-image",
    arguments=ImportArguments,
    lane=FILES,
    steps=(Step(name="begin", run=_begin), Step(name=_IMPORT, run=_import, undo=_unimport)),
    settle=_settle,
)
