"""ExportImage."""

from dataclasses import dataclass

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES
from lamina.api.spec import Kind, action
from lamina.blockio.qemu.formats import ImageFormat
from lamina.control.buckets.errors import BucketNotFoundError
from lamina.control.images.encrypted import EncryptedExportError
from lamina.control.images.errors import ImageExportingError, ImageNotFoundError, ImageStateError
from lamina.control.images.export import NewExport
from lamina.control.images.export import export_image as export
from lamina.control.images.file_errors import ExportQuotaError, ExportSizeError, ForeignImageError
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import ImageId, RegionId, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportImageRequest:
    """Parameters; `RoleName` is accepted, and without effect."""

    region_id: RegionId
    image_id: ImageId
    oss_bucket: str = param(wire="OSSBucket")
    oss_prefix: str | None = param(
        default=None,
        wire="OSSPrefix",
        check=rules.check_object_prefix,
        malformed=Code(400, "InvalidOSSPrefix.Malformed"),
    )
    image_format: str = param(
        default=ImageFormat.RAW.value,
        choices=tuple(each.value for each in ImageFormat),
        malformed=Code(400, "InvalidImageFormat.Malformed"),
    )
    role_name: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportImageAnswer:
    """The task, which DescribeTasks shows as `ExportImage`."""

    task_id: TaskId
    region_id: RegionId


@action(
    kind=Kind.WRITES,
    raises=(
        EncryptedExportError,
        ImageNotFoundError,
        ForeignImageError,
        ImageExportingError,
        ExportSizeError,
        ExportQuotaError,
    ),
    errors={
        RegionNotFoundError: Code(400, "InvalidRegionId.NotFound"),
        ImageStateError: Code(400, "IncorrectImageStatus"),
        BucketNotFoundError: Code(400, "InvalidOSSBucket.NotFound"),
    },
    answers=(SUSPENDED,),
    resource="image_id",
    not_offered={
        "an export that fails later has the status Failed": ("ExportImageFailed",),
        "every region exports, in every format, as often as the account likes": (
            "InvalidImageFormat.RegionNotSupported",
            "InvalidRegion.NotSupport",
            "UserNotInTheWhiteList",
            "WeeklyQuotaExceed.ExportImage",
        ),
        EXACT_KEY_CODES: ("InvalidOSSBucket.EncryptUnsupported",),
        "the more exact codes are answered": (
            "ImageId.NotFound",
            "InvalidImageName.Malformed",
            "OperationDenied",
            "OperationDenied.ImageExporting",
            "OssBucket.NotFound",
            "OssPrefix.Malformed",
            "RegionId.NotFound",
        ),
        "a bucket of another region is not found, and one is open to its own account without a role": (
            "InvalidOSS.NotAuthorized",
            "InvalidOSSBucket.NotMatched",
            "NoSetRoletoECSServiceAcount",
        ),
        "licences are recorded only": ("InvalidImageLicense.NotSupported",),
        "objects in buckets are never archived": ("InvalidOSSObject.NeedRestore",),
        "a key without the permission gets Forbidden.RAM": ("Forbidden",),
    },
)
def export_image(call: Call, scope: Scope, request: ExportImageRequest) -> ExportImageAnswer:
    """Start to export an image to a bucket: one object for each of its disks."""
    call.require_snapshot_service()
    task_id = export(
        scope,
        NewExport(
            image_id=request.image_id,
            bucket=request.oss_bucket,
            prefix=request.oss_prefix,
            format=ImageFormat(request.image_format),
        ),
    )
    return ExportImageAnswer(task_id=task_id, region_id=scope.region_id)
