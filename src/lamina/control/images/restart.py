"""Images that wait for a task which is gone."""

import logging
from typing import Final

from sqlalchemy import select

from lamina.control.images.capture import settle_image
from lamina.control.images.queries import list_image_disks
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.installation import Installation
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.tasks.queue import is_active
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)


def restart_images(plant: Installation) -> None:
    """Settle every unfinished image of an instance whose task is gone by what became of its snapshots.

    The snapshots are settled by `restart_snapshots`, which runs before.
    """
    unfinished = select(ImageRecord).where(
        ImageRecord.state == ImageState.CREATING, ImageRecord.origin == ImageOrigin.CREATED
    )
    with plant.database.reading() as session:
        stranded = [
            image.id for image in session.scalars(unfinished) if not is_active(session, image.task_id)
        ]
    for image_id in stranded:
        with plant.database.transaction() as session:
            image = session.scalars(unfinished.where(ImageRecord.id == image_id)).one_or_none()
            if image is None or is_active(session, image.task_id):
                continue
            ids = [disk.snapshot_id for disk in list_image_disks(session, image_id)]
            states = set(session.scalars(select(SnapshotRecord.state).where(SnapshotRecord.id.in_(ids))))
            if SnapshotState.PROGRESSING in states:
                continue  # they are settled first
            settle_image(session, image, None)
        log(_LOGGER, logging.WARNING, "a stranded image was settled", image_id=image_id)
