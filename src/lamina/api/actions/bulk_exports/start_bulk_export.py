"""StartBulkExport: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.blockio.qemu.formats import ImageFormat
from lamina.control.buckets.errors import BucketNotFoundError
from lamina.control.bulk_exports.errors import (
    BulkConcurrencyError,
    BulkExportQuotaError,
    BulkItemQuotaError,
    BulkSourceMissingError,
)
from lamina.control.bulk_exports.start import NewBulkExport
from lamina.control.bulk_exports.start import start_bulk_export as start
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.images.encrypted import EncryptedSystemSnapshotError
from lamina.control.images.errors import ArchivedSourceError, ImageNotFoundError, NotSystemSnapshotError
from lamina.control.images.file_errors import ForeignImageError
from lamina.control.instances.errors import InstanceNotFoundError
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
)
from lamina.ids import BulkExportId, ImageId, InstanceId, RegionId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class StartBulkExportRequest:
    """Parameters; bucket, prefix and format are those of ExportImage.

    `Concurrency` is how many items are worked on at once. `DeleteImages` removes each image that was made for this
    when it is exported, with the snapshots that were taken for it; images that are named by `ImageId.N` stay.
    """

    region_id: RegionId
    instance_id: tuple[InstanceId, ...] = ()
    snapshot_id: tuple[SnapshotId, ...] = ()
    image_id: tuple[ImageId, ...] = ()
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
    concurrency: int | None = None
    delete_images: bool = False
    client_token: str | None = param(default=None, check=rules.check_client_token)
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartBulkExportAnswer:
    """The bulk export, which DescribeBulkExport shows."""

    bulk_export_id: BulkExportId


@action(
    kind=Kind.WRITES,
    raises=(
        RegionNotFoundError,
        BulkSourceMissingError,
        BulkItemQuotaError,
        BulkConcurrencyError,
        BulkExportQuotaError,
        InstanceNotFoundError,
        SnapshotNotFoundError,
        SnapshotNotReadyError,
        SnapshotDataMissingError,
        ArchivedSourceError,
        NotSystemSnapshotError,
        EncryptedSystemSnapshotError,
        ImageNotFoundError,
        ForeignImageError,
        TokenReusedError,
    ),
    errors={BucketNotFoundError: Code(400, "InvalidOSSBucket.NotFound")},
    answers=(SUSPENDED,),
    resource="oss_bucket",
)
def start_bulk_export(call: Call, scope: Scope, request: StartBulkExportRequest) -> StartBulkExportAnswer:
    """Start to make images of many instances and snapshots, and to export them and others to a bucket."""
    call.require_snapshot_service()
    bulk = start(
        scope,
        NewBulkExport(
            instance_ids=request.instance_id,
            snapshot_ids=request.snapshot_id,
            image_ids=request.image_id,
            bucket=request.oss_bucket,
            prefix=request.oss_prefix,
            format=ImageFormat(request.image_format),
            concurrency=request.concurrency,
            deletes_images=request.delete_images,
        ),
    )
    return StartBulkExportAnswer(bulk_export_id=bulk.id)
