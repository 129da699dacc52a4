"""DeleteSnapshotGroup."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.errors import describe
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import GroupNotFoundError
from lamina.control.snapshots.groups.delete import MemberOutcome, delete_group
from lamina.ids import RegionId, SnapshotGroupId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSnapshotGroupRequest:
    """Parameters."""

    region_id: RegionId
    snapshot_group_id: SnapshotGroupId


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedItem:
    """What an entry is about."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationProgress:
    """What became of one snapshot: `Success`, or `Failed` with the code that DeleteSnapshot would give."""

    operation_status: str
    error_code: str
    error_msg: str
    related_item_set: tuple[RelatedItem, ...] = param(wire="RelatedItemSet/RelatedItem")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSnapshotGroupAnswer:
    """One entry per snapshot of the group."""

    operation_progress_set: tuple[OperationProgress, ...] = param(
        wire="OperationProgressSet/OperationProgress"
    )


@action(kind=Kind.WRITES, raises=(GroupNotFoundError,), resource="snapshot_group_id")
def delete_snapshot_group(
    _call: Call, scope: Scope, request: DeleteSnapshotGroupRequest
) -> DeleteSnapshotGroupAnswer:
    """Delete a snapshot group and its snapshots; one that an image uses or that is locked is kept."""
    outcomes = delete_group(scope, request.snapshot_group_id)
    return DeleteSnapshotGroupAnswer(operation_progress_set=tuple(_show(each) for each in outcomes))


def _show(outcome: MemberOutcome) -> OperationProgress:
    failed = describe(outcome.refusal, None) if outcome.refusal is not None else None
    return OperationProgress(
        operation_status="Success" if failed is None else "Failed",
        error_code="" if failed is None else failed.code.text,
        error_msg="" if failed is None else failed.message,
        related_item_set=(RelatedItem(name="SnapshotId", value=outcome.snapshot_id),),
    )
