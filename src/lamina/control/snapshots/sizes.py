"""Counting the exact sizes of snapshots, behind the changes of their chains."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.installation import Installation
from lamina.control.keys.errors import KeyDestroyedError, KeyNotEnabledError
from lamina.control.keys.queries import require_enabled
from lamina.control.repositories import Place
from lamina.control.snapshots.chain import meter_snapshot, sum_up_sizes
from lamina.control.snapshots.records import ChainRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.engine.maintenance.sizes import SizeIndex, SnapshotSizes
from lamina.engine.repository import SnapshotNotFoundError
from lamina.engine.sessions import SessionKind
from lamina.failures import Corruption, Fault
from lamina.ids import AccountId, DiskId, KeyId, RegionId, SnapshotId
from lamina.telemetry import get_logger, log, log_failure

_LOGGER: Final = get_logger(__name__)
_BATCH: Final = 1000  # ids in one statement


def count_sizes(plant: Installation) -> None:
    """Count every chain that changed since it was counted, and write the sizes into the rows.

    A repository that fails is logged; the others are counted. Snapshots whose key cannot be used now keep the sizes
    that they have.
    """
    for account_id, region_id in _list_places(plant):
        _count_place(plant, account_id, region_id)


def _list_places(plant: Installation) -> Sequence[tuple[AccountId, RegionId]]:
    query = (
        select(ChainRecord.account_id, ChainRecord.region_id)
        .where(ChainRecord.is_counted.is_(False))
        .distinct()
    )
    with plant.database.reading() as session:
        return [(account_id, region_id) for account_id, region_id in session.execute(query)]


def _count_place(plant: Installation, account_id: AccountId, region_id: RegionId) -> None:
    """Count the chains of an account in a region: also those that another host counted since this one did.

    A chain may have snapshots in several repositories, one per key.
    """
    chains = _list_chains(plant, account_id, region_id)
    found: dict[DiskId, dict[SnapshotId, SnapshotSizes]] = {
        chain.disk_id: {} for chain in chains if not chain.is_counted
    }
    unknown: set[DiskId] = set()
    for key_id, disk_ids in _list_keys(plant, account_id, region_id).items():
        place = Place(account_id=account_id, region_id=region_id, key_id=key_id)
        try:
            _count_repository(plant, place, chains, disk_ids, found)
        except (KeyNotEnabledError, KeyDestroyedError):
            continue
        except Fault as failure:
            unknown |= disk_ids
            facts = {"account_id": account_id, "region_id": region_id, "key_id": key_id}
            log_failure(_LOGGER, "the sizes of snapshots could not be counted", failure, **facts)
    for chain in chains:
        if chain.disk_id in found and chain.disk_id not in unknown:
            _write(plant, chain, found[chain.disk_id])


def _list_keys(
    plant: Installation, account_id: AccountId, region_id: RegionId
) -> Mapping[KeyId | None, set[DiskId]]:
    """The keys of the snapshots of an account in a region, each with the disks that have some; always None as well."""
    query = (
        select(SnapshotRecord.key_id, SnapshotRecord.disk_id)
        .where(SnapshotRecord.account_id == account_id, SnapshotRecord.region_id == region_id)
        .distinct()
    )
    found: dict[KeyId | None, set[DiskId]] = {None: set()}
    with plant.database.reading() as session:
        for key_id, disk_id in session.execute(query):
            found.setdefault(key_id, set()).add(disk_id)
    return found


def _count_repository(
    plant: Installation,
    place: Place,
    chains: Sequence[ChainRecord],
    disk_ids: Collection[DiskId],
    found: dict[DiskId, dict[SnapshotId, SnapshotSizes]],
) -> None:
    """Count what one repository has of the chains; `disk_ids` are those that have something in it."""
    with plant.database.reading() as session:
        require_enabled(session, place.key_id)
    repository = plant.repositories.find(place.account_id, place.region_id, place.key_id)
    if repository is None:
        return
    with closing(SizeIndex(repository)) as index, repository.session(SessionKind.READ, "sizes"):
        known = index.list_chains()
        for name in known.keys() - {chain.disk_id for chain in chains}:
            index.count(name, [])
        for chain in chains:
            is_here = chain.disk_id in disk_ids or chain.disk_id in known
            if is_here and (not chain.is_counted or known.get(chain.disk_id) != chain.revision):
                sizes = _count_chain(plant, index, chain, place.key_id)
                found.setdefault(chain.disk_id, {}).update(sizes)


def _list_chains(plant: Installation, account_id: AccountId, region_id: RegionId) -> Sequence[ChainRecord]:
    with plant.database.reading() as session:
        return session.scalars(
            select(ChainRecord)
            .where(ChainRecord.account_id == account_id, ChainRecord.region_id == region_id)
            .order_by(ChainRecord.disk_id)
        ).all()


def _count_chain(
    plant: Installation, index: SizeIndex, chain: ChainRecord, key_id: KeyId | None
) -> Mapping[SnapshotId, SnapshotSizes]:
    with plant.database.reading() as session:
        snapshots = session.scalars(
            select(SnapshotRecord.id)
            .where(
                SnapshotRecord.disk_id == chain.disk_id,
                SnapshotRecord.region_id == chain.region_id,
                SnapshotRecord.key_id.is_not_distinct_from(key_id),
                SnapshotRecord.state == SnapshotState.ACCOMPLISHED,
                SnapshotRecord.is_data_missing.is_(False),
            )
            .order_by(SnapshotRecord.created_at, SnapshotRecord.id)
        ).all()
    try:
        return index.count(chain.disk_id, snapshots, chain.revision)
    except SnapshotNotFoundError:
        return {}  # deleted since we looked: the chain has changed, and is counted again
    except Corruption as damage:
        facts = {"chain": chain.disk_id, "reason": str(damage)}
        log(_LOGGER, logging.CRITICAL, "a damaged chain was not counted", **facts)
        return {}


def _write(plant: Installation, seen: ChainRecord, sizes: Mapping[SnapshotId, SnapshotSizes]) -> None:
    with plant.database.transaction() as session:
        _write_sizes(plant, session, sizes)
        chain = session.get(ChainRecord, (seen.disk_id, seen.region_id), with_for_update=True)
        if chain is None or chain.revision != seen.revision:
            return  # it changed since, and is counted again
        chain.is_counted = True
        sum_up_sizes(session, chain)
        if chain.snapshot_count == 0:
            session.delete(chain)


def _write_sizes(plant: Installation, session: Session, sizes: Mapping[SnapshotId, SnapshotSizes]) -> None:
    """Write sizes into the rows, also of other chains that have blocks in common; the meter hears of what changed."""
    ids = list(sizes)
    for start in range(0, len(ids), _BATCH):
        part = select(SnapshotRecord).where(SnapshotRecord.id.in_(ids[start : start + _BATCH]))
        for snapshot in session.scalars(part):
            size = sizes[snapshot.id]
            is_other = snapshot.incremental_bytes != size.incremental_bytes
            snapshot.incremental_bytes = size.incremental_bytes
            snapshot.exclusive_bytes = size.exclusive_bytes
            if is_other:
                meter_snapshot(session, snapshot, plant.clock.now())
