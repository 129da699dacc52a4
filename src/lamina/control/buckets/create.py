"""Make a bucket: claim its name, have the region's service make it, confirm.

The service is asked outside of any transaction. A crash in between leaves a claim, with which the same account goes on.
A deletion that was interrupted leaves a row without a bucket: it is carried to its end, and the bucket is a new one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial

from sqlalchemy.exc import IntegrityError

from lamina.control.buckets.bucket_service import BucketService
from lamina.control.buckets.errors import BucketNameTakenError, BucketQuotaError
from lamina.control.buckets.names import check_bucket
from lamina.control.buckets.queries import count_buckets, find_claim
from lamina.control.buckets.records import BucketRecord
from lamina.control.scope import Scope
from lamina.database import insist

Transact = Callable[[], AbstractContextManager[Scope]]


def create_bucket(transact: Transact, service: BucketService, name: str) -> None:
    """Make a bucket of the caller's account in the caller's region; nothing happens if it has it already.

    A bucket that the service has, and that no row speaks of, belongs to something else, such as the region's object
    store: it is never taken over, unless it is empty and this account was making it when something was interrupted.

    Args:
        transact: opens a transaction of the caller.
        service: of the caller's region.
        name: its name.

    Raises:
        BucketNameError: a bucket cannot have the name.
        BucketNameTakenError: it is in use.
        BucketQuotaError: the account has enough of them.
        BucketForbiddenError: the service does not let us.
        Fault: the service failed; what was claimed stays claimed by the account.
    """
    check_bucket(name)
    is_old, made_at = insist(lambda: _claim(transact, name))
    if made_at is not None and not service.exists(name):
        insist(partial(forget_bucket, transact, service, name, made_at))
        is_old, made_at = insist(lambda: _claim(transact, name))
    if made_at is not None:
        return
    if service.exists(name) and not (is_old and not service.list(name, prefix="", after="", limit=1)):
        insist(lambda: _give_up(transact, name))
        raise BucketNameTakenError(name)
    try:
        service.create(name)
    except BucketNameTakenError:
        insist(lambda: _give_up(transact, name))
        raise
    insist(lambda: _confirm(transact, name))


def forget_bucket(transact: Transact, service: BucketService, name: str, made_at: datetime) -> None:
    """Drop the row of a bucket that is gone, but not that of its successor; nothing happens if it is dropped.

    Where links to it would open a successor, its name stays the account's, as a claim, until the last of them ends.

    Args:
        transact: opens a transaction of the caller.
        service: which had the bucket.
        name: its name.
        made_at: what its row said.
    """
    with transact() as scope:
        known = find_claim(scope, name)
        if known is None or not known.is_made or known.created_at != made_at:
            return
        if service.links_outlive_buckets:
            known.is_made, known.created_at = False, scope.clock.now()
        else:
            scope.session.delete(known)


def _claim(transact: Transact, name: str) -> tuple[bool, datetime | None]:
    """Whether there was a row of this account already, and since when, if its bucket is made."""
    with transact() as scope:
        known = find_claim(scope, name)
        if known is not None:
            return True, known.created_at if known.is_made else None
        # a row of that name that is not the caller's is seen by the key of the table only
        if scope.session.get(BucketRecord, name) is not None:
            raise BucketNameTakenError(name)
        if count_buckets(scope) >= scope.limits.buckets_per_region:
            raise BucketQuotaError(scope.limits.buckets_per_region)
        scope.session.add(
            BucketRecord(
                name=name,
                account_id=scope.account_id,
                region_id=scope.region_id,
                created_at=scope.clock.now(),
            )
        )
        try:
            scope.session.flush()
        except IntegrityError as error:  # another account, whose transaction ran beside this one
            raise BucketNameTakenError(name) from error
        return False, None


def _give_up(transact: Transact, name: str) -> None:
    with transact() as scope:
        claim = find_claim(scope, name)
        if claim is not None and not claim.is_made:
            scope.session.delete(claim)


def _confirm(transact: Transact, name: str) -> None:
    with transact() as scope:
        claim = find_claim(scope, name)
        if claim is not None:
            claim.is_made = True
