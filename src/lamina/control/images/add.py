"""What every new image goes through, wherever its disks come from: its name, the quotas, its row."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select

from lamina.control.images.errors import (
    FamilyImagesQuotaError,
    ImageFamilyQuotaError,
    ImageNameTakenError,
    ImageQuotaError,
)
from lamina.control.images.platforms import DEFAULT_PLATFORM, find_os_type
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import (
    Architecture,
    BootMode,
    ImageOrigin,
    ImageState,
    LicenseType,
    OsType,
)
from lamina.control.scope import Scope
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import ImageId, RegionId, mint_image_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What is said about an image to be. Names and descriptions were checked by whoever asks.

    Attributes:
        name: unique in the account and region; the image's id by default.
        family: the newest available image of a family is found by its name.
        platform: one of `platforms.PLATFORMS`; `Others Linux` by default.
        os_type: follows from the platform by default.
        architecture: 64-bit x86 by default.
        boot_mode: BIOS by default.
        tags: key to value.
    """

    name: str | None = None
    description: str | None = None
    family: str | None = None
    version: str | None = None
    platform: str | None = None
    os_type: OsType | None = None
    architecture: Architecture | None = None
    boot_mode: BootMode | None = None
    license_type: LicenseType = LicenseType.AUTO
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """Where an image comes from; the original of a copy may be in another region."""

    origin: ImageOrigin
    image_id: ImageId | None = None
    region_id: RegionId | None = None


def add_image(scope: Scope, facts: ImageFacts, source: ImageSource, state: ImageState) -> ImageRecord:
    """Add the row of an image to the scope's account and region; its disks are added by whoever calls this.

    Raises:
        ImageNameTakenError: the account has an image of that name in the region.
        ImageQuotaError: it has as many images there as it may have.
        ImageFamilyQuotaError, FamilyImagesQuotaError: the same with families, and with those of one family.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
    """
    if facts.name is not None:
        require_free_name(scope, facts.name)
    _require_room(scope)
    if facts.family is not None:
        require_room_in_family(scope, facts.family)
    image_id = mint_image_id()
    platform = facts.platform or DEFAULT_PLATFORM
    image = ImageRecord(
        id=image_id,
        account_id=scope.account_id,
        region_id=scope.region_id,
        name=facts.name or image_id,
        description=facts.description,
        family=facts.family,
        version=facts.version,
        platform=platform,
        os_type=facts.os_type or find_os_type(platform),
        architecture=facts.architecture or Architecture.X86_64,
        boot_mode=facts.boot_mode or BootMode.BIOS,
        license_type=facts.license_type,
        origin=source.origin,
        state=state,
        source_image_id=source.image_id,
        source_region_id=source.region_id,
        created_at=scope.clock.now(),
    )
    scope.session.add(image)
    scope.session.flush()
    put_tags(scope, ResourceType.IMAGE, image, facts.tags)
    return image


def require_free_name(scope: Scope, name: str, *, of: ImageId | None = None) -> None:
    """Let only a name pass that no other image of the account in the region has.

    Args:
        scope: in whose account and region.
        name: the name.
        of: the image that may have it.

    Raises:
        ImageNameTakenError: another image has it.
    """
    query = select(ImageRecord.id).where(
        ImageRecord.account_id == scope.account_id,
        ImageRecord.region_id == scope.region_id,
        ImageRecord.name == name,
    )
    if scope.session.scalars(query).one_or_none() not in (None, of):
        raise ImageNameTakenError(name)


def require_room_in_family(scope: Scope, family: str) -> None:
    """Let only a family pass that may get one image more.

    Raises:
        ImageFamilyQuotaError: it would be new, and the account has as many families in the region as it may have.
        FamilyImagesQuotaError: it has as many images as it may have.
    """
    counted = (
        select(ImageRecord.family, func.count())
        .where(
            ImageRecord.account_id == scope.account_id,
            ImageRecord.region_id == scope.region_id,
            ImageRecord.family.is_not(None),
        )
        .group_by(ImageRecord.family)
    )
    sizes = {row[0]: row[1] for row in scope.session.execute(counted)}
    if family not in sizes and len(sizes) >= scope.limits.image_families_per_region:
        raise ImageFamilyQuotaError(scope.limits.image_families_per_region)
    if sizes.get(family, 0) >= scope.limits.images_per_family:
        raise FamilyImagesQuotaError(family, scope.limits.images_per_family)


def _require_room(scope: Scope) -> None:
    query = select(func.count()).where(
        ImageRecord.account_id == scope.account_id, ImageRecord.region_id == scope.region_id
    )
    if (scope.session.scalar(query) or 0) >= scope.limits.images_per_region:
        raise ImageQuotaError(scope.limits.images_per_region)
