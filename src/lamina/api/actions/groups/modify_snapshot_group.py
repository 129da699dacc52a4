"""ModifySnapshotGroup."""

from dataclasses import dataclass

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import GroupNotFoundError
from lamina.control.snapshots.groups.modify import modify_group
from lamina.ids import RegionId, SnapshotGroupId


def _check_description(text: str) -> str | None:
    return rules.check_description(text) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifySnapshotGroupRequest:
    """Parameters."""

    region_id: RegionId
    snapshot_group_id: SnapshotGroupId
    name: str | None = param(
        default=None, check=rules.check_name, malformed=Code(400, "InvalidParameter.Name")
    )
    description: str | None = param(
        default=None,
        check=_check_description,
        empty_counts=True,
        malformed=Code(400, "InvalidParameter.Description"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifySnapshotGroupAnswer:
    """Nothing but the request id."""


@action(kind=Kind.WRITES, raises=(GroupNotFoundError,), resource="snapshot_group_id")
def modify_snapshot_group(
    _call: Call, scope: Scope, request: ModifySnapshotGroupRequest
) -> ModifySnapshotGroupAnswer:
    """Rename a snapshot group, or describe it otherwise."""
    modify_group(scope, request.snapshot_group_id, name=request.name, description=request.description)
    return ModifySnapshotGroupAnswer()
