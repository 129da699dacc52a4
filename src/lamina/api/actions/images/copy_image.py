"""CopyImage."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_CHOSEN, read_encryption
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.images.copy import NewImageCopy
from lamina.control.images.copy import copy_image as copy
from lamina.control.images.copy_errors import (
    BuiltInCopyError,
    CommunityImageError,
    DestinationRegionError,
    SharedImageRegionError,
)
from lamina.control.images.encrypted import EncryptedImageCopyError
from lamina.control.images.errors import (
    ImageNameTakenError,
    ImageNotFoundError,
    ImageQuotaError,
    ImageStateError,
)
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotNotReadyError,
    SnapshotQuotaError,
)
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import ImageId, RegionId

_NO_ALGORITHM: Final = Code(400, "InvalidParameter.EncryptedIllegal")
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyImageRequest:
    """Parameters. Without a destination the copy stays in the region."""

    region_id: RegionId
    image_id: str
    destination_region_id: RegionId | None = None
    destination_image_name: str | None = param(
        default=None, check=rules.check_image_name, malformed=Code(400, "InvalidImageName.Malformed")
    )
    destination_description: str | None = param(
        default=None, check=rules.check_description, malformed=Code(400, "InvalidDescription.Malformed")
    )
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    encrypted: bool | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")
    encrypt_algorithm: str | None = None
    resource_group_id: str | None = None
    client_token: str | None = param(default=None, check=rules.check_client_token)
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyImageAnswer:
    """The copy, which is `Waiting` for now."""

    image_id: ImageId


@action(
    kind=Kind.WRITES,
    raises=(
        EncryptedImageCopyError,
        *KEY_CHOSEN,
        RegionNotFoundError,
        ImageNotFoundError,
        ImageStateError,
        ImageNameTakenError,
        ImageQuotaError,
        BuiltInCopyError,
        CommunityImageError,
        SharedImageRegionError,
        DestinationRegionError,
        SnapshotNotReadyError,
        SnapshotDataMissingError,
        SnapshotQuotaError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
        TokenReusedError,
    ),
    answers=(SUSPENDED, DUPLICATE_TAG, _NO_ALGORITHM, _NO_GROUP),
    resource="image_id",
    not_offered={
        EXACT_KEY_CODES: (
            "InvalidParameter.KmsNotEnabled",
            "InvalidEncrypted.NotMatchKmsKeyId",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
            "OperationDenied.EncryptSnapshotAcrossRegion",
            "OperationDenied.KmsServiceUnauthorized",
        ),
        "further copies wait for their turn": (
            "InvalidOperation.Conflict",
            "OperationDenied.ImageCopyConflict",
            "OperationDenied.ImageCopying",
        ),
        "every region copies to every other one, images of any size and format": (
            "IncorrectDestinationRegion",
            "InvalidOperation.VhdImageUnsupported",
            "InvalidRegion.NotSupport",
            "InvalidSnapshot.TooOld",
            "RegionNotSupportCopy",
            "SizeExceed.Image",
            "UserNotInTheWhiteList",
        ),
        "the more exact codes are answered": (
            "Account.Arrearage",
            "InvalidSnapshotId.NotFound",
            "OperationDenied.NotPublished",
            "SourceRegion.NotFound",
        ),
        "a key without the permission gets Forbidden.RAM": (
            "Forbbiden",
            "Forbidden",
            "InvalidAliUid.IsNull",
            "OperationDenied.NotAuthorized",
        ),
    },
)
def copy_image(call: Call, scope: Scope, request: CopyImageRequest) -> CopyImageAnswer:
    """Start a copy of an image, in another region or in its own."""
    call.require_snapshot_service()
    if request.resource_group_id is not None:
        raise ApiError(_NO_GROUP, f"there is no group {request.resource_group_id}")
    if request.encrypt_algorithm is not None and (
        not request.encrypted or request.encrypt_algorithm.upper() != "AES-256"
    ):
        raise ApiError(_NO_ALGORITHM, "EncryptAlgorithm is AES-256, and needs Encrypted")
    made = copy(
        scope,
        NewImageCopy(
            image_id=request.image_id,
            region_id=request.destination_region_id or request.region_id,
            name=request.destination_image_name,
            description=request.destination_description,
            encryption=read_encryption(request.kms_key_id, is_encrypted=request.encrypted),
            tags=read_tags(request.tag),
        ),
    )
    return CopyImageAnswer(image_id=made.id)
