"""Rename an image, describe it otherwise, deprecate it (ModifyImageAttribute)."""

from dataclasses import dataclass

from lamina.control.images.add import require_free_name, require_room_in_family
from lamina.control.images.errors import ImageSharedError, ImageStateError
from lamina.control.images.queries import USABLE, get_own_image
from lamina.control.images.records import ImageRecord
from lamina.control.images.share import list_sharers
from lamina.control.images.states import BootMode, ImageState, LicenseType
from lamina.control.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChange:
    """What is to be changed; None stays as it is, and an empty description or family is taken away.

    Attributes:
        state: `Deprecated` or `Available`.
    """

    name: str | None = None
    description: str | None = None
    family: str | None = None
    boot_mode: BootMode | None = None
    license_type: LicenseType | None = None
    state: ImageState | None = None


def modify_image(scope: Scope, image_id: str, change: ImageChange) -> ImageRecord:
    """Change an image of the account.

    Raises:
        ImageNotFoundError: the account has no such image in the region.
        ImageNameTakenError: it has another image of that name there.
        ImageFamilyQuotaError, FamilyImagesQuotaError: the family cannot get this image.
        ImageStateError: its state is to be changed, and is neither `Available` nor `Deprecated`.
        ImageSharedError: it is to be deprecated, and is shared.
    """
    image = get_own_image(scope, image_id)
    if change.name is not None:
        require_free_name(scope, change.name, of=image.id)
        image.name = change.name
    if change.description is not None:
        image.description = change.description or None
    if change.family is not None and (change.family or None) != image.family:
        if change.family:
            require_room_in_family(scope, change.family)
        image.family = change.family or None
    if change.boot_mode is not None:
        image.boot_mode = change.boot_mode
    if change.license_type is not None:
        image.license_type = change.license_type
    if change.state is not None:
        _move_to(scope, image, change.state)
    return image


def _move_to(scope: Scope, image: ImageRecord, state: ImageState) -> None:
    if image.state not in USABLE:
        raise ImageStateError(image.id, image.state)
    if image.state is state:
        return
    if state is ImageState.DEPRECATED:
        sharers = list_sharers(scope.session, image.id)
        if sharers:
            raise ImageSharedError(image.id, sharers)
    image.move_to(state)
