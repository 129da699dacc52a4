"""ModifySnapshotCategory."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots.archive import archive_snapshot
from lamina.control.snapshots.errors import (
    ArchivingQuotaError,
    EncryptedArchiveError,
    RetentionBelowLockError,
    RetentionDecreaseError,
    SnapshotAgeError,
    SnapshotArchivedError,
    SnapshotNotFoundError,
    SnapshotUnfinishedError,
)
from lamina.ids import SnapshotId, TaskId

# 14 days as a standard snapshot and 60 as an archive
_RETENTION_DAYS: Final = (74, 65_536)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifySnapshotCategoryRequest:
    """Parameters. Without `RetentionDays` the snapshot is kept for ever."""

    snapshot_id: SnapshotId
    category: str = param(
        default="Archive", choices=("Archive",), malformed=Code(400, "InvalidParameter.SnapshotCategory")
    )
    retention_days: int | None = param(
        default=None, between=_RETENTION_DAYS, malformed=Code(400, "InvalidRetentionDays.Malformed")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifySnapshotCategoryAnswer:
    """The task that archives it; see DescribeTasks."""

    task_id: TaskId


@action(
    kind=Kind.WRITES,
    raises=(
        EncryptedArchiveError,
        SnapshotNotFoundError,
        SnapshotArchivedError,
        SnapshotAgeError,
        RetentionDecreaseError,
        RetentionBelowLockError,
        ArchivingQuotaError,
    ),
    errors={SnapshotUnfinishedError: Code(400, "InvalidStatus.SnapshotUnfinished")},
    resource="snapshot_id",
    not_offered={
        "the more exact code is answered": ("InvalidSnapshotId.NotReady",),
        "there are no cloud boxes, no shared or free snapshots, and none that other products manage": (
            "InvalidOperation.ArchiveCloudBoxSnapshotUnsupported",
            "InvalidOperation.ArchiveSharedSnapshotUnsupported",
            "InvalidOperation.DefaultFreeSnapshotNotSupport",
            "InvalidOperation.ResourceManagedByCloudProduct",
        ),
        "instant access has no effect": ("InvalidOperation.InstantAccessEnabledUnsupport",),
    },
)
def modify_snapshot_category(
    _call: Call, scope: Scope, request: ModifySnapshotCategoryRequest
) -> ModifySnapshotCategoryAnswer:
    """Archive a standard snapshot for good; it can be used as before."""
    task_id = archive_snapshot(scope, request.snapshot_id, request.retention_days)
    return ModifySnapshotCategoryAnswer(task_id=task_id)
