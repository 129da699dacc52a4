"""CreateBucketLink: an extension of Lamina."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import NO_PERMISSION, ApiError
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.accounts.states import ALLOWED, Access
from lamina.control.buckets.bucket_service import MAX_LINK, LinkMethod
from lamina.control.buckets.errors import (
    BucketForbiddenError,
    BucketNotFoundError,
    LinkLimitUnsupportedError,
    ObjectKeyError,
    ObjectNotFoundError,
)
from lamina.control.buckets.queries import find_bucket
from lamina.control.regions.errors import RegionNotFoundError
from lamina.ids import RegionId
from lamina.units import TIB

_HOUR: Final = 3600
_LONGEST: Final = 48 * TIB  # of one object in OSS


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBucketLinkRequest:
    """Parameters; `MaxSize` is for PUT, in bytes."""

    region_id: RegionId
    bucket_name: str
    object_key: str = param(between=(1, 1023))
    method: str = param(default=LinkMethod.GET.value, choices=tuple(each.value for each in LinkMethod))
    expires_in_seconds: int = param(default=_HOUR, between=(1, int(MAX_LINK.total_seconds())))
    max_size: int | None = param(default=None, between=(0, _LONGEST))


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBucketLinkAnswer:
    """The link, for whoever has it: nothing else is asked until it expires."""

    link: str
    method: str
    expired_time: datetime


@action(
    kind=Kind.READS_DATA,
    resource="object_key",
    raises=(
        RegionNotFoundError,
        BucketNotFoundError,
        BucketForbiddenError,
        ObjectNotFoundError,
        ObjectKeyError,
        LinkLimitUnsupportedError,
    ),
    answers=(NO_PERMISSION,),
)
def create_bucket_link(call: Call, request: CreateBucketLinkRequest) -> CreateBucketLinkAnswer:
    """Make a link with which anybody may get one object, or put it; the latter needs a key that may change things."""
    method, lasting = LinkMethod(request.method), timedelta(seconds=request.expires_in_seconds)
    if method is LinkMethod.PUT and Access.CHANGE not in ALLOWED[call.key.role]:
        raise ApiError(
            NO_PERMISSION,
            f"The access key {call.key.id} is {call.key.role.value} and must not make links to put objects; "
            "use another key",
        )
    with call.reading() as scope:
        find_bucket(scope, request.bucket_name)
    service = call.services.buckets.service(call.region_id)
    if method is LinkMethod.GET:
        service.stat(request.bucket_name, request.object_key)
    expired_time = call.services.wall_clock.now() + lasting
    link = service.link(request.bucket_name, request.object_key, method, lasting, max_bytes=request.max_size)
    if link.startswith("/"):
        link = (call.services.public_url or f"http://{call.host}") + link
    return CreateBucketLinkAnswer(link=link, method=method.value, expired_time=expired_time)
