"""ModifyImageSharePermission."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.shapes.encryption import EXACT_KEY_CODES
from lamina.api.spec import Kind, action
from lamina.control.images.encrypted import EncryptedImageError
from lamina.control.images.errors import (
    ImageNotFoundError,
    ImageStateError,
    OwnAccountError,
    ShareAccountError,
    ShareQuotaError,
)
from lamina.control.images.share import share_image
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import AccountId, ImageId, RegionId

_PER_CALL: Final = 10  # what goes beyond is ignored, as documented
_NO_COMMUNITY: Final = Code(403, "InvalidParameter.IsPublic")
_NO_LAUNCH_PERMISSION: Final = Code(400, "ForbiddenParameter.LaunchPermission")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyImageSharePermissionRequest:
    """Parameters."""

    region_id: RegionId
    image_id: ImageId
    add_account: tuple[AccountId, ...] = ()
    remove_account: tuple[AccountId, ...] = ()
    is_public: bool = False
    launch_permission: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyImageSharePermissionAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        EncryptedImageError,
        RegionNotFoundError,
        ImageNotFoundError,
        ImageStateError,
        OwnAccountError,
        ShareAccountError,
        ShareQuotaError,
    ),
    answers=(_NO_COMMUNITY, _NO_LAUNCH_PERMISSION),
    resource="image_id",
    not_offered={
        "only the operator makes images public": (
            "Image.NotPublic",
            "Image.Public",
            "InvalidGroup.Malformed",
            "InvalidParameter.LaunchPermission",
            "OperationDenied.InvalidImageStatus",
            "PublicImageAgreement.NotSigned",
            "UnnecessaryParameter.LaunchPermission",
        ),
        EXACT_KEY_CODES: (
            "InvalidOperation.ServiceKeyEncryptedImageUnsupported",
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
        ),
        "images with data disks are shared like others": ("OperationDeined.FullImage",),
        "there are no roles to assume and no partners": ("AssumeRoleError", "InvalidImageId.BidMismatch"),
        "any number of images is shared": ("QuotaExceed.ShareImage",),
    },
)
def modify_image_share_permission(
    _call: Call, scope: Scope, request: ModifyImageSharePermissionRequest
) -> ModifyImageSharePermissionAnswer:
    """Share an image with other accounts, and unshare it."""
    if request.is_public:
        raise ApiError(_NO_COMMUNITY, "IsPublic is not offered; the operator makes images public")
    if request.launch_permission is not None:
        raise ApiError(
            _NO_LAUNCH_PERMISSION, "LaunchPermission is not offered; name accounts by AddAccount.N"
        )
    share_image(
        scope,
        request.image_id,
        add=request.add_account[:_PER_CALL],
        remove=request.remove_account[:_PER_CALL],
    )
    return ModifyImageSharePermissionAnswer()
