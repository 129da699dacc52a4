"""Reading what the plan for an account is made from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

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
from lamina.ids import AccountId, SnapshotId


def forecast(
    session: Session, account_id: AccountId, now: datetime, rules: RuleBook
) -> tuple[Departure, ...]:
    """What becomes of an account that is there if it pays no bill; empty if nothing of it is ever due."""
    course = get_position(session, account_id, now, rules).course
    if course is None:
        return ()
    return plan_arrears(course, read_snapshots(session, account_id), read_policies(session, account_id))


def read_snapshots(
    session: Session, account_id: AccountId, *conditions: ColumnElement[bool]
) -> Sequence[SnapshotFacts]:
    """The snapshots of an account, of all regions, as the plan looks at them; those that meet the conditions."""
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
    ).all()
    if not rows:
        return ()
    holders, locks = _read_holders(session, account_id), _read_locks(session, account_id)
    return [
        SnapshotFacts(
            id=snapshot_id,
            region_id=region_id,
            name=name,
            expires_at=expires_at,
            is_unfinished=state is SnapshotState.PROGRESSING,
            disks=tuple(holders[snapshot_id, HolderKind.DISK]),
            images=tuple(holders[snapshot_id, HolderKind.IMAGE]),
            locked_until=locks.get(snapshot_id),
        )
        for snapshot_id, region_id, name, expires_at, state in rows
    ]


def read_due_snapshots(
    session: Session, account_id: AccountId, now: datetime, *, is_purging: bool
) -> Sequence[SnapshotFacts]:
    """Those of the snapshots that the plan may name as due, so that the others are not read every minute."""
    conditions = [~is_kept(now)]
    if not is_purging:
        conditions.append(SnapshotRecord.expires_at <= now)
    return read_snapshots(session, account_id, *conditions)


def read_policies(session: Session, account_id: AccountId) -> Sequence[PolicyFacts]:
    """The policies of an account, of all regions."""
    rows = session.execute(
        select(PolicyRecord.id, PolicyRecord.region_id, PolicyRecord.name).where(
            PolicyRecord.account_id == account_id
        )
    )
    return [PolicyFacts(id=policy_id, region_id=region_id, name=name) for policy_id, region_id, name in rows]


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


def _read_locks(session: Session, account_id: AccountId) -> Mapping[SnapshotId, datetime]:
    """The ends of the locks; those that have not begun to count have none yet."""
    rows = session.execute(
        select(LockRecord.snapshot_id, LockRecord.expires_at).where(LockRecord.account_id == account_id)
    )
    return {snapshot_id: ends_at or FOREVER for snapshot_id, ends_at in rows}
