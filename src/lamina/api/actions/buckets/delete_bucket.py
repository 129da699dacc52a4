"""DeleteBucket: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.buckets.delete import delete_bucket as delete
from lamina.control.buckets.errors import BucketForbiddenError, BucketNotEmptyError, BucketNotFoundError
from lamina.control.regions.errors import RegionNotFoundError
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBucketRequest:
    """Parameters."""

    region_id: RegionId
    bucket_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBucketAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.MOVES_DATA,
    resource="bucket_name",
    raises=(RegionNotFoundError, BucketNotFoundError, BucketNotEmptyError, BucketForbiddenError),
)
def delete_bucket(call: Call, request: DeleteBucketRequest) -> DeleteBucketAnswer:
    """Delete a bucket that is empty."""
    delete(call.transaction, call.services.buckets.service(call.region_id), request.bucket_name)
    return DeleteBucketAnswer()
