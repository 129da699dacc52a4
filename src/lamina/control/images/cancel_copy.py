"""Cancel the copying of an image (CancelCopyImage)."""

from lamina.control.images.copy_end import drop_copy
from lamina.control.images.copy_errors import CopyEndedError, NotCopiedError
from lamina.control.images.copying import UNFINISHED
from lamina.control.images.queries import get_own_image
from lamina.control.images.states import ImageOrigin
from lamina.control.scope import Scope
from lamina.ids import ImageId
from lamina.tasks.queue import request_cancel


def cancel_copy(scope: Scope, image_id: ImageId) -> None:
    """Stop a copy: it goes at once if it still waits, and otherwise when its task has stopped.

    Raises:
        ImageNotFoundError: the account has no such image in this region.
        NotCopiedError: it is no copy.
        CopyEndedError: it is finished, or has failed.
    """
    image = get_own_image(scope, image_id)
    if image.origin is not ImageOrigin.COPIED:
        raise NotCopiedError(image.id)
    if image.state not in UNFINISHED:
        raise CopyEndedError(image.id, image.state)
    is_under_way = image.task_id is not None and request_cancel(scope.session, image.task_id)
    if not is_under_way:
        drop_copy(scope, image)
