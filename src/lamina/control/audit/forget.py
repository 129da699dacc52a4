"""The end of old rows of the audit log."""

from typing import Final

from sqlalchemy import delete, select

from lamina.control.audit.records import CallRecord
from lamina.control.installation import Installation

_BATCH: Final = 5000  # about 50 ms of the one writer, so that calls hardly notice


def forget_old_calls(plant: Installation) -> None:
    """Drop the rows of calls that are older than the installation's setting, a few thousand at a time."""
    before = plant.clock.now() - plant.preferences.audit_retention
    while True:
        with plant.database.unguarded() as session:  # nobody else changes rows of calls
            oldest = select(CallRecord.request_id).where(CallRecord.at < before).limit(_BATCH)
            ids = session.scalars(oldest.order_by(CallRecord.at)).all()
            session.execute(delete(CallRecord).where(CallRecord.request_id.in_(ids)))
        if len(ids) < _BATCH:
            return
