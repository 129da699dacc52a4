"""DescribeImageSharePermission."""

from dataclasses import dataclass
from datetime import datetime

from lamina.api.call import Call
from lamina.api.paging import MAX_PAGE_NUMBER, MAX_PAGE_SIZE
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.images.errors import ImageNotFoundError
from lamina.control.images.share import list_shares
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import AccountId, ImageId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeImageSharePermissionRequest:
    """Parameters."""

    region_id: RegionId
    image_id: ImageId
    page_number: int = param(default=1, between=(1, MAX_PAGE_NUMBER))
    page_size: int = param(default=10, between=(1, MAX_PAGE_NUMBER))


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingAccountShape:
    """One account that an image is shared with."""

    aliyun_id: AccountId
    shared_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareGroupShape:
    """A group that an image is shared with; there are none."""

    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeImageSharePermissionAnswer:
    """One page of accounts, the latest first."""

    image_id: ImageId
    region_id: RegionId
    accounts: tuple[SharingAccountShape, ...] = param(wire="Accounts/Account")
    share_groups: tuple[ShareGroupShape, ...] = param(default=(), wire="ShareGroups/ShareGroup")
    total_count: int
    page_number: int
    page_size: int


@action(kind=Kind.READS, raises=(RegionNotFoundError, ImageNotFoundError), resource="image_id")
def describe_image_share_permission(
    _call: Call, scope: Scope, request: DescribeImageSharePermissionRequest
) -> DescribeImageSharePermissionAnswer:
    """List the accounts that one of the account's images is shared with."""
    size = min(request.page_size, MAX_PAGE_SIZE)
    offset = (request.page_number - 1) * size
    shares, total = list_shares(scope, request.image_id, limit=size, offset=offset)
    return DescribeImageSharePermissionAnswer(
        image_id=request.image_id,
        region_id=scope.region_id,
        accounts=tuple(
            SharingAccountShape(aliyun_id=share.account_id, shared_time=share.shared_at) for share in shares
        ),
        total_count=total,
        page_number=request.page_number,
        page_size=size,
    )
