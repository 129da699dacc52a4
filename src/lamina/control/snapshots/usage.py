"""What the snapshots of an account in a region come to: now, and over time.

A row says what holds from its minute on until the next row's, so that a month in which nothing changes is one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, aliased

from lamina.control.accounts.records import AccountRecord
from lamina.control.installation import Installation
from lamina.control.regions.records import RegionRecord
from lamina.control.scope import Scope
from lamina.control.snapshots.records import ChainRecord, UsageRecord
from lamina.control.snapshots.states import SnapshotCategory
from lamina.ids import AccountId, RegionId

KEPT: Final = timedelta(days=30)
"""How far back the series goes (ECS, DescribeSnapshotMonitorData)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The snapshots of an account in a region, together.

    Attributes:
        snapshot_count: how many there are.
        size_bytes: the sizes of all chains: used capacity of the first, and what changed with each later one.
    """

    snapshot_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePoint:
    """What held at one instant."""

    at: datetime
    size_bytes: int


class _Measured(NamedTuple):
    standard: int
    archived: int


def measure_usage(scope: Scope) -> Usage:
    """What the account has in the region at this moment; a sum over its chains."""
    size = func.coalesce(func.sum(ChainRecord.standard_bytes + ChainRecord.archive_bytes), 0)
    count, size_bytes = scope.session.execute(
        select(func.coalesce(func.sum(ChainRecord.snapshot_count), 0), size).where(
            ChainRecord.account_id == scope.account_id, ChainRecord.region_id == scope.region_id
        )
    ).one()
    return Usage(snapshot_count=int(count), size_bytes=int(size_bytes))


def list_usage(
    scope: Scope, instants: Sequence[datetime], category: SnapshotCategory | None
) -> tuple[UsagePoint, ...]:
    """What held at each of the instants, which are in order.

    Args:
        scope: the caller.
        instants: at least one.
        category: only snapshots of this one; None is all.
    """
    mine = (UsageRecord.account_id == scope.account_id, UsageRecord.region_id == scope.region_id)
    before = scope.session.scalars(
        select(UsageRecord)
        .where(*mine, UsageRecord.measured_at <= instants[0])
        .order_by(UsageRecord.measured_at.desc())
        .limit(1)
    ).all()
    within = scope.session.scalars(
        select(UsageRecord)
        .where(*mine, UsageRecord.measured_at > instants[0], UsageRecord.measured_at <= instants[-1])
        .order_by(UsageRecord.measured_at)
    ).all()
    rows = [*before, *within]
    points = []
    place, held = 0, 0
    for at in instants:
        while place < len(rows) and rows[place].measured_at <= at:
            held = _pick(rows[place], category)
            place += 1
        points.append(UsagePoint(at=at, size_bytes=held))
    return tuple(points)


def meter_usage(plant: Installation) -> None:
    """Write down what changed since the last time, as of this minute."""
    now = plant.clock.now().replace(second=0, microsecond=0)
    with plant.database.reading() as session:
        present, last = _read_present(session), _read_last(session)
    changed = {
        place: present.get(place, _Measured(0, 0))
        for place in present.keys() | last.keys()
        if present.get(place, _Measured(0, 0)) != last.get(place)
    }
    if not changed:
        return
    with plant.database.transaction() as session:
        for (account_id, region_id), measured in changed.items():
            session.merge(
                UsageRecord(
                    account_id=account_id,
                    region_id=region_id,
                    measured_at=now,
                    standard_bytes=measured.standard,
                    archive_bytes=measured.archived,
                )
            )


def forget_usage(session: Session, now: datetime) -> None:
    """Drop what is older than the series goes back, but never the row that still tells its beginning."""
    later = aliased(UsageRecord)
    is_superseded = (
        select(later.measured_at)
        .where(
            later.account_id == UsageRecord.account_id,
            later.region_id == UsageRecord.region_id,
            later.measured_at > UsageRecord.measured_at,
            later.measured_at <= now - KEPT,
        )
        .exists()
    )
    session.execute(delete(UsageRecord).where(UsageRecord.measured_at < now - KEPT, is_superseded))


def _pick(row: UsageRecord, category: SnapshotCategory | None) -> int:
    if category is None:
        return row.standard_bytes + row.archive_bytes
    return row.archive_bytes if category is SnapshotCategory.ARCHIVE else row.standard_bytes


def _read_present(session: Session) -> dict[tuple[AccountId, RegionId], _Measured]:
    query = select(
        ChainRecord.account_id,
        ChainRecord.region_id,
        func.sum(ChainRecord.standard_bytes),
        func.sum(ChainRecord.archive_bytes),
    ).group_by(ChainRecord.account_id, ChainRecord.region_id)
    return {
        (account_id, region_id): _Measured(int(standard), int(archived))
        for account_id, region_id, standard, archived in session.execute(query)
    }


def _read_last(session: Session) -> dict[tuple[AccountId, RegionId], _Measured]:
    """What was written down last: one look per account and region, however long their series are."""
    other = aliased(UsageRecord)
    latest = (
        select(func.max(other.measured_at))
        .where(other.account_id == AccountRecord.id, other.region_id == RegionRecord.id)
        .correlate(AccountRecord, RegionRecord)
        .scalar_subquery()
    )
    query = select(UsageRecord).where(
        UsageRecord.account_id == AccountRecord.id,
        UsageRecord.region_id == RegionRecord.id,
        UsageRecord.measured_at == latest,
    )
    return {
        (row.account_id, row.region_id): _Measured(row.standard_bytes, row.archive_bytes)
        for row in session.scalars(query)
    }
