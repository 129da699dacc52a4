"""Images whose snapshots lost their data, or got it back: `UnAvailable`, or `Available` again."""

import logging
from typing import Final

from sqlalchemy import and_, or_, select

from lamina.control.images.queries import USABLE
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.images.states import ImageState
from lamina.control.installation import Installation
from lamina.control.snapshots.records import SnapshotRecord
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)


def compare_images(plant: Installation) -> None:
    """Bring every image in line with its snapshots; `compare_with_stores`, which runs before, looked at their data."""
    lacking = (
        select(ImageDiskRecord.image_id)
        .join(SnapshotRecord, SnapshotRecord.id == ImageDiskRecord.snapshot_id)
        .where(SnapshotRecord.is_data_missing)
    )
    is_lost = and_(ImageRecord.state.in_(USABLE), ImageRecord.id.in_(lacking))
    is_back = and_(ImageRecord.state == ImageState.UNAVAILABLE, ImageRecord.id.not_in(lacking))
    with plant.database.transaction() as session:
        changed = session.scalars(select(ImageRecord).where(or_(is_lost, is_back))).all()
        for image in changed:
            was_usable = image.state in USABLE
            image.move_to(ImageState.UNAVAILABLE if was_usable else ImageState.AVAILABLE)
    for image in changed:
        log(
            _LOGGER,
            logging.WARNING,
            "an image follows its snapshots",
            image_id=image.id,
            state=image.state.value,
        )
