"""CreateImage."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_USED
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskNeverUsedError,
    DiskStateError,
    NeverAttachedError,
)
from lamina.control.disks.states import DiskRole
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.images.add import ImageFacts
from lamina.control.images.create import NewImage
from lamina.control.images.create import create_image as create
from lamina.control.images.encrypted import EncryptedSystemSnapshotError
from lamina.control.images.errors import (
    ArchivedSourceError,
    FamilyImagesQuotaError,
    ImageDeviceError,
    ImageDeviceTakenError,
    ImageDiskCountError,
    ImageDiskSizeError,
    ImageDiskTypeError,
    ImageFamilyQuotaError,
    ImageNameTakenError,
    ImageQuotaError,
    ImageSourceMissingError,
    ImageWithoutSystemDiskError,
    NotSystemSnapshotError,
    SystemSnapshotCountError,
    SystemSnapshotMissingError,
)
from lamina.control.images.plan import DiskOfImage
from lamina.control.images.platforms import PLATFORMS
from lamina.control.images.states import Architecture, BootMode
from lamina.control.instances.errors import (
    InstanceNotFoundError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotInProgressError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SnapshotQuotaError,
)
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import ImageId, InstanceId, RegionId, SnapshotId
from lamina.tasks.errors import TaskBusyError

_MAX_MAPPINGS: Final = 17  # a system disk and sixteen data disks
_MAX_VERSION: Final = 40
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")
_BAD_SIZE: Final = Code(400, "InvalidSize.ValueNotSupported")
_BAD_FEATURE: Final = Code(400, "InvalidParameter.FeaturesImdsSupport")
_BAD_BOOT_MODE: Final = Code(400, "InvalidBootMode.NotSupport")
_NO_SECURE_BOOT: Final = Code(400, "InvalidParameter.SecureBootOptions")


def _check_version(text: str) -> str | None:
    if len(text) > _MAX_VERSION:
        return f"a version has at most {_MAX_VERSION} characters, not {len(text)}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskDeviceMapping:
    """One entry of `DiskDeviceMapping.N`; an entry without a snapshot is an empty data disk."""

    snapshot_id: SnapshotId | None = None
    device: str | None = None
    disk_type: str | None = param(
        default=None,
        choices=tuple(role.value for role in DiskRole),
        malformed=Code(400, "InvalidDiskType.ValueNotSupported"),
    )
    size: int | None = param(default=None, malformed=_BAD_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFeatures:
    """`Features`: accepted, and without effect."""

    imds_support: str | None = param(default=None, choices=("v1", "v2"), malformed=_BAD_FEATURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureBootOptions:
    """`SecureBootOptions`: accepted, and without effect."""

    secure_boot_support: str | None = param(
        default=None, choices=("supported", "unsupported"), malformed=_NO_SECURE_BOOT
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateImageRequest:
    """Parameters. Of the three sources the first that is given counts: instance, mappings, snapshot."""

    region_id: RegionId
    instance_id: InstanceId | None = None
    disk_device_mapping: tuple[DiskDeviceMapping, ...] = param(
        default=(), at_most=_MAX_MAPPINGS, malformed=Code(400, "OperationDenied")
    )
    snapshot_id: SnapshotId | None = None
    image_name: str | None = param(
        default=None, check=rules.check_image_name, malformed=Code(400, "InvalidImageName.Malformed")
    )
    image_family: str | None = param(
        default=None, check=rules.check_image_name, malformed=Code(400, "InvalidImageFamily.Malformed")
    )
    image_version: str | None = param(
        default=None, check=_check_version, malformed=Code(400, "InvalidImageVersion.Malformed")
    )
    description: str | None = param(
        default=None, check=rules.check_description, malformed=Code(400, "InvalidDescription.Malformed")
    )
    platform: str | None = param(
        default=None, choices=PLATFORMS, malformed=Code(400, "InvalidPlatform.Malformed")
    )
    architecture: str | None = param(
        default=None,
        choices=tuple(each.value for each in Architecture),
        malformed=Code(400, "InvalidArchitecture.Malformed"),
    )
    boot_mode: str | None = param(
        default=None, choices=tuple(each.value for each in BootMode), malformed=_BAD_BOOT_MODE
    )
    detection_strategy: str | None = param(default=None, choices=("Standard",))
    features: ImageFeatures | None = None
    secure_boot_options: SecureBootOptions | None = None
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    client_token: str | None = param(default=None, check=rules.check_client_token)
    resource_group_id: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateImageAnswer:
    """The image, which is `Creating` while snapshots are taken for it."""

    image_id: ImageId


@action(
    kind=Kind.WRITES,
    raises=(
        EncryptedSystemSnapshotError,
        *KEY_USED,
        RegionNotFoundError,
        ImageSourceMissingError,
        ImageNameTakenError,
        ImageQuotaError,
        ImageFamilyQuotaError,
        FamilyImagesQuotaError,
        InstanceNotFoundError,
        ImageWithoutSystemDiskError,
        DiskStateError,
        NeverAttachedError,
        SnapshotInProgressError,
        SnapshotQuotaError,
        TaskBusyError,
        SnapshotNotFoundError,
        SnapshotNotReadyError,
        SnapshotDataMissingError,
        ArchivedSourceError,
        NotSystemSnapshotError,
        SystemSnapshotCountError,
        SystemSnapshotMissingError,
        ImageDiskCountError,
        ImageDiskSizeError,
        ImageDiskTypeError,
        ImageDeviceError,
        ImageDeviceTakenError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
    ),
    errors={
        InstanceStateError: Code(400, "IncorrectInstanceStatus"),
        InstanceSecurityLockError: Code(400, "InstanceLockedForSecurity"),
        DiskCategoryError: Code(400, "InvalidDiskCategory.CreateImage"),
        DiskNeverUsedError: Code(403, "IncorrectDiskStatus.NeverAttached"),
        TokenReusedError: Code(400, "IdempotenceParamNotMatch"),
    },
    answers=(SUSPENDED, DUPLICATE_TAG, _NO_GROUP),
    resource="instance_id",
    not_offered={
        "the more exact codes are answered": (
            "IncorrectDiskStatus.Invalid",
            "IncorrectDiskStatus.Transferring",
            "InvalidInstanceId.ValueNotSupported",
            "InvalidOperation.DiskCategoryUnsupported",
            "InvalidParameter.AllEmpty",
            "InvalidParamter.Conflict",
            "InvalidSnapshotCategory.NotSupportImageCreation",
            "SnapshotNotReady",
            "TooManySnapshot.Unfinished",
        ),
        "instances do not hibernate, and need no restart": (
            "HibernationConfigured.InstanceOperationForbidden",
            "IncorrectInstanceStatus.NeedRestart",
        ),
        "the service is offered to every account": (
            "InvalidAccountStatus.SnapshotServiceUnavailable",
            "UserNotInTheWhiteList",
        ),
        EXACT_KEY_CODES: ("InvalidParameter.KMSKeyId.KMSUnauthorized",),
        "no snapshot is too old for an image": ("InvalidSnapshot.TooOld",),
        "one snapshot of a disk is created at a time": ("QuotaExceed.ConcurrentSnapshotQuota",),
    },
)
def create_image(call: Call, scope: Scope, request: CreateImageRequest) -> CreateImageAnswer:
    """Make an image of an instance, with a snapshot of each of its disks; or of snapshots."""
    if request.resource_group_id is not None:
        raise ApiError(_NO_GROUP, f"there is no resource group {request.resource_group_id}")
    call.require_snapshot_service()
    image = create(
        scope,
        NewImage(
            facts=_read_facts(request),
            instance_id=request.instance_id,
            disks=tuple(_read_disk(mapping) for mapping in request.disk_device_mapping),
            snapshot_id=request.snapshot_id,
        ),
    )
    return CreateImageAnswer(image_id=image.id)


def _read_facts(request: CreateImageRequest) -> ImageFacts:
    return ImageFacts(
        name=request.image_name,
        description=request.description,
        family=request.image_family,
        version=request.image_version,
        platform=request.platform,
        architecture=Architecture(request.architecture) if request.architecture is not None else None,
        boot_mode=BootMode(request.boot_mode) if request.boot_mode is not None else None,
        tags=read_tags(request.tag),
    )


def _read_disk(mapping: DiskDeviceMapping) -> DiskOfImage:
    return DiskOfImage(
        snapshot_id=mapping.snapshot_id,
        device=mapping.device,
        size_gib=mapping.size,
        role=DiskRole(mapping.disk_type) if mapping.disk_type is not None else None,
    )
