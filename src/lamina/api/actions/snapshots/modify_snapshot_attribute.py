"""ModifySnapshotAttribute."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    RetentionDecreaseError,
    SnapshotNotFoundError,
    SnapshotUnfinishedError,
)
from lamina.control.snapshots.modify import SnapshotChange, modify_snapshot
from lamina.ids import SnapshotId

_MAX_RETENTION_DAYS: Final = 65_536
_NOTHING: Final = Code(400, "NoAttributeToModify")


def _check_description(text: str) -> str | None:
    return rules.check_description(text) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifySnapshotAttributeRequest:
    """Parameters. `DisableInstantAccess` is outdated: accepted, and without effect."""

    snapshot_id: SnapshotId
    snapshot_name: str | None = param(
        default=None, check=rules.check_snapshot_name, malformed=Code(400, "InvalidSnapshotName.Malformed")
    )
    description: str | None = param(
        default=None,
        check=_check_description,
        empty_counts=True,
        malformed=Code(404, "InvalidDescription.Malformed"),
    )
    retention_days: int | None = param(
        default=None, between=(1, _MAX_RETENTION_DAYS), malformed=Code(400, "InvalidRetentionDays.Malformed")
    )
    disable_instant_access: bool | None = param(
        default=None, malformed=Code(404, "InvalidSnapshotDisableInstantAccess.Malformed")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifySnapshotAttributeAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(SnapshotNotFoundError, RetentionDecreaseError),
    errors={SnapshotUnfinishedError: Code(400, "InvalidSnapshotId.NotReady")},
    answers=(_NOTHING,),
    resource="snapshot_id",
    not_offered={
        "the more exact code is answered": ("IncorrectDiskStatus.CreatingSnapshot",),
        "no snapshots are free of charge or managed by other products": (
            "InvalidOperation.DefaultFreeSnapshotNotSupport",
            "InvalidOperation.ResourceManagedByCloudProduct",
        ),
    },
)
def modify_snapshot_attribute(
    _call: Call, scope: Scope, request: ModifySnapshotAttributeRequest
) -> ModifySnapshotAttributeAnswer:
    """Rename a snapshot, describe it otherwise, or keep it longer."""
    asked = (
        request.snapshot_name,
        request.description,
        request.retention_days,
        request.disable_instant_access,
    )
    if all(value is None for value in asked):
        raise ApiError(_NOTHING, "name at least one of SnapshotName, Description and RetentionDays")
    modify_snapshot(
        scope,
        SnapshotChange(
            snapshot_id=request.snapshot_id,
            name=request.snapshot_name,
            description=request.description,
            retention_days=request.retention_days,
        ),
    )
    return ModifySnapshotAttributeAnswer()
