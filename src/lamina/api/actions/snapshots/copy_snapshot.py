"""CopySnapshot."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_USED, read_encryption
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.keys.errors import KeyNotFoundError, KeyWithoutEncryptionError
from lamina.control.scope import Scope
from lamina.control.snapshots.copy import NewCopy
from lamina.control.snapshots.copy import copy_snapshot as copy
from lamina.control.snapshots.errors import (
    ArchivedCopyError,
    CopyNotOfferedError,
    CopyRegionError,
    EncryptedCopyError,
    SameRegionError,
    SnapshotDataMissingError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SnapshotQuotaError,
)
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import RegionId, SnapshotId

_MAX_RETENTION_DAYS: Final = 65_536
_NO_ROLES: Final = Code(400, "InvalidParameter.Arns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arn:
    """`Arn.N`: a role of the account that holds the key."""

    role_type: str | None = None
    rolearn: str | None = None
    assume_role_for: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySnapshotRequest:
    """Parameters."""

    snapshot_id: SnapshotId
    region_id: RegionId
    destination_region_id: RegionId
    destination_snapshot_name: str | None = param(
        default=None, check=rules.check_snapshot_name, malformed=Code(403, "InvalidSnapshotName.Malformed")
    )
    destination_snapshot_description: str | None = param(
        default=None, check=rules.check_description, malformed=Code(403, "InvalidDescription.Malformed")
    )
    retention_days: int | None = param(
        default=None, between=(1, _MAX_RETENTION_DAYS), malformed=Code(403, "InvalidRetentionDays.Malformed")
    )
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    client_token: str | None = param(
        default=None, check=rules.check_client_token, malformed=Code(403, "InvalidClientToken.Malformed")
    )
    encrypted: bool | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")
    arn: tuple[Arn, ...] = ()
    destination_storage_location_arn: str | None = None
    resource_group_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySnapshotAnswer:
    """The copy, which is `progressing` for now."""

    snapshot_id: SnapshotId


@action(
    kind=Kind.WRITES,
    raises=(
        EncryptedCopyError,
        *KEY_USED,
        ArchivedCopyError,
        CopyNotOfferedError,
        CopyRegionError,
        SameRegionError,
        SnapshotNotReadyError,
        SnapshotDataMissingError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
    ),
    errors={
        SnapshotNotFoundError: Code(403, "InvalidSnapshotId.NotFound"),  # 403 in the table of this action
        SnapshotQuotaError: Code(403, "QuotaExceed.SnapshotQuota"),
        KeyNotFoundError: Code(403, "InvalidParameter.KMSKeyId.NotFound"),
        KeyWithoutEncryptionError: Code(403, "InvalidEncrypted.NotMatchKmsKeyId"),
    },
    answers=(SUSPENDED, DUPLICATE_TAG, _NO_ROLES),
    resource="snapshot_id",
    not_offered={
        EXACT_KEY_CODES: (
            "InvalidParameter.KmsNotEnabled",
            "InvalidKMSKeyId.NotSymmetric",
            "InvalidOperation.UnfinishedEncryptedSnapshotCopy",
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
            "InvalidRegionId.NotSupportedEncryptedSnapshotCopy",
            "InvalidSnapshotCategory.NotSupportEncryptedCopy",
            "InvalidSnapshotId.EncryptedNotSupport",
        ),
        "any number of copies is made at a time": (
            "InvalidOperation.UnfinishedCrossRegionCopy",
            "InvalidOperation.Conflict",
        ),
        "the more exact codes are answered": (
            "InvalidRegionId.MalFormed",
            "InvalidSnapshotCategory.NotSupportCrossRegionCopy",
            "OperationDenied.SnapshotCategoryNotSupportCopy",
        ),
        "a key without the permission gets Forbidden.RAM": ("InvalidOperation.Unauthorized",),
        "the service is never inactive for an account": ("InvalidAccountStatus.SnapshotServiceUnavailable",),
    },
)
def copy_snapshot(call: Call, scope: Scope, request: CopySnapshotRequest) -> CopySnapshotAnswer:
    """Start a copy of a snapshot in another region, where the operator allows it."""
    if request.arn:
        raise ApiError(_NO_ROLES, "Arn is not offered; leave it out")
    call.require_snapshot_service()
    made = copy(
        scope,
        NewCopy(
            snapshot_id=request.snapshot_id,
            region_id=request.destination_region_id,
            name=request.destination_snapshot_name,
            description=request.destination_snapshot_description,
            retention_days=request.retention_days,
            encryption=read_encryption(request.kms_key_id, is_encrypted=request.encrypted),
            tags=read_tags(request.tag),
        ),
    )
    return CopySnapshotAnswer(snapshot_id=made.id)
