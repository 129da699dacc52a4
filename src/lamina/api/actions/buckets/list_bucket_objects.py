"""ListBucketObjects: an extension of Lamina."""

from dataclasses import dataclass
from datetime import datetime

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.buckets.errors import BucketForbiddenError, BucketNotFoundError
from lamina.control.buckets.queries import find_bucket
from lamina.control.regions.errors import RegionNotFoundError
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBucketObjectsRequest:
    """Parameters; `Prefix` is what keys begin with."""

    region_id: RegionId
    bucket_name: str
    prefix: str = param(default="", between=(0, 1023))
    next_token: str | None = None
    max_results: int = param(default=100, between=(1, 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectShape:
    """One object.

    Attributes:
        size: in bytes.
        e_tag: changes when the content does.
    """

    object_key: str
    size: int
    last_modified: datetime
    e_tag: str = param(wire="ETag")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBucketObjectsAnswer:
    """One page of objects, in the order of their keys; the token is empty on the last page."""

    objects: tuple[ObjectShape, ...] = param(wire="Objects/Object")
    next_token: str


@action(
    kind=Kind.READS_DATA,
    resource="bucket_name",
    raises=(RegionNotFoundError, BucketNotFoundError, BucketForbiddenError),
    answers=(INVALID_TOKEN,),
)
def list_bucket_objects(call: Call, request: ListBucketObjectsRequest) -> ListBucketObjectsAnswer:
    """List the objects in a bucket."""
    pager = call.pager()
    after = "" if request.next_token is None else pager.unseal(request.next_token, request).decode()
    with call.reading() as scope:
        find_bucket(scope, request.bucket_name)
    found = call.services.buckets.service(call.region_id).list(
        request.bucket_name, prefix=request.prefix, after=after, limit=request.max_results + 1
    )
    shown = found[: request.max_results]
    return ListBucketObjectsAnswer(
        objects=tuple(
            ObjectShape(
                object_key=each.key,
                size=each.size_bytes,
                last_modified=each.modified_at,
                e_tag=each.etag,
            )
            for each in shown
        ),
        next_token=pager.seal(shown[-1].key.encode(), request) if len(found) > len(shown) else "",
    )
