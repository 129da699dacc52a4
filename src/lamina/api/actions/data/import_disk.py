"""ImportDisk: an extension of Lamina."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import KEY_CHOSEN, read_encryption
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import ImportedDisk
from lamina.control.disks.create import import_disk as create
from lamina.control.disks.errors import DiskSizeError
from lamina.control.disks.states import DiskRole
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.regions.errors import RegionNotFoundError, ZoneNotFoundError
from lamina.control.scope import Scope
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import DiskId, RegionId, ZoneId
from lamina.units import TIB

_MAX_BYTES: Final = 64 * TIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportDiskRequest:
    """Parameters; the disk gets the next whole GiB."""

    region_id: RegionId
    zone_id: ZoneId
    size_in_bytes: int = param(between=(1, _MAX_BYTES))
    disk_category: str = param(
        default=DiskCategory.CLOUD_ESSD.value, choices=tuple(category.value for category in DiskCategory)
    )
    disk_type: str = param(default=DiskRole.DATA.value, choices=tuple(role.value for role in DiskRole))
    disk_name: str | None = param(
        default=None, check=rules.check_name, malformed=Code(400, "InvalidDiskName.Malformed")
    )
    description: str | None = param(
        default=None, check=rules.check_description, malformed=Code(400, "InvalidDescription.Malformed")
    )
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    encrypted: bool | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")
    client_token: str | None = param(default=None, check=rules.check_client_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportDiskAnswer:
    """The disk, which is `Creating` for now."""

    disk_id: DiskId


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_CHOSEN,
        RegionNotFoundError,
        ZoneNotFoundError,
        DiskSizeError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
        TokenReusedError,
    ),
    answers=(DUPLICATE_TAG,),
)
def import_disk(_call: Call, scope: Scope, request: ImportDiskRequest) -> ImportDiskAnswer:
    """Create an empty disk for bytes that exist elsewhere; write them through a connection."""
    disk = create(
        scope,
        ImportedDisk(
            zone_id=request.zone_id,
            size_bytes=request.size_in_bytes,
            category=DiskCategory(request.disk_category),
            role=DiskRole(request.disk_type),
            encryption=read_encryption(request.kms_key_id, is_encrypted=request.encrypted),
            name=request.disk_name,
            description=request.description,
            tags=read_tags(request.tag),
        ),
    )
    return ImportDiskAnswer(disk_id=disk.id)
