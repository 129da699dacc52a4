"""Delete a snapshot group."""

from dataclasses import dataclass

from sqlalchemy import select

from lamina.control.scope import Scope
from lamina.control.snapshots.changes import mark_changed
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.groups.queries import get_group
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.control.tags.put import drop_tags
from lamina.control.tags.records import ResourceType
from lamina.failures import Refusal
from lamina.ids import SnapshotGroupId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberOutcome:
    """What became of one member.

    Attributes:
        snapshot_id: the member.
        refusal: why it was kept; None when it is deleted.
    """

    snapshot_id: SnapshotId
    refusal: Refusal | None


def delete_group(scope: Scope, group_id: SnapshotGroupId) -> tuple[MemberOutcome, ...]:
    """Delete a group with its snapshots, or cancel its creation.

    A member that an image uses, or that is locked, is kept as a snapshot of its own. Disks that were made from a
    member do not keep it, as with `force`.

    Raises:
        GroupNotFoundError: the account has no such group in this region.
    """
    group = get_group(scope, group_id)
    members = scope.session.scalars(
        select(SnapshotRecord.id)
        .where(
            SnapshotRecord.account_id == scope.account_id,
            SnapshotRecord.group_id == group_id,
            SnapshotRecord.state != SnapshotState.DELETING,
        )
        .order_by(SnapshotRecord.id)
    ).all()
    outcomes = tuple(_delete(scope, snapshot_id) for snapshot_id in members)
    for outcome in outcomes:
        if outcome.refusal is not None:
            kept = scope.session.get(SnapshotRecord, outcome.snapshot_id)
            assert kept is not None, "a refused deletion changes nothing"
            kept.group_id = None
            mark_changed(scope.session, kept.id)
    drop_tags(scope.session, ResourceType.SNAPSHOT_GROUP, group_id)
    scope.session.delete(group)
    scope.session.flush()
    return outcomes


def _delete(scope: Scope, snapshot_id: SnapshotId) -> MemberOutcome:
    try:
        delete_snapshot(scope, snapshot_id, force=True)
    except Refusal as refusal:
        return MemberOutcome(snapshot_id=snapshot_id, refusal=refusal)
    return MemberOutcome(snapshot_id=snapshot_id, refusal=None)
