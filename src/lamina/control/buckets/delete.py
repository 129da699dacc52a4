"""Delete a bucket that is empty."""

from datetime import datetime

from lamina.control.buckets.bucket_service import BucketService
from lamina.control.buckets.create import Transact, forget_bucket
from lamina.control.buckets.queries import find_bucket
from lamina.database import insist


def delete_bucket(transact: Transact, service: BucketService, name: str) -> None:
    """Delete a bucket of the caller's account; its name may then be taken by anybody, or, see `forget_bucket`, later.

    Args:
        transact: opens a transaction of the caller.
        service: of the caller's region.
        name: its name.

    Raises:
        BucketNotFoundError: the account has no such bucket in the region.
        BucketNotEmptyError: it has objects.
        Fault: the service failed; the account still has the bucket.
    """
    made_at = insist(lambda: _find(transact, name))
    service.remove(name)
    insist(lambda: forget_bucket(transact, service, name, made_at))


def _find(transact: Transact, name: str) -> datetime:
    with transact() as scope:
        return find_bucket(scope, name).created_at
