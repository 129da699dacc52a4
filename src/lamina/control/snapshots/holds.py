"""Holds: what was made from a snapshot and still exists."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, bindparam, delete, func, or_, select
from sqlalchemy.orm import Session

from lamina.control.snapshots.records import HoldRecord, LockRecord, SnapshotRecord
from lamina.control.snapshots.states import HolderKind, SnapshotUsage
from lamina.ids import SnapshotId

_FEW: Final = 2000  # as for tags
# part of every list of snapshots; see `tags.queries`
_HOLDS_ON: Final = select(HoldRecord.snapshot_id, HoldRecord.holder_kind).where(
    HoldRecord.snapshot_id.in_(bindparam("snapshot_ids", expanding=True))
)


def place_hold(session: Session, snapshot_id: SnapshotId, kind: HolderKind, holder_id: str) -> None:
    """Note that something was made from a snapshot; twice does no harm."""
    session.merge(HoldRecord(snapshot_id=snapshot_id, holder_kind=kind, holder_id=holder_id))
    session.flush()


def release_holds(session: Session, kind: HolderKind, holder_id: str) -> None:
    """What held snapshots is gone."""
    session.execute(
        delete(HoldRecord).where(HoldRecord.holder_kind == kind, HoldRecord.holder_id == holder_id)
    )


def drop_holds(session: Session, snapshot_id: SnapshotId) -> None:
    """The snapshot goes in spite of its holds."""
    session.execute(delete(HoldRecord).where(HoldRecord.snapshot_id == snapshot_id))


def list_holders(session: Session, snapshot_id: SnapshotId, kind: HolderKind) -> Sequence[str]:
    """The ids of what holds a snapshot, sorted."""
    return session.scalars(
        select(HoldRecord.holder_id)
        .where(HoldRecord.snapshot_id == snapshot_id, HoldRecord.holder_kind == kind)
        .order_by(HoldRecord.holder_id)
    ).all()


def is_kept(now: datetime) -> ColumnElement[bool]:
    """A condition for a query of snapshots: an image, a disk or a lock needs it, so that the service keeps it."""
    is_used = select(HoldRecord.snapshot_id).where(HoldRecord.snapshot_id == SnapshotRecord.id).exists()
    is_locked = (
        select(LockRecord.snapshot_id)
        .where(
            LockRecord.snapshot_id == SnapshotRecord.id,
            or_(LockRecord.expires_at.is_(None), LockRecord.expires_at > now),
        )
        .exists()
    )
    return or_(is_used, is_locked)


def has_usage(session: Session, usage: SnapshotUsage) -> list[ColumnElement[bool]]:
    """Conditions for a query of snapshots: these kinds of holders hold them, and no others.

    Where few snapshots are held, they are looked up; where many are, one comes soon on a walk along the list. Neither
    kind of database always picks the right one of both by itself.
    """
    wanted = next(kinds for kinds, found in _USAGES.items() if found is usage)
    conditions: list[ColumnElement[bool]] = []
    for kind in HolderKind:
        held = select(HoldRecord.snapshot_id).where(HoldRecord.holder_kind == kind)
        is_held = held.where(HoldRecord.snapshot_id == SnapshotRecord.id).exists()
        if kind in wanted:
            first = held.order_by(HoldRecord.holder_id).limit(_FEW + 1)  # as for tags
            counted = session.scalar(select(func.count()).select_from(first.subquery())) or 0
            conditions.append(SnapshotRecord.id.in_(held) if counted <= _FEW else is_held)
        else:
            conditions.append(~is_held)
    return conditions


def list_usages(session: Session, snapshot_ids: Sequence[SnapshotId]) -> Mapping[SnapshotId, SnapshotUsage]:
    """The usage of several snapshots."""
    held: dict[SnapshotId, set[HolderKind]] = {snapshot_id: set() for snapshot_id in snapshot_ids}
    if snapshot_ids:
        for snapshot_id, kind in session.execute(_HOLDS_ON, {"snapshot_ids": snapshot_ids}):
            held[snapshot_id].add(kind)
    return {snapshot_id: _USAGES[frozenset(kinds)] for snapshot_id, kinds in held.items()}


_USAGES: Final = {
    frozenset[HolderKind](): SnapshotUsage.NONE,
    frozenset({HolderKind.IMAGE}): SnapshotUsage.IMAGE,
    frozenset({HolderKind.DISK}): SnapshotUsage.DISK,
    frozenset(HolderKind): SnapshotUsage.IMAGE_DISK,
}
