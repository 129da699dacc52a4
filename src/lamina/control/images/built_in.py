"""The image that every region has: an empty system disk, for installations that have no image of their own yet.

It has no owner and no snapshot. Instances that are created from it start with an empty disk, onto which an operating
system is then installed, or an image written.
"""

from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.attach import SYSTEM_DEVICE
from lamina.control.disks.states import DiskRole
from lamina.control.images.queries import BUILT_IN_ID
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.images.states import (
    Architecture,
    BootMode,
    ImageOrigin,
    ImageState,
    LicenseType,
    OsType,
)
from lamina.control.regions.records import RegionRecord
from lamina.ids import ImageId, RegionId

_SIZE_GIB: Final = 1


def ensure_built_in_image(session: Session, clock: Clock, region: RegionRecord) -> ImageRecord:
    """Add the built-in image of a region, unless it is there.

    Ids are unique over all regions, so the first region's image has the plain id and the others' have the region in
    theirs. The plain id is understood everywhere; see `queries.find_usable_image`.
    """
    known = session.scalars(
        select(ImageRecord).where(
            ImageRecord.origin == ImageOrigin.BUILT_IN, ImageRecord.region_id == region.id
        )
    ).one_or_none()
    if known is not None:
        return known
    is_first = session.get(ImageRecord, BUILT_IN_ID) is None
    image_id = BUILT_IN_ID if is_first else ImageId(f"{BUILT_IN_ID.removesuffix('.vhd')}_{region.id}.vhd")
    image = ImageRecord(
        id=image_id,
        region_id=region.id,
        name=image_id,
        description="An empty system disk",
        platform="Others Linux",
        os_type=OsType.LINUX,
        architecture=Architecture.X86_64,
        boot_mode=BootMode.BIOS,
        license_type=LicenseType.AUTO,
        origin=ImageOrigin.BUILT_IN,
        state=ImageState.AVAILABLE,
        is_public=True,
        created_at=clock.now(),
    )
    session.add(image)
    session.flush()
    session.add(
        ImageDiskRecord(image_id=image.id, device=SYSTEM_DEVICE, role=DiskRole.SYSTEM, size_gib=_SIZE_GIB)
    )
    session.flush()
    return image


def drop_built_in_image(session: Session, region_id: RegionId) -> None:
    """Remove the built-in image of a region that is taken away; nothing was made from it."""
    is_it = (ImageRecord.origin == ImageOrigin.BUILT_IN, ImageRecord.region_id == region_id)
    disks = ImageDiskRecord.image_id.in_(select(ImageRecord.id).where(*is_it))
    session.execute(delete(ImageDiskRecord).where(disks))
    session.execute(delete(ImageRecord).where(*is_it))
