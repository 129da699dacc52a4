"""Compare the rows of snapshots with what the repositories have, and mend either side without deleting data.

A row without a manifest is marked, and unmarked when the manifest is there again: a store that is not connected
looks the same as one that lost everything. A manifest without a row gets its row back. The order of looking
matters, since captures and removals go on meanwhile: the store first, then the rows, then each finding again.
"""

import logging
from typing import Final

from sqlalchemy import select

from lamina.control.accounts.records import AccountRecord
from lamina.control.installation import Installation
from lamina.control.keys.records import KeyRecord
from lamina.control.keys.states import KeyState
from lamina.control.regions.records import RegionRecord
from lamina.control.repositories import Place
from lamina.control.snapshots.adopt import adopt_snapshot, find_note
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.engine.repository import Repository, SnapshotNotFoundError
from lamina.failures import Corruption, LaminaError
from lamina.ids import SnapshotId
from lamina.telemetry import get_logger, log, log_failure

_LOGGER: Final = get_logger(__name__)
_AT_ONCE: Final = 1000  # rows in memory


def compare_with_stores(plant: Installation) -> None:
    """Compare every account's snapshots in every region. A store that fails is logged; the others are compared."""
    for place in list_places(plant):
        try:
            _compare(plant, place)
        except LaminaError as failure:
            facts = {"account_id": place.account_id, "region_id": place.region_id, "key_id": place.key_id}
            log_failure(_LOGGER, "snapshots could not be compared with their store", failure, **facts)


def list_places(plant: Installation) -> list[Place]:
    """Where repositories may be: for every account in every region, and for every key that may be used now."""
    with plant.database.reading() as session:
        accounts = session.scalars(select(AccountRecord.id).order_by(AccountRecord.id)).all()
        regions = session.scalars(select(RegionRecord.id).order_by(RegionRecord.id)).all()
        keys = session.scalars(
            select(KeyRecord).where(KeyRecord.state == KeyState.ENABLED).order_by(KeyRecord.id)
        ).all()
    common = [
        Place(account_id=account_id, region_id=region_id) for region_id in regions for account_id in accounts
    ]
    return common + [Place(account_id=key.account_id, region_id=key.region_id, key_id=key.id) for key in keys]


def _compare(plant: Installation, place: Place) -> None:
    repository = plant.repositories.find(place.account_id, place.region_id, place.key_id)
    stored = set(repository.list_snapshots()) if repository is not None else set()
    rows = (
        select(SnapshotRecord.id, SnapshotRecord.state, SnapshotRecord.is_data_missing)
        .where(
            SnapshotRecord.account_id == place.account_id,
            SnapshotRecord.region_id == place.region_id,
            SnapshotRecord.key_id.is_not_distinct_from(place.key_id),
        )
        .execution_options(yield_per=_AT_ONCE)  # there may be a million
    )
    doubtful = []
    with plant.database.reading() as session:
        for snapshot_id, state, is_missing in session.execute(rows):
            if state is SnapshotState.ACCOMPLISHED and is_missing == (snapshot_id in stored):
                doubtful.append(snapshot_id)
            stored.discard(snapshot_id)
    for snapshot_id in doubtful:
        _mark(plant, repository, snapshot_id)
    for snapshot_id in sorted(stored):
        assert repository is not None, "what is stored is in a repository"
        try:
            _adopt(plant, repository, place, snapshot_id)
        except Corruption as damage:
            facts = {"snapshot_id": snapshot_id, "reason": str(damage)}
            log(_LOGGER, logging.CRITICAL, "a damaged snapshot cannot get its row back", **facts)


def _mark(plant: Installation, repository: Repository | None, snapshot_id: SnapshotId) -> None:
    is_missing = repository is None or repository.find_folder(snapshot_id) is None
    with plant.database.transaction() as session:
        snapshot = session.get(SnapshotRecord, snapshot_id)
        if snapshot is None or snapshot.state is not SnapshotState.ACCOMPLISHED:
            return  # it is being deleted, and then its data may well be missing
        if snapshot.is_data_missing == is_missing:
            return
        snapshot.is_data_missing = is_missing
        sum_up_chain(session, snapshot, plant.clock.now())
    if is_missing:
        log(_LOGGER, logging.CRITICAL, "the data of a snapshot is missing", snapshot_id=snapshot_id)
    else:
        log(_LOGGER, logging.INFO, "the data of a snapshot is there again", snapshot_id=snapshot_id)


def _adopt(plant: Installation, repository: Repository, place: Place, snapshot_id: SnapshotId) -> None:
    try:
        manifest = repository.read_manifest(snapshot_id)
    except SnapshotNotFoundError:
        return  # it was deleted since we listed it, and that is why it has no row
    note = find_note(repository, snapshot_id)
    if isinstance(note, Corruption):
        log(
            _LOGGER,
            logging.CRITICAL,
            "the note of a snapshot is damaged",
            snapshot_id=snapshot_id,
            reason=str(note),
        )
    with plant.database.transaction() as session:
        if session.get(SnapshotRecord, snapshot_id) is not None:
            return
        scope = plant.scope(session, place.account_id, place.region_id)
        disk = adopt_snapshot(scope, manifest, note, place.key_id)
    if disk is None:
        log(_LOGGER, logging.WARNING, "a snapshot is not the service's", snapshot_id=snapshot_id)
    else:
        log(_LOGGER, logging.WARNING, "a snapshot without a row got it back", snapshot_id=snapshot_id)
