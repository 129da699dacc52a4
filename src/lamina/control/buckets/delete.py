"""Delete a bucket that is empty."""

from lamina.control.buckets.bucket_service import BucketService
from lamina.control.buckets.create import Transact
from lamina.control.buckets.queries import find_bucket
from lamina.database import insist


def delete_bucket(transact: Transact, service: BucketService, name: str) -> None:
    """Delete a bucket of the caller's account; its name may then be taken by anybody.

    Args:
        transact: opens a transaction of the caller.
        service: of the caller's region.
        name: its name.

    Raises:
        BucketNotFoundError: the account has no such bucket in the region.
        BucketNotEmptyError: it has objects.
        Fault: the service failed; the account still has the bucket.
    """
    insist(lambda: _check(transact, name))
    service.remove(name)
    insist(lambda: _forget(transact, name))


def _check(transact: Transact, name: str) -> None:
    with transact() as scope:
        find_bucket(scope, name)


def _forget(transact: Transact, name: str) -> None:
    with transact() as scope:
        scope.session.delete(find_bucket(scope, name))
