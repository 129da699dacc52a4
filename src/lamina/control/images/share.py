"""Share an image with other accounts, and unshare it (ModifyImageSharePermission).

Whoever an image is shared with sees it, and creates instances from it; its snapshots stay its owner's alone. What was
made from it lives on when it is unshared, and can then not be re-initialised any more.
"""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lamina.control.accounts.records import AccountRecord
from lamina.control.images.encrypted import require_shareable
from lamina.control.images.errors import (
    ImageStateError,
    OwnAccountError,
    ShareAccountError,
    ShareQuotaError,
)
from lamina.control.images.queries import get_own_image
from lamina.control.images.records import ImageShareRecord
from lamina.control.images.states import ImageState
from lamina.control.scope import Scope
from lamina.ids import AccountId, ImageId


def share_image(
    scope: Scope, image_id: str, *, add: Sequence[AccountId] = (), remove: Sequence[AccountId] = ()
) -> None:
    """Share an image with accounts, and unshare it from others. What is so already is no error.

    Raises:
        ImageNotFoundError: the account has no such image in the region.
        ImageStateError: it is to be shared and is not `Available`.
        EncryptedImageError: it is to be shared and has encrypted snapshots.
        OwnAccountError: the account is to be shared with or unshared from itself.
        ShareAccountError: there is no such account to share it with.
        ShareQuotaError: it would be shared with too many.
    """
    image = get_own_image(scope, image_id)
    if add and image.state is not ImageState.AVAILABLE:
        raise ImageStateError(image.id, image.state)
    if scope.account_id in (*add, *remove):
        raise OwnAccountError(scope.account_id)
    if add:
        require_shareable(scope.session, image.id)
    for account_id in remove:
        share = scope.session.get(ImageShareRecord, (image.id, account_id))
        if share is not None:
            scope.session.delete(share)
    for account_id in add:
        _require_account(scope, account_id)
        if scope.session.get(ImageShareRecord, (image.id, account_id)) is None:
            new = ImageShareRecord(image_id=image.id, account_id=account_id, shared_at=scope.clock.now())
            scope.session.add(new)
    scope.session.flush()
    if add and len(list_sharers(scope.session, image.id)) > scope.limits.accounts_per_image:
        raise ShareQuotaError(image.id, scope.limits.accounts_per_image)


def list_sharers(session: Session, image_id: ImageId) -> Sequence[AccountId]:
    """The accounts that an image is shared with, sorted."""
    return session.scalars(
        select(ImageShareRecord.account_id)
        .where(ImageShareRecord.image_id == image_id)
        .order_by(ImageShareRecord.account_id)
    ).all()


def list_shares(
    scope: Scope, image_id: str, *, limit: int, offset: int
) -> tuple[Sequence[ImageShareRecord], int]:
    """Whom one of the account's images is shared with, the latest first: one page, and how many there are.

    Raises:
        ImageNotFoundError: the account has no such image in the region.
    """
    image = get_own_image(scope, image_id)
    of_image = select(ImageShareRecord).where(ImageShareRecord.image_id == image.id)
    page = scope.session.scalars(
        of_image.order_by(ImageShareRecord.shared_at.desc(), ImageShareRecord.account_id)
        .limit(limit)
        .offset(offset)
    ).all()
    total = scope.session.scalar(of_image.with_only_columns(func.count(), maintain_column_froms=True))
    return page, total or 0


def _require_account(scope: Scope, account_id: AccountId) -> None:
    if scope.session.get(AccountRecord, account_id) is None:
        raise ShareAccountError(account_id)
