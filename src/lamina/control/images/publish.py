"""Make an image public, or not public any more: the operator's word, which no account can give."""

from sqlalchemy.orm import Session

from lamina.control.images.encrypted import require_shareable
from lamina.control.images.errors import ImageNotFoundError, ImageStateError
from lamina.control.images.queries import USABLE
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import ImageOrigin
from lamina.failures import Refusal
from lamina.ids import ImageId


class BuiltInImageError(Refusal):
    """A built-in image is part of its region, and stays public."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(f"image {image_id} is built in and stays public")
        self.image_id = image_id


def set_public(session: Session, image_id: ImageId, *, is_public: bool) -> ImageRecord:
    """Let every account see an image and create instances from it, or end that. Twice does no harm.

    Raises:
        ImageNotFoundError: there is no such image.
        EncryptedImageError: it is to be public, and has encrypted snapshots.
        BuiltInImageError: it is part of its region.
        ImageStateError: it is to be public, and instances cannot be created from it.
    """
    image = session.get(ImageRecord, image_id)
    if image is None:
        raise ImageNotFoundError(image_id)
    if image.origin is ImageOrigin.BUILT_IN:
        raise BuiltInImageError(image_id)
    if is_public and image.state not in USABLE:
        raise ImageStateError(image_id, image.state)
    if is_public:
        require_shareable(session, image_id)
    image.is_public = is_public
    return image
