"""DeleteBucketObject: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.buckets.errors import BucketForbiddenError, BucketNotFoundError, ObjectKeyError
from lamina.control.buckets.queries import find_bucket
from lamina.control.regions.errors import RegionNotFoundError
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBucketObjectRequest:
    """Parameters."""

    region_id: RegionId
    bucket_name: str
    object_key: str = param(between=(1, 1023))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBucketObjectAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.MOVES_DATA,
    resource="object_key",
    raises=(RegionNotFoundError, BucketNotFoundError, BucketForbiddenError, ObjectKeyError),
)
def delete_bucket_object(call: Call, request: DeleteBucketObjectRequest) -> DeleteBucketObjectAnswer:
    """Delete an object; one that is not there counts as deleted."""
    with call.reading() as scope:
        find_bucket(scope, request.bucket_name)
    call.services.buckets.service(call.region_id).delete(request.bucket_name, request.object_key)
    return DeleteBucketObjectAnswer()
