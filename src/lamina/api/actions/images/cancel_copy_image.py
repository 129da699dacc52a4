"""CancelCopyImage."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.images.cancel_copy import cancel_copy
from lamina.control.images.copy_errors import CopyEndedError, NotCopiedError
from lamina.control.images.errors import ImageNotFoundError
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import ImageId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCopyImageRequest:
    """Parameters; the region is that of the copy."""

    region_id: RegionId
    image_id: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCopyImageAnswer:
    """Nothing beyond the request id."""


@action(
    kind=Kind.WRITES,
    raises=(RegionNotFoundError, ImageNotFoundError, NotCopiedError, CopyEndedError),
    resource="image_id",
    not_offered={
        "the more exact codes are answered": ("CancelNotSupported",),
        "there is no description in this call": ("InvalidDescription.Malformed",),
    },
)
def cancel_copy_image(_call: Call, scope: Scope, request: CancelCopyImageRequest) -> CancelCopyImageAnswer:
    """Stop copying an image; what there is of the copy goes."""
    cancel_copy(scope, request.image_id)
    return CancelCopyImageAnswer()
