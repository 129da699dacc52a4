"""Where the data of a snapshot is, for the tasks that read and write it: its row names its account, region and key."""

from sqlalchemy.orm import Session

from lamina.control.installation import Installation
from lamina.control.keys.errors import KeyDestroyedError
from lamina.control.keys.queries import require_enabled
from lamina.control.snapshots.records import SnapshotRecord
from lamina.engine.repository import Repository
from lamina.ids import SnapshotId


def ensure_repository(plant: Installation, snapshot_id: SnapshotId) -> Repository:
    """The repository that gets the data of a snapshot; it is made at the first need.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: the snapshot's key cannot be used now.
        Fault: the store failed.
    """
    with plant.database.reading() as session:
        row = session.get(SnapshotRecord, snapshot_id)
        assert row is not None, "a snapshot's row outlives its task"
        require_enabled(session, row.key_id)
    return plant.repositories.ensure(row.account_id, row.region_id, row.key_id)


def find_repository(plant: Installation, snapshot_id: SnapshotId) -> Repository | None:
    """The repository that has the data of a snapshot; None if there is none.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: the snapshot's key cannot be used now.
        Fault: the store failed.
    """
    with plant.database.reading() as session:
        row = _find_row(session, snapshot_id)
        require_enabled(session, row.key_id if row is not None else None)
    return plant.repositories.find(row.account_id, row.region_id, row.key_id) if row is not None else None


def find_repository_to_tidy(plant: Installation, snapshot_id: SnapshotId) -> Repository | None:
    """As `find_repository`, to see whether a snapshot is there and to remove it: that a disabled key does not hinder.

    Where the key was destroyed there is nothing to see or to remove.

    Raises:
        Fault: the store failed.
    """
    with plant.database.reading() as session:
        row = _find_row(session, snapshot_id)
    if row is None:
        return None
    try:
        return plant.repositories.find(row.account_id, row.region_id, row.key_id)
    except KeyDestroyedError:
        return None


def _find_row(session: Session, snapshot_id: SnapshotId) -> SnapshotRecord | None:
    return session.get(SnapshotRecord, snapshot_id)
