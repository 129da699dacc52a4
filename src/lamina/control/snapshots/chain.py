"""Chains: the snapshots of one disk in one region, and what they come to together."""

import secrets
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import bindparam, case, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

from lamina.control.metering.log import Holding, Subject, note_size
from lamina.control.metering.records import StorageClass
from lamina.control.snapshots.records import ChainRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotCategory, SnapshotState
from lamina.database import Record
from lamina.ids import DiskId, KeyId, RegionId

# A chain that begins again begins at another number: what was counted of the former one must not be taken for it.
_REVISION_BITS: Final = 48
_CHAINS: Final = Record.metadata.tables[ChainRecord.__tablename__]
_ADDED_AT: Final = bindparam("at", type_=_CHAINS.c.created_at.type)
# built once, and by way of columns: with objects this takes as long as all else about a new snapshot
_LENGTHENED: Final = (
    update(_CHAINS)
    .where(_CHAINS.c.disk_id == bindparam("of_disk"), _CHAINS.c.region_id == bindparam("in_region"))
    .values(
        created_at=case(
            (or_(_CHAINS.c.snapshot_count == 0, _CHAINS.c.created_at > _ADDED_AT), _ADDED_AT),
            else_=_CHAINS.c.created_at,
        ),
        snapshot_count=_CHAINS.c.snapshot_count + 1,
        revision=_CHAINS.c.revision + 1,
        is_counted=False,
    )
)


class _Sum(NamedTuple):
    snapshots: int
    first_at: datetime | None
    standard: int
    archived: int


def chain_id(disk_id: DiskId) -> str:
    """The id of a disk's chain (`SnapshotLinkId`): `sl-` and the body of the disk's id."""
    return "sl-" + disk_id.removeprefix("d-")


def find_disk_of_chain(link_id: str) -> DiskId | None:
    """The disk that a chain belongs to, or None if the text is no chain's id."""
    body = link_id.removeprefix("sl-")
    return None if body in {link_id, ""} else DiskId("d-" + body)


def sum_up_chain(session: Session, snapshot: SnapshotRecord, now: datetime) -> None:
    """Bring the row of a snapshot's chain up to date. Call it whenever a snapshot came, went, ended or was archived.

    It costs one look at the rows of the chain, which the quotas keep short. The exact sizes are counted later; a chain
    without snapshots loses its row then. What the snapshot is billed for changes here, too.
    """
    session.flush()
    meter_snapshot(session, snapshot, now)
    chain = session.get(ChainRecord, (snapshot.disk_id, snapshot.region_id), with_for_update=True)
    found = _sum(session, snapshot.disk_id, snapshot.region_id)
    if chain is None:
        chain = ChainRecord(
            disk_id=snapshot.disk_id,
            region_id=snapshot.region_id,
            account_id=snapshot.account_id,
            created_at=snapshot.created_at,
            revision=secrets.randbits(_REVISION_BITS),
        )
        session.add(chain)
    chain.created_at = found.first_at or chain.created_at
    chain.snapshot_count = found.snapshots
    chain.standard_bytes = found.standard
    chain.archive_bytes = found.archived
    chain.revision += 1
    chain.is_counted = False
    session.flush()


def add_to_chain(session: Session, snapshot: SnapshotRecord, now: datetime) -> None:
    """The same for a snapshot whose row was just added, and that has no data yet: it only lengthens the chain.

    So one statement does, however long the chain is: nothing is summed up, and the meter has nothing to hear.
    """
    assert snapshot.incremental_bytes is None, f"snapshot {snapshot.id} is not new"
    session.flush()
    place = (snapshot.disk_id, snapshot.region_id)
    added = {"of_disk": snapshot.disk_id, "in_region": snapshot.region_id, "at": snapshot.created_at}
    if session.connection().execute(_LENGTHENED, added).rowcount == 0:
        sum_up_chain(session, snapshot, now)
    elif (known := session.identity_map.get(identity_key(ChainRecord, place))) is not None:
        session.expire(known)


def meter_snapshot(session: Session, snapshot: SnapshotRecord, now: datetime) -> None:
    """Tell the meter what a snapshot comes to: nothing until it is accomplished, and nothing without its data."""
    subject = Subject(
        snapshot_id=snapshot.id,
        disk_id=snapshot.disk_id,
        account_id=snapshot.account_id,
        region_id=snapshot.region_id,
    )
    holding = None
    if snapshot.state is SnapshotState.ACCOMPLISHED and not snapshot.is_data_missing:
        is_archived = snapshot.category is SnapshotCategory.ARCHIVE
        holding = Holding(
            storage_class=StorageClass.ARCHIVE if is_archived else StorageClass.STANDARD,
            size_bytes=snapshot.incremental_bytes or 0,
        )
    note_size(session, subject, holding, now)


def sum_up_sizes(session: Session, chain: ChainRecord) -> None:
    """Bring the sums of a chain up to date after the sizes of its snapshots were counted."""
    session.flush()
    found = _sum(session, chain.disk_id, chain.region_id)
    chain.standard_bytes, chain.archive_bytes = found.standard, found.archived


def recount_chains(session: Session, key_id: KeyId) -> None:
    """A key may be used again: what came and went meanwhile was not counted."""
    disks = select(SnapshotRecord.disk_id).where(SnapshotRecord.key_id == key_id)
    session.execute(update(ChainRecord).where(ChainRecord.disk_id.in_(disks)).values(is_counted=False))


def _sum(session: Session, disk_id: DiskId, region_id: RegionId) -> _Sum:
    size = func.coalesce(SnapshotRecord.incremental_bytes, 0)
    is_archived = SnapshotRecord.category == SnapshotCategory.ARCHIVE
    count, first_at, standard, archived = session.execute(
        select(
            func.count(),
            func.min(SnapshotRecord.created_at),
            func.coalesce(func.sum(case((is_archived, 0), else_=size)), 0),
            func.coalesce(func.sum(case((is_archived, size), else_=0)), 0),
        ).where(
            SnapshotRecord.disk_id == disk_id,
            SnapshotRecord.region_id == region_id,
            SnapshotRecord.state != SnapshotState.DELETING,
        )
    ).one()
    return _Sum(count, first_at, int(standard), int(archived))
