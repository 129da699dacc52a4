"""Reading what the plan for an account is made from."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from lamina.control.arrears.plan import Departure, PolicyFacts, SnapshotFacts, plan_arrears
from lamina.control.metering.records import FOREVER
from lamina.control.payments.queries import get_position
from lamina.control.policies.records import PolicyRecord
from lamina.control.snapshots.holds import is_kept
from lamina.control.snapshots.records import HoldRecord, LockRecord, SnapshotRecord
from lamina.control.snapshots.states import HolderKind, SnapshotState
from lamina.control.tariff.rules import RuleBook
from lamina.ids import AccountId, RegionId, SnapshotId


def forecast(
    session: Session, account_id: AccountId, now: datetime, rules: RuleBook
) -> tuple[Departure, ...]:
    """What becomes of an account that is there if it pays no bill; empty if nothing of it is ever due."""
    course = get_position(session, account_id, now, rules).course
    if course is None:
        return ()
    return plan_arrears(course, read_snapshots(session, account_id), read_policies(session, account_id))


def read_snapshots(session: Session, account_id: AccountId) -> Sequence[SnapshotFacts]:
    """The snapshots of an account, of all regions, as the plan looks at them."""
    rows = _read_rows(session, account_id)
    return _describe(rows, _read_holders(session, account_id), _read_locks(session, account_id))


def read_due_snapshots(
    session: Session,
    account_id: AccountId,
    now: datetime,
    *,
    is_purging: bool,
    among: Collection[str] | None = None,
) -> Sequence[SnapshotFacts]:
    """Those of the snapshots that the plan may name as due, so that the others are not read every minute.

    Args:
        session: one that reads is enough.
        account_id: whose.
        now: the present.
        is_purging: whether all may go, or only those whose retention has ended.
        among: only these ids; None is all.
    """
    conditions, of_locks = [~is_kept(now)], list[ColumnElement[bool]]()
    if not is_purging:
        conditions.append(SnapshotRecord.expires_at <= now)
    if among is not None:
        conditions.append(SnapshotRecord.id.in_(among))
        of_locks.append(LockRecord.snapshot_id.in_(among))
    rows = _read_rows(session, account_id, *conditions)
    # nothing holds them, and their locks have ended
    return _describe(rows, {}, _read_locks(session, account_id, *of_locks)) if rows else ()


def read_policies(session: Session, account_id: AccountId) -> Sequence[PolicyFacts]:
    """The policies of an account, of all regions."""
    rows = session.execute(
        select(PolicyRecord.id, PolicyRecord.region_id, PolicyRecord.name).where(
            PolicyRecord.account_id == account_id
        )
    )
    return [PolicyFacts(id=policy_id, region_id=region_id, name=name) for policy_id, region_id, name in rows]


class _Row(NamedTuple):
    id: SnapshotId
    region_id: RegionId
    name: str | None
    expires_at: datetime | None
    state: SnapshotState


def _read_rows(session: Session, account_id: AccountId, *conditions: ColumnElement[bool]) -> Sequence[_Row]:
    rows = session.execute(
        select(
            SnapshotRecord.id,
            SnapshotRecord.region_id,
            SnapshotRecord.name,
            SnapshotRecord.expires_at,
            SnapshotRecord.state,
        ).where(
            SnapshotRecord.account_id == account_id,
            SnapshotRecord.state != SnapshotState.DELETING,
            *conditions,
        )
    )
    return [_Row(*row) for row in rows]


def _describe(
    rows: Iterable[_Row],
    holders: Mapping[tuple[SnapshotId, HolderKind], Sequence[str]],
    locks: Mapping[SnapshotId, datetime],
) -> Sequence[SnapshotFacts]:
    return [
        SnapshotFacts(
            id=row.id,
            region_id=row.region_id,
            name=row.name,
            expires_at=row.expires_at,
            is_unfinished=row.state is SnapshotState.PROGRESSING,
            disks=tuple(holders.get((row.id, HolderKind.DISK), ())),
            images=tuple(holders.get((row.id, HolderKind.IMAGE), ())),
            locked_until=locks.get(row.id),
        )
        for row in rows
    ]


def _read_holders(
    session: Session, account_id: AccountId
) -> Mapping[tuple[SnapshotId, HolderKind], Sequence[str]]:
    holders: defaultdict[tuple[SnapshotId, HolderKind], list[str]] = defaultdict(list)
    rows = session.execute(
        select(HoldRecord.snapshot_id, HoldRecord.holder_kind, HoldRecord.holder_id)
        .join(SnapshotRecord, SnapshotRecord.id == HoldRecord.snapshot_id)
        .where(SnapshotRecord.account_id == account_id)
        .order_by(HoldRecord.holder_id)
    )
    for snapshot_id, kind, holder_id in rows:
        holders[snapshot_id, kind].append(holder_id)
    return holders


def _read_locks(
    session: Session, account_id: AccountId, *conditions: ColumnElement[bool]
) -> Mapping[SnapshotId, datetime]:
    """The ends of the locks; those that have not begun to count have none yet."""
    rows = session.execute(
        select(LockRecord.snapshot_id, LockRecord.expires_at).where(
            LockRecord.account_id == account_id, *conditions
        )
    )
    return {snapshot_id: ends_at or FOREVER for snapshot_id, ends_at in rows}
