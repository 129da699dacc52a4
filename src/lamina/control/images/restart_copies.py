"""Copies of images that wait for a task which is gone, or for their turn."""

import logging
from typing import Final

from sqlalchemy import select

from lamina.control.images.copy_end import fail_copy
from lamina.control.images.copying import UNFINISHED, start_next_copy
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import ImageOrigin
from lamina.control.installation import Installation
from lamina.tasks.queue import is_active
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)


def restart_image_copies(plant: Installation) -> None:
    """End every copy whose task is gone, and start those whose turn it is."""
    unfinished = select(ImageRecord).where(
        ImageRecord.state.in_(UNFINISHED), ImageRecord.origin == ImageOrigin.COPIED
    )
    with plant.database.reading() as session:
        stranded = [
            image.id for image in session.scalars(unfinished) if not is_active(session, image.task_id)
        ]
    for image_id in stranded:
        with plant.database.transaction() as session:
            image = session.scalars(unfinished.where(ImageRecord.id == image_id)).one_or_none()
            if image is None or image.account_id is None or is_active(session, image.task_id):
                continue
            scope = plant.scope(session, image.account_id, image.region_id)
            if image.task_id is not None:
                fail_copy(scope, image, "its task ended without telling how")
                log(_LOGGER, logging.WARNING, "a stranded copy of an image was ended", image_id=image_id)
            start_next_copy(scope)
