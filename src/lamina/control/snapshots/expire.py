"""Delete snapshots whose retention has ended."""

import logging
from typing import Final

from sqlalchemy import select

from lamina.control.installation import Installation
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.errors import SnapshotNotFoundError
from lamina.control.snapshots.holds import is_kept
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.failures import Refusal
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)


def expire_snapshots(plant: Installation) -> None:
    """Start the deletion of every snapshot whose time is over; one that is in use or locked stays until it is not."""
    now = plant.clock.now()
    with plant.database.reading() as session:
        due = session.execute(
            select(SnapshotRecord.id, SnapshotRecord.account_id, SnapshotRecord.region_id)
            .where(
                SnapshotRecord.expires_at <= now,
                SnapshotRecord.state.in_((SnapshotState.ACCOMPLISHED, SnapshotState.FAILED)),
                ~is_kept(now),  # those would only be refused, each in a transaction of its own
            )
            .order_by(SnapshotRecord.expires_at, SnapshotRecord.id)
        ).all()
    for snapshot_id, account_id, region_id in due:
        try:
            with plant.database.transaction(of=account_id) as session:
                snapshot = session.get(SnapshotRecord, snapshot_id)
                if snapshot is None or snapshot.expires_at is None or snapshot.expires_at > now:
                    continue  # its owner deleted it meanwhile, or keeps it longer
                delete_snapshot(plant.scope(session, account_id, region_id), snapshot_id)
        except SnapshotNotFoundError:
            continue  # its owner deleted it meanwhile
        except Refusal as refusal:
            log(
                _LOGGER,
                logging.DEBUG,
                "an expired snapshot stays",
                snapshot_id=snapshot_id,
                reason=str(refusal),
            )
        else:
            log(_LOGGER, logging.INFO, "a snapshot expired", snapshot_id=snapshot_id)
