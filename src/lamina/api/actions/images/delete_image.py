"""DeleteImage."""

import contextlib
from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.images.delete import delete_image as delete
from lamina.control.images.errors import (
    ImageBusyError,
    ImageCopyingError,
    ImageCreatingError,
    ImageExportingError,
    ImageImportingError,
    ImageInUseError,
    ImageNotFoundError,
    ImagePublicError,
    ImageSharedError,
)
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import ImageId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteImageRequest:
    """Parameters."""

    region_id: RegionId
    image_id: ImageId
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteImageAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        RegionNotFoundError,
        ImagePublicError,
        ImageSharedError,
        ImageCreatingError,
        ImageImportingError,
        ImageCopyingError,
        ImageExportingError,
        ImageBusyError,
        ImageInUseError,
    ),
    resource="image_id",
    not_offered={
        "deleting what is not there is no error, so that the call can be repeated": (
            "InvalidImageId.NotFound",
        ),
    },
)
def delete_image(_call: Call, scope: Scope, request: DeleteImageRequest) -> DeleteImageAnswer:
    """Delete an image; its snapshots stay, and an unknown id is no error."""
    with contextlib.suppress(ImageNotFoundError):
        delete(scope, request.image_id, force=request.force)
    return DeleteImageAnswer()
