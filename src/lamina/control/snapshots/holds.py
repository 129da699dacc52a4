"""Holds: what was made from a snapshot and still exists."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from lamina.control.snapshots.records import HoldRecord
from lamina.control.snapshots.states import HolderKind, SnapshotUsage
from lamina.ids import SnapshotId


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


def list_usages(session: Session, snapshot_ids: Sequence[SnapshotId]) -> Mapping[SnapshotId, SnapshotUsage]:
    """The usage of several snapshots."""
    held: dict[SnapshotId, set[HolderKind]] = {snapshot_id: set() for snapshot_id in snapshot_ids}
    query = select(HoldRecord.snapshot_id, HoldRecord.holder_kind).where(
        HoldRecord.snapshot_id.in_(snapshot_ids)
    )
    for snapshot_id, kind in session.execute(query):
        held[snapshot_id].add(kind)
    return {snapshot_id: _USAGES[frozenset(kinds)] for snapshot_id, kinds in held.items()}


_USAGES = {
    frozenset[HolderKind](): SnapshotUsage.NONE,
    frozenset({HolderKind.IMAGE}): SnapshotUsage.IMAGE,
    frozenset({HolderKind.DISK}): SnapshotUsage.DISK,
    frozenset(HolderKind): SnapshotUsage.IMAGE_DISK,
}
