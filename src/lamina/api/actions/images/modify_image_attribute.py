"""ModifyImageAttribute."""

from dataclasses import dataclass

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.images.errors import (
    FamilyImagesQuotaError,
    ImageFamilyQuotaError,
    ImageNameTakenError,
    ImageNotFoundError,
    ImageSharedError,
    ImageStateError,
)
from lamina.control.images.modify import ImageChange, modify_image
from lamina.control.images.states import BootMode, ImageState, LicenseType
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import ImageId, RegionId


def _check_description(text: str) -> str | None:
    return rules.check_description(text) if text else None


def _check_family(text: str) -> str | None:
    return rules.check_image_name(text) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifiedFeatures:
    """`Features`: accepted, and without effect."""

    imds_support: str | None = param(default=None, choices=("v1", "v2"))
    nvme_support: str | None = param(default=None, choices=("supported", "unsupported"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyImageAttributeRequest:
    """Parameters; what is not given stays, and an empty description or family is taken away."""

    region_id: RegionId
    image_id: ImageId
    image_name: str | None = param(
        default=None, check=rules.check_image_name, malformed=Code(400, "InvalidImageName.Malformed")
    )
    description: str | None = param(
        default=None,
        check=_check_description,
        empty_counts=True,
        malformed=Code(400, "InvalidDescription.Malformed"),
    )
    image_family: str | None = param(
        default=None,
        check=_check_family,
        empty_counts=True,
        malformed=Code(400, "InvalidImageFamily.Malformed"),
    )
    status: str | None = param(
        default=None, choices=(ImageState.DEPRECATED.value, ImageState.AVAILABLE.value)
    )
    boot_mode: str | None = param(default=None, choices=tuple(each.value for each in BootMode))
    license_type: str | None = param(default=None, choices=(LicenseType.BYOL.value,))
    features: ModifiedFeatures | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyImageAttributeAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        RegionNotFoundError,
        ImageNotFoundError,
        ImageNameTakenError,
        ImageFamilyQuotaError,
        FamilyImagesQuotaError,
        ImageStateError,
        ImageSharedError,
    ),
    resource="image_id",
)
def modify_image_attribute(
    _call: Call, scope: Scope, request: ModifyImageAttributeRequest
) -> ModifyImageAttributeAnswer:
    """Rename an image, describe it otherwise, move it to a family, or deprecate it."""
    modify_image(
        scope,
        request.image_id,
        ImageChange(
            name=request.image_name,
            description=request.description,
            family=request.image_family,
            boot_mode=BootMode(request.boot_mode) if request.boot_mode is not None else None,
            license_type=LicenseType(request.license_type) if request.license_type is not None else None,
            state=ImageState(request.status) if request.status is not None else None,
        ),
    )
    return ModifyImageAttributeAnswer()
