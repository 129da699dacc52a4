"""Where the data of a snapshot is, for the tasks that read and write it: its row names its account, region and key.

A store whose disk is not mounted looks like one in which nothing was ever stored. What the rows say tells them apart:
where a snapshot was accomplished there is a repository. It is neither made anew in the empty folder then, nor taken
for gone.
"""

from sqlalchemy import select

from lamina.control.installation import Installation
from lamina.control.keys.errors import KeyDestroyedError
from lamina.control.keys.queries import require_enabled
from lamina.control.repositories import Place
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.engine.repository import Repository
from lamina.failures import Fault
from lamina.ids import SnapshotId


def ensure_repository(plant: Installation, snapshot_id: SnapshotId) -> Repository:
    """The repository that gets the data of a snapshot; it is made at the first need.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: the snapshot's key cannot be used now.
        Fault: the store failed, or is not connected.
    """
    with plant.database.reading() as session:
        row = session.get(SnapshotRecord, snapshot_id)
        assert row is not None, "a snapshot's row outlives its task"
        require_enabled(session, row.key_id)
    found = plant.repositories.find(row.account_id, row.region_id, row.key_id)
    if found is not None:
        return found
    if plant.repositories.is_disconnected(_locate(row)):
        require_no_data(plant, _locate(row))
    return plant.repositories.ensure(row.account_id, row.region_id, row.key_id)


def find_repository(plant: Installation, snapshot_id: SnapshotId) -> Repository | None:
    """The repository that has the data of a snapshot; None if there is none.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: the snapshot's key cannot be used now.
        Fault: the store failed.
    """
    with plant.database.reading() as session:
        row = session.get(SnapshotRecord, snapshot_id)
        require_enabled(session, row.key_id if row is not None else None)
    return plant.repositories.find(row.account_id, row.region_id, row.key_id) if row is not None else None


def find_repository_to_tidy(plant: Installation, snapshot_id: SnapshotId) -> Repository | None:
    """As `find_repository`, to see whether a snapshot is there and to remove it: that a disabled key does not hinder.

    Where the key was destroyed there is nothing to see or to remove.

    Raises:
        Fault: the store failed, or is not connected.
    """
    with plant.database.reading() as session:
        row = session.get(SnapshotRecord, snapshot_id)
    if row is None:
        return None
    try:
        found = plant.repositories.find(row.account_id, row.region_id, row.key_id)
    except KeyDestroyedError:
        return None
    if found is None:
        if row.used_bytes is not None:
            raise _out_of_reach(plant, _locate(row))
        require_no_data(plant, _locate(row))
    return found


def require_no_data(plant: Installation, place: Place) -> None:
    """Let only a place without a repository pass that has no snapshots that can be used.

    Raises:
        Fault: there is one, so that the repository is out of reach.
    """
    accomplished = select(SnapshotRecord.id).where(
        SnapshotRecord.account_id == place.account_id,
        SnapshotRecord.region_id == place.region_id,
        SnapshotRecord.key_id.is_not_distinct_from(place.key_id),
        SnapshotRecord.state == SnapshotState.ACCOMPLISHED,
    )
    with plant.database.reading() as session:
        has_data = session.scalar(accomplished.limit(1)) is not None
    if has_data:
        raise _out_of_reach(plant, place)


def _locate(row: SnapshotRecord) -> Place:
    return Place(account_id=row.account_id, region_id=row.region_id, key_id=row.key_id)


def _out_of_reach(plant: Installation, place: Place) -> Fault:
    location = plant.repositories.locate(place.account_id, place.region_id, place.key_id)
    return Fault(
        f"{location} has no repository, although snapshots are in it; is its disk mounted, and is the store right?",
        retryable=True,
    )
