"""An image, as DescribeImages and DescribeImageFromFamily show it."""

from dataclasses import dataclass
from datetime import datetime

from lamina.api.schema import param
from lamina.api.shapes.tags import TagShape, show_tags
from lamina.control.images.queries import USABLE
from lamina.control.images.records import ImageDiskRecord
from lamina.control.images.states import ImageOrigin
from lamina.control.images.viewing import ImageView
from lamina.ids import ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDiskShape:
    """One disk of an image.

    Attributes:
        size: GiB as text, as the API documents it.
        snapshot_id: for the owner only; empty for an empty disk.
    """

    device: str
    type: str
    size: str
    snapshot_id: str
    progress: str
    remain_time: int
    format: str = ""
    import_oss_bucket: str = param(default="", wire="ImportOSSBucket")
    import_oss_object: str = param(default="", wire="ImportOSSObject")
    encrypted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFeaturesShape:
    """What Lamina does not tell apart is answered with its documented neutral value."""

    imds_support: str = "v1"
    nvme_support: str = "unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageShape:
    """One image; without any value where a family has none.

    Attributes:
        image_owner_alias: whose it is, from the viewer's side.
        is_self_shared: whether the viewer shares it; empty where it is another account's.
        size: GiB of the system disk.
        usage: whether the viewer has instances that were created from it.
    """

    image_id: ImageId | None = None
    image_name: str | None = None
    image_version: str | None = None
    image_family: str | None = None
    description: str | None = None
    status: str | None = None
    usable: bool | None = None
    progress: str | None = None
    usage: str | None = None
    image_owner_alias: str | None = None
    image_owner_id: int | None = None
    is_self_shared: str | None = None
    is_copied: bool | None = None
    is_public: bool | None = None
    is_subscribed: bool | None = None
    is_support_cloudinit: bool | None = None
    is_support_io_optimized: bool | None = None
    login_as_non_root_supported: bool | None = None
    os_type: str | None = param(default=None, wire="OSType")
    os_name: str | None = param(default=None, wire="OSName")
    os_name_en: str | None = param(default=None, wire="OSNameEn")
    platform: str | None = None
    architecture: str | None = None
    boot_mode: str | None = None
    license_type: str | None = None
    size: int | None = None
    creation_time: datetime | None = None
    features: ImageFeaturesShape | None = None
    product_code: str | None = None
    resource_group_id: str | None = None
    disk_device_mappings: tuple[ImageDiskShape, ...] | None = param(
        default=None, wire="DiskDeviceMappings/DiskDeviceMapping"
    )
    tags: tuple[TagShape, ...] | None = param(default=None, wire="Tags/Tag")


def show_image(view: ImageView) -> ImageShape:
    """An image for an answer."""
    image = view.image
    system_disk = view.disks[0] if view.disks else None  # an import does not know its disks at first
    name = f"{image.platform} {image.architecture.value}"
    return ImageShape(
        image_id=image.id,
        image_name=image.name,
        image_version=image.version or "",
        image_family=image.family or "",
        description=image.description or "",
        status=image.state.value,
        usable=image.state in USABLE,
        progress=f"{view.progress_percent}%",
        usage="instance" if view.is_used else "none",
        image_owner_alias=view.ownership.value,
        image_owner_id=None if image.account_id is None else int(image.account_id),
        is_self_shared="" if view.is_shared is None else str(view.is_shared),
        is_copied=image.origin is ImageOrigin.COPIED,
        is_public=image.is_public,
        is_subscribed=False,
        is_support_cloudinit=False,
        is_support_io_optimized=True,
        login_as_non_root_supported=False,
        os_type=image.os_type.value,
        os_name=name,
        os_name_en=name,
        platform=image.platform,
        architecture=image.architecture.value,
        boot_mode=image.boot_mode.value,
        license_type=image.license_type.value,
        size=system_disk.size_gib if system_disk is not None else 0,
        creation_time=image.created_at,
        features=ImageFeaturesShape(),
        product_code="",
        resource_group_id="",
        disk_device_mappings=tuple(_show_disk(view, disk) for disk in view.disks),
        tags=show_tags(view.tags),
    )


def _show_disk(view: ImageView, disk: ImageDiskRecord) -> ImageDiskShape:
    """Where the bytes of an image come from is the owner's business alone."""
    is_own = view.is_own
    return ImageDiskShape(
        device=disk.device,
        type=disk.role.value,
        size=str(disk.size_gib),
        snapshot_id=(disk.snapshot_id if is_own else None) or "",
        progress=f"{view.progress_percent}%",
        remain_time=view.remaining_seconds or 0,
        format=(disk.format if is_own else None) or "",
        import_oss_bucket=(disk.bucket if is_own else None) or "",
        import_oss_object=(disk.object_key if is_own else None) or "",
        encrypted=disk.snapshot_id in view.encrypted,
    )
