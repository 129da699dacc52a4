"""Looking buckets up. Another account's bucket, and one in another region, does not exist for the caller."""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from lamina.control.buckets.bucket_service import MAX_LINK
from lamina.control.buckets.errors import BucketNotFoundError
from lamina.control.buckets.names import complain_about_bucket
from lamina.control.buckets.records import BucketRecord
from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope

_ORDER: Final = AgeOrder(created_at=BucketRecord.created_at, id=BucketRecord.name)


def find_bucket(scope: Scope, name: str) -> BucketRecord:
    """A bucket of the account in the region.

    Raises:
        BucketNotFoundError: there is none of that name, or it is somebody else's.
    """
    bucket = find_claim(scope, name)
    if bucket is None or not bucket.is_made:
        raise BucketNotFoundError(name)
    return bucket


def find_claim(scope: Scope, name: str) -> BucketRecord | None:
    """The account's row of that name in the region, whether or not its bucket is made yet."""
    if (
        complain_about_bucket(name) is not None
    ):  # not every text can be asked for: PostgreSQL knows no zero characters
        return None
    bucket = scope.session.get(BucketRecord, name)
    if bucket is None or (bucket.account_id, bucket.region_id) != (scope.account_id, scope.region_id):
        return None
    return bucket


def count_buckets(scope: Scope) -> int:
    """How many the account has in the region, claims included."""
    return scope.session.scalar(select(func.count()).select_from(BucketRecord).where(*_own(scope))) or 0


def forget_claims(session: Session, now: datetime) -> None:
    """Let go of the names that nobody made a bucket of, once no link to an earlier bucket of the name is good."""
    old = ~BucketRecord.is_made & (BucketRecord.created_at < now - MAX_LINK)
    session.execute(delete(BucketRecord).where(old))


def list_buckets(scope: Scope, wanted: Slice) -> Page[BucketRecord]:
    """The account's buckets in the region, newest first."""
    query = select(BucketRecord).where(*_own(scope), BucketRecord.is_made)
    rows, total, has_more = fetch_slice(scope, query, _ORDER, wanted)
    return Page(
        items=tuple(rows),
        total_count=total,
        next_key=PageKey(created_at=rows[-1].created_at, id=rows[-1].name) if has_more else None,
    )


def _own(scope: Scope) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return BucketRecord.account_id == scope.account_id, BucketRecord.region_id == scope.region_id
