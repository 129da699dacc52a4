"""ExportSnapshot."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.ids import RegionId, SnapshotId, TaskId

_REFUSED: Final = Code(403, "UserNotInTheWhiteList")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSnapshotRequest:
    """Parameters."""

    region_id: RegionId
    snapshot_id: SnapshotId
    oss_bucket: str
    role_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSnapshotAnswer:
    """Never given."""

    task_id: TaskId


@action(kind=Kind.READS, answers=(_REFUSED,), resource="snapshot_id")
def export_snapshot(
    _call: Call,
    _scope: Scope,
    request: ExportSnapshotRequest,  # noqa: ARG001 - its class is what is decoded
) -> ExportSnapshotAnswer:
    """Refused: a snapshot is not exported to a bucket; an image made from it is."""
    raise ApiError(
        _REFUSED,
        "Snapshots are not exported; create an image from the system-disk snapshot and use ExportImage",
    )
