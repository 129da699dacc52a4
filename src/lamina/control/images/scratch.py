"""Scratch space: where the files of images are while they are converted. One folder per task, which goes with it.

    DIR/scratch/<task id>/

On the file system of the installation, so that a bucket there takes a finished file over instead of copying it.
"""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lamina.control.images.file_errors import ScratchFullError
from lamina.control.installation import Installation
from lamina.failures import Fault
from lamina.ids import TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.queue import is_active
from lamina.telemetry import get_logger, log
from lamina.units import MIB

_LOGGER: Final = get_logger(__name__)
_FOLDER: Final = "scratch"
FILES: Final = "files"
"""The lane of the tasks that work on files: hours, perhaps, behind which no snapshot must wait."""
RESERVE_BYTES: Final = 512 * MIB
"""What work on files leaves free on the file system: the rows and the disks of the installation need room too.

A program that writes is looked at five times a second; at 1 GB/s it comes 200 MB closer between two looks.
"""


def clear_scratch(plant: Installation, context: StepContext) -> Path:
    """An empty folder for the task; what an interrupted attempt left in it is gone.

    Raises:
        Fault: the file system refused.
    """
    drop_scratch(plant, context.lease.task_id)
    folder = _find(plant, context.lease.task_id)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise Fault(f"{folder} cannot be made: {error.strerror}", retryable=True) from error
    return folder


def drop_scratch(plant: Installation, task_id: TaskId) -> None:
    """Remove the folder of a task; one that is not there counts as removed.

    Raises:
        Fault: the file system refused.
    """
    folder = _find(plant, task_id)
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Fault(f"{folder} cannot be removed: {error.strerror}", retryable=True) from error


def require_room(folder: Path, needed_bytes: int = 0) -> None:
    """Let work go on only while so much can be written, and the reserve stays.

    Raises:
        ScratchFullError: it cannot.
    """
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free < needed_bytes + RESERVE_BYTES:
        raise ScratchFullError(free)


def watch(folder: Path, context: StepContext, report: Callable[[float], None]) -> Callable[[float], None]:
    """What looks at a program that writes into a folder for a step: passes its progress on, and stops it in time.

    Raises:
        ScratchFullError: by the function; the file system is nearly full.
        Cancelled: by the function; the step should stop.
    """

    def look(share: float) -> None:
        context.check()
        require_room(folder)
        report(share)

    return look


def forget_leftover_scratch(plant: Installation) -> None:
    """Remove the folders of tasks that have ended or are not known: their last attempt was killed.

    Raises:
        Fault: the file system refused.
    """
    top = plant.directory / _FOLDER
    if not top.is_dir():
        return
    for task_id in sorted(TaskId(path.name) for path in top.iterdir()):
        with plant.database.reading() as session:
            is_needed = is_active(session, task_id)
        if not is_needed:
            drop_scratch(plant, task_id)
            log(_LOGGER, logging.WARNING, "leftovers of a task were removed", task_id=task_id)


def _find(plant: Installation, task_id: TaskId) -> Path:
    return plant.directory / _FOLDER / task_id
