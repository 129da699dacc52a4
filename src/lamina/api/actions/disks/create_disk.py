"""CreateDisk."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import INVALID_PARAMETER, MISSING_PARAMETER, SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_INHERITED, read_encryption
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.create import NewDisk
from lamina.control.disks.create import create_disk as create
from lamina.control.disks.errors import DiskCategoryError, DiskSizeError
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.instances.errors import InstanceNotFoundError
from lamina.control.instances.queries import get_instance
from lamina.control.regions.errors import RegionNotFoundError, ZoneNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
)
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import DiskId, InstanceId, RegionId, SnapshotId, ZoneId

_MAX_SIZE_GIB: Final = 65_536
_ALGORITHMS: Final = ("AES-256", "aes-256")
_BAD_SIZE: Final = Code(400, "InvalidDataDiskSize.ValueNotSupported")
_BAD_CATEGORY: Final = Code(400, "InvalidDataDiskCategory.ValueNotSupported")
_NO_ALGORITHM: Final = Code(400, "InvalidParameter.EncryptedNotSupported")
_TWO_PLACES: Final = Code(403, "InvalidParam.ZoneIdAndInstanceId.Conflict")
_PAID_BY_USE: Final = Code(403, "InvalidInstanceChargeType.ValueNotSupported")
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")
_WRONG_LEVEL: Final = Code(400, "InvalidPerformanceLevel.ValueNotSupported")
_NO_MULTI_ATTACH: Final = Code(403, "OperationDenied.ZoneNotSupportMultiAttachDisk")
_NO_BURSTING: Final = Code(400, "BurstingEnabledForDiskCategoryUnsupported")
_NO_IOPS: Final = Code(400, "ProvisionedIopsForDiskCategoryUnsupported")
_NO_FEATURES: Final = Code(403, "InvalidParameter.AdvancedFeatures")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDiskRequest:
    """Parameters; sizes in GiB."""

    region_id: RegionId
    zone_id: ZoneId | None = None
    instance_id: InstanceId | None = None
    disk_category: str = param(
        default=DiskCategory.CLOUD.value,
        choices=tuple(category.value for category in DiskCategory),
        malformed=_BAD_CATEGORY,
    )
    performance_level: str | None = param(
        default=None,
        choices=tuple(level.value for level in PerformanceLevel),
        malformed=Code(400, "InvalidPerformanceLevel.Malformed"),
    )
    size: int | None = param(default=None, between=(1, _MAX_SIZE_GIB), malformed=_BAD_SIZE)
    snapshot_id: SnapshotId | None = None
    disk_name: str | None = param(
        default=None, check=rules.check_name, malformed=Code(400, "InvalidDiskName.Malformed")
    )
    description: str | None = param(
        default=None, check=rules.check_description, malformed=Code(400, "InvalidDescription.Malformed")
    )
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    client_token: str | None = param(default=None, check=rules.check_client_token)
    encrypted: bool | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")
    encrypt_algorithm: str | None = None
    multi_attach: str = param(
        default="Disabled",
        choices=("Disabled", "Enabled"),
        malformed=Code(403, "InvalidParameter.MultiAttach"),
    )
    bursting_enabled: bool = False
    provisioned_iops: int | None = None
    resource_group_id: str | None = None
    storage_set_id: str | None = None
    storage_set_partition_number: int | None = None
    storage_cluster_id: str | None = None
    advanced_features: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDiskAnswer:
    """The disk, which is `Creating` for now."""

    disk_id: DiskId


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_INHERITED,
        RegionNotFoundError,
        ZoneNotFoundError,
        InstanceNotFoundError,
        SnapshotNotFoundError,
        SnapshotNotReadyError,
        SnapshotDataMissingError,
        DiskSizeError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
        TokenReusedError,
    ),
    answers=(
        MISSING_PARAMETER,
        INVALID_PARAMETER,
        SUSPENDED,
        _TWO_PLACES,
        _PAID_BY_USE,
        _NO_ALGORITHM,
        _WRONG_LEVEL,
        _NO_MULTI_ATTACH,
        _NO_BURSTING,
        _NO_IOPS,
        _NO_GROUP,
        _NO_FEATURES,
        DUPLICATE_TAG,
    ),
    errors={DiskCategoryError: _BAD_CATEGORY},
    resource="snapshot_id",
    not_offered={
        "the more exact codes of single parameters are answered": (
            "EncryptedOption.Conflict",
            "InvalidDiskCategory.NotSupported",
            "InvalidDiskCategory.ValueNotSupported",
            "InvalidDiskSize.NotSupported",
            "InvalidDiskSizeOrCategory",
            "InvalidParameter.Conflict",
            "InvalidSize.ValueNotSupported",
            "InvalidSnapshot.NotReady",
            "InvalidDataDiskCategory.NotSupported",
            "InvalidDiskCategory.ValueUnauthorized",
            "OperationDenied",
            "OperationDenied.PerformanceLevelNotMatch",
        ),
        "a size below the snapshot's is raised to it, as the current text says": (
            "InvalidDiskSize.TooSmall",
        ),
        "disks may be made from snapshots of system disks, as the FAQ says": (
            "InvalidSnapshotId.NotDataDiskSnapshot",
        ),
        "every accomplished snapshot can be used, however old or large": (
            "InvalidOperation.CreateFromSnapshotUnsupported",
            "InvalidSnapshot.TooLarge",
            "InvalidSnapshot.TooOld",
            "InvalidDiskCategory.ConflictSnapshotCategory",
            "OperationDenied.SnapshotNotAllowed",
        ),
        EXACT_KEY_CODES: (
            "InvalidEncrypted.NotMatchKmsKeyId",
            "InvalidKMSKeyId.NotSymmetric",
            "InvalidParam.EncryptedMismatch",
            "InvalidParameter.Encrypted.KmsNotEnabled",
            "InvalidParameter.KmsNotEnabled",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
            "NotSupportSnapshotEncrypted.DiskCategory",
        ),
        "disks are not attached to instances when they are made": (
            "InvalidInstance.NotFoundSystemDisk",
            "InstanceDiskCategoryLimitExceed",
            "InvalidStatus.Upgrading",
            "InvalidParameter.MultiAttachAndInstanceIdConflict",
        ),
        "disks of several instances, bursting and chosen IOPS are not there": (
            "BurstingEnabledForMultiAttachDiskUnsupported",
            "InvalidBurstingEnabled.DiskSizeTooSmall",
            "InvalidDiskSize.ExceedsMultiAttachLimit",
            "InvalidProvisionedIops.LimitExceed",
            "InvalidParameter.DiskCategoryAndMultiAttachConflict",
            "InvalidParameter.DiskCategoryAndMultiAttachNotMatch",
        ),
        "disks are not sold, so nothing is out of stock, over a purchase quota or under risk control": (
            "Account.Arrearage",
            "InvalidAccountStatus.SnapshotServiceUnavailable",
            "InvalidPayMethod",
            "InvalidRegion.NotSupport",
            "QuotaExceed.DiskCapacity",
            "QuotaExceed.PortableCloudDisk",
            "QuotaExceed.PostPaidDisk",
            "QuotaExceeded.PostpaidDataDiskCapacity",
            "RegionUnauthorized",
            "SecurityRisk.3DVerification",
            "UserNotInTheWhiteList",
            "Zone.NotOnSale",
        ),
        "a second call waits for the first one and gets its answer": ("LastTokenProcessing",),
    },
)
def create_disk(call: Call, scope: Scope, request: CreateDiskRequest) -> CreateDiskAnswer:
    """Create a disk, empty or from a snapshot; it is `Available` once its bytes are made."""
    zone_id = _choose_zone(scope, request)
    _refuse_what_is_not_offered(request)
    call.require_snapshot_service()  # a suspended account makes nothing new, empty disks neither
    if request.snapshot_id is None and request.size is None:
        raise ApiError(
            MISSING_PARAMETER, "The parameter Size is mandatory for a disk that no snapshot is given for"
        )
    level = request.performance_level
    disk = create(
        scope,
        NewDisk(
            zone_id=zone_id,
            category=DiskCategory(request.disk_category),
            performance_level=PerformanceLevel(level) if level else None,
            size_gib=request.size,
            snapshot_id=request.snapshot_id,
            encryption=read_encryption(request.kms_key_id, is_encrypted=request.encrypted),
            name=request.disk_name,
            description=request.description,
            tags=read_tags(request.tag),
        ),
    )
    return CreateDiskAnswer(disk_id=disk.id)


def _choose_zone(scope: Scope, request: CreateDiskRequest) -> ZoneId:
    if request.zone_id is not None and request.instance_id is not None:
        raise ApiError(_TWO_PLACES, "ZoneId and InstanceId exclude each other; give ZoneId")
    if request.instance_id is not None:
        get_instance(scope, request.instance_id)
        raise ApiError(
            _PAID_BY_USE, "InstanceId is for instances paid in advance; give ZoneId, and attach the disk"
        )
    if request.zone_id is None:
        raise ApiError(MISSING_PARAMETER, "The parameter ZoneId is mandatory for this action and is missing")
    return request.zone_id


def _refuse_what_is_not_offered(request: CreateDiskRequest) -> None:
    is_essd = request.disk_category == DiskCategory.CLOUD_ESSD.value
    refusals = (
        (
            request.encrypt_algorithm not in (None, *_ALGORITHMS),
            _NO_ALGORITHM,
            "EncryptAlgorithm is AES-256",
        ),
        (
            request.performance_level is not None and not is_essd,
            _WRONG_LEVEL,
            "PerformanceLevel is for cloud_essd",
        ),
        (request.multi_attach == "Enabled", _NO_MULTI_ATTACH, "disks of several instances are not offered"),
        (request.bursting_enabled, _NO_BURSTING, "bursting is not offered"),
        (request.provisioned_iops is not None, _NO_IOPS, "provisioned IOPS are not offered"),
        (request.resource_group_id is not None, _NO_GROUP, f"there is no group {request.resource_group_id}"),
        (request.storage_set_id is not None, INVALID_PARAMETER, "storage sets are not offered"),
        (request.storage_cluster_id is not None, INVALID_PARAMETER, "storage clusters are not offered"),
        (request.advanced_features is not None, _NO_FEATURES, "advanced features are not offered"),
    )
    for is_asked, code, message in refusals:
        if is_asked:
            raise ApiError(code, message)
