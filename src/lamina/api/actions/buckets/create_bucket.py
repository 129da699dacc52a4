"""CreateBucket: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.buckets.create import create_bucket as create
from lamina.control.buckets.errors import BucketForbiddenError, BucketNameTakenError, BucketQuotaError
from lamina.control.buckets.names import complain_about_bucket
from lamina.control.regions.errors import RegionNotFoundError
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBucketRequest:
    """Parameters; the name is unique over all accounts and regions."""

    region_id: RegionId
    bucket_name: str = param(check=complain_about_bucket, malformed=Code(400, "InvalidBucketName.Malformed"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBucketAnswer:
    """The bucket."""

    bucket_name: str


@action(
    kind=Kind.MOVES_DATA,
    resource="bucket_name",
    raises=(RegionNotFoundError, BucketNameTakenError, BucketQuotaError, BucketForbiddenError),
)
def create_bucket(call: Call, request: CreateBucketRequest) -> CreateBucketAnswer:
    """Make a bucket in the region; nothing happens if the account has it there already."""
    create(call.transaction, call.services.buckets.service(call.region_id), request.bucket_name)
    return CreateBucketAnswer(bucket_name=request.bucket_name)
