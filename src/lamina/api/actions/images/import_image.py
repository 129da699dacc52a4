"""ImportImage."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import DRY_RUN_PASSED, INVALID_PARAMETER, SUSPENDED, ApiError, Code
from lamina.api.idempotency import remember, replay
from lamina.api.schema import param
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.blockio.qemu.formats import ImageFormat
from lamina.control.buckets.errors import (
    BucketForbiddenError,
    BucketNotFoundError,
    ObjectKeyError,
    ObjectNotFoundError,
)
from lamina.control.buckets.queries import find_bucket
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.images.add import ImageFacts
from lamina.control.images.errors import (
    ImageDeviceError,
    ImageDeviceTakenError,
    ImageDiskCountError,
    ImageNameTakenError,
    ImageQuotaError,
    ImageSourceMissingError,
)
from lamina.control.images.file_errors import ImportDataDiskSizeError, ImportSizeError
from lamina.control.images.import_image import FileToImport, look_at_object
from lamina.control.images.import_image import import_image as start
from lamina.control.images.platforms import PLATFORMS
from lamina.control.images.states import Architecture, BootMode, LicenseType, OsType
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.database import insist
from lamina.ids import ImageId, RegionId, TaskId

_MAX_GIB: Final = 10**9  # what a disk may have is for the room of images to say
_MAX_MAPPINGS: Final = 17  # a system disk and sixteen data disks
_FORMATS: Final = {each.value.upper(): each for each in ImageFormat}
_BAD_SIZE: Final = Code(400, "InvalidImageSize")
_MALFORMED: Final = Code(403, "InvalidParameter.Malformed")
_NO_MAPPING: Final = Code(403, "MissingParameter.DiskDeviceMapping")
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportMapping:
    """One entry of `DiskDeviceMapping.N`, the first of which is the system disk. `DiskImSize` is the older name."""

    oss_bucket: str = param(wire="OSSBucket")
    oss_object: str = param(wire="OSSObject")
    format: str | None = param(
        default=None, choices=tuple(_FORMATS), malformed=Code(400, "InvalidFormat.Malformed")
    )
    disk_image_size: int | None = param(default=None, between=(1, _MAX_GIB), malformed=_BAD_SIZE)
    disk_im_size: int | None = param(default=None, between=(1, _MAX_GIB), malformed=_BAD_SIZE)
    device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFeatures:
    """`Features`: accepted, and without effect."""

    imds_support: str | None = param(default=None, choices=("v1", "v2"))
    nvme_support: str | None = param(default=None, choices=("supported", "unsupported"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportImageRequest:
    """Parameters; `RoleName` and `DetectionStrategy` are accepted, and without effect."""

    region_id: RegionId
    disk_device_mapping: tuple[ImportMapping, ...] = param(
        default=(), at_most=_MAX_MAPPINGS, malformed=_MALFORMED
    )
    image_name: str | None = param(
        default=None, check=rules.check_image_name, malformed=Code(400, "InvalidImageName.Malformed")
    )
    description: str | None = param(
        default=None, check=rules.check_description, malformed=Code(400, "InvalidDescription.Malformed")
    )
    architecture: str | None = param(
        default=None,
        choices=tuple(each.value for each in Architecture),
        malformed=Code(400, "InvalidArchitecture.Malformed"),
    )
    os_type: str | None = param(
        default=None,
        wire="OSType",
        choices=tuple(each.value for each in OsType),
        malformed=Code(400, "InvalidOSType.Malformed"),
    )
    platform: str | None = param(
        default=None, choices=PLATFORMS, malformed=Code(400, "InvalidPlatform.Malformed")
    )
    boot_mode: str | None = param(default=None, choices=tuple(each.value for each in BootMode))
    license_type: str = param(
        default=LicenseType.AUTO.value,
        choices=tuple(each.value for each in LicenseType),
        malformed=Code(400, "InvalidLicenseType.NotSupported"),
    )
    detection_strategy: str | None = param(default=None, choices=("Standard",))
    features: ImportFeatures | None = None
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    role_name: str | None = None
    storage_location_arn: str | None = None
    resource_group_id: str | None = None
    client_token: str | None = param(default=None, check=rules.check_client_token)
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportImageAnswer:
    """The image, which is `Waiting` for now, and the task that makes it."""

    image_id: ImageId
    task_id: TaskId
    region_id: RegionId


@action(
    kind=Kind.MOVES_DATA,
    raises=(
        BucketForbiddenError,
        ImportSizeError,
        ImportDataDiskSizeError,
        ImageNameTakenError,
        ImageQuotaError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
        TokenReusedError,
    ),
    errors={
        RegionNotFoundError: Code(400, "InvalidRegionId.NotFound"),
        BucketNotFoundError: Code(400, "InvalidOSSBucket.NotFound"),
        ObjectNotFoundError: Code(400, "InvalidOSSObject.NotFound"),
        ObjectKeyError: Code(400, "InvalidOSSObject.Malformed"),
        ImageSourceMissingError: _NO_MAPPING,
        ImageDiskCountError: _MALFORMED,
        ImageDeviceError: _MALFORMED,
        ImageDeviceTakenError: _MALFORMED,
    },
    answers=(SUSPENDED, DUPLICATE_TAG, INVALID_PARAMETER, _NO_GROUP),
    not_offered={
        "an import that fails later has the status CreateFailed": ("ImportImageFailed",),
        "a new image has no earlier state": ("ImageIsImporting", "IncorrectImageStatus"),
        "licences are recorded only": ("InvalidLicenseType.BYOLOnly",),
        "every region imports, for every account": ("InvalidRegion.NotSupport", "UserNotInTheWhiteList"),
        "the more exact codes are answered": ("InvalidImageFormat.Malformed", "RegionId.NotFound"),
        "a bucket of another region is not found, and one is open to its own account without a role": (
            "InvalidOSSBucket.NotMatched",
            "NoSetRoletoECSServiceAcount",
        ),
        "the quota of snapshots is counted by disk, and the disk of an imported one is new": (
            "QuotaExceed.Snapshot",
        ),
        "a key without the permission gets Forbidden.RAM": ("Forbbiden",),
    },
)
def import_image(call: Call, request: ImportImageRequest) -> ImportImageAnswer:
    """Start to import an image from objects in buckets: the first is its system disk.

    The bucket service is asked before the transaction begins: it may be another host, and may take its time.
    """
    call.require_snapshot_service()
    if request.storage_location_arn is not None:
        raise ApiError(INVALID_PARAMETER, "StorageLocationArn is not offered; a region has one object store")
    if request.resource_group_id is not None:
        raise ApiError(_NO_GROUP, f"there is no resource group {request.resource_group_id}")
    facts = _read_facts(request)
    with call.reading() as scope:
        known: ImportImageAnswer | None = replay(scope, import_image, request, is_reading=True)
        if known is not None:
            _stop_dry_run(request)
            return known
        for mapping in request.disk_device_mapping:
            find_bucket(scope, mapping.oss_bucket)
    files = tuple(_look_at(call, mapping) for mapping in request.disk_device_mapping)

    def write() -> ImportImageAnswer:
        with call.transaction() as scope:
            earlier: ImportImageAnswer | None = replay(scope, import_image, request)
            if earlier is not None:
                _stop_dry_run(request)
                return earlier
            image = start(scope, facts, files)
            assert image.task_id is not None, "an import has a task from its beginning"
            answer = ImportImageAnswer(image_id=image.id, task_id=image.task_id, region_id=image.region_id)
            _stop_dry_run(request)  # within the transaction, which is rolled back
            remember(scope, import_image, request, answer)
            return answer

    return insist(write)


def _stop_dry_run(request: ImportImageRequest) -> None:
    if request.dry_run:
        raise ApiError(DRY_RUN_PASSED, "Request validation has been passed with DryRun flag set.")


def _read_facts(request: ImportImageRequest) -> ImageFacts:
    return ImageFacts(
        name=request.image_name,
        description=request.description,
        platform=request.platform,
        os_type=OsType(request.os_type) if request.os_type is not None else None,
        architecture=Architecture(request.architecture) if request.architecture is not None else None,
        boot_mode=BootMode(request.boot_mode) if request.boot_mode is not None else None,
        license_type=LicenseType(request.license_type),
        tags=read_tags(request.tag),
    )


def _look_at(call: Call, mapping: ImportMapping) -> FileToImport:
    service = call.services.buckets.service(call.region_id)
    size_bytes, found = look_at_object(service, mapping.oss_bucket, mapping.oss_object)
    return FileToImport(
        bucket=mapping.oss_bucket,
        key=mapping.oss_object,
        format=_FORMATS[mapping.format] if mapping.format is not None else found,
        size_bytes=size_bytes,
        size_gib=mapping.disk_image_size or mapping.disk_im_size,
        device=mapping.device,
    )
