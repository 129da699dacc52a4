"""ListBuckets: an extension of Lamina."""

from dataclasses import dataclass
from datetime import datetime

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN, MAX_PAGE_NUMBER
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.buckets.queries import list_buckets as query
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBucketsRequest:
    """Parameters."""

    region_id: RegionId
    page_number: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    page_size: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    next_token: str | None = None
    max_results: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketShape:
    """One bucket."""

    bucket_name: str
    region_id: RegionId
    creation_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBucketsAnswer:
    """One page of buckets, the newest first."""

    buckets: tuple[BucketShape, ...] = param(wire="Buckets/Bucket")
    total_count: int
    page_number: int
    page_size: int
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def list_buckets(call: Call, scope: Scope, request: ListBucketsRequest) -> ListBucketsAnswer:
    """List the buckets of the account in the region."""
    pager = call.pager()
    wanted = pager.read(request)
    page = query(scope, wanted)
    facts = pager.describe(request, wanted, page)
    return ListBucketsAnswer(
        buckets=tuple(
            BucketShape(bucket_name=each.name, region_id=each.region_id, creation_time=each.created_at)
            for each in page.items
        ),
        total_count=facts.total_count,
        page_number=facts.page_number,
        page_size=facts.page_size,
        next_token=facts.next_token,
    )
