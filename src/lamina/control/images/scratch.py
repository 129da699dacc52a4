"""Scratch space: where the files of images are while they are converted. One folder per task, which goes with it.

DIR/scratch/<task id>/    of imports, and of exports to a bucket service that is not of this host
<place>/<task id>/        of exports to one that is, in its own place: so it takes files over instead of copying them
"""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lamina.control.buckets.bucket_service import BucketService
from lamina.control.images.file_errors import ScratchFullError
from lamina.control.installation import Installation
from lamina.control.regions.queries import list_regions
from lamina.failures import Fault, Refusal
from lamina.ids import TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.queue import is_active
from lamina.telemetry import get_logger, log, log_failure
from lamina.transfer.progress import Progress
from lamina.units import MIB

_LOGGER: Final = get_logger(__name__)
_FOLDER: Final = "scratch"
FILES: Final = "files"
"""The lane of the tasks that work on files: hours, perhaps, behind which no snapshot must wait."""
RESERVE_BYTES: Final = 512 * MIB
"""What work on files leaves free on the file system: the rows and the disks of the installation need room too.

A program that writes is looked at five times a second; at 1 GB/s it comes 200 MB closer between two looks.
"""


def find_scratch(plant: Installation, task_id: TaskId, service: BucketService | None = None) -> Path:
    """The folder of a task; it is not there until it is cleared.

    Args:
        plant: the installation.
        task_id: whose folder.
        service: of the bucket that gets what is made in it.
    """
    top = service.scratch() if service is not None else None
    return (top or plant.directory / _FOLDER) / task_id


def clear_scratch(folder: Path) -> None:
    """Make the folder of a task; what an interrupted attempt left in it is gone.

    Raises:
        Fault: the file system refused.
    """
    drop_scratch(folder)
    try:
        # no further parents: where buckets are on a disk that is not mounted, nothing is made in its place
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise Fault(f"{folder} cannot be made: {error.strerror}", retryable=True) from error


def drop_scratch(folder: Path) -> None:
    """Remove the folder of a task; one that is not there counts as removed.

    Raises:
        Fault: the file system refused.
    """
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


class ScratchProgress(Progress):
    """Of a pipeline that writes into a folder: it stops in time, since others write there as well."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def check(self) -> None:
        """As for any pipeline.

        Raises:
            Cancelled: somebody asked for that.
            ScratchFullError: the file system is nearly full.
        """
        super().check()
        require_room(self._folder)


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
        Fault: a file system refused.
    """
    for folder in [folder for top in _list_tops(plant) for folder in sorted(top.glob("*"))]:
        task_id = TaskId(folder.name)
        with plant.database.reading() as session:
            is_needed = is_active(session, task_id)
        if not is_needed:
            drop_scratch(folder)
            log(_LOGGER, logging.WARNING, "leftovers of a task were removed", task_id=task_id)


def _list_tops(plant: Installation) -> set[Path]:
    """Where folders of tasks are; a bucket service that cannot be opened is logged and passed over."""
    tops = {plant.directory / _FOLDER}
    with plant.database.reading() as session:
        regions = [region.id for region in list_regions(session)]
    for region_id in regions:
        try:
            top = plant.buckets.service(region_id).scratch()
        except Refusal as refusal:
            log_failure(_LOGGER, "a bucket service cannot be opened", refusal, region_id=region_id)
            continue
        if top is not None:
            tops.add(top)
    return tops
