"""Whose bucket is whose, and what becomes of a making that was interrupted."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from lamina.control.buckets.bucket_service import MAX_LINK
from lamina.control.buckets.create import create_bucket
from lamina.control.buckets.delete import delete_bucket
from lamina.control.buckets.errors import (
    BucketNameError,
    BucketNameTakenError,
    BucketNotEmptyError,
    BucketNotFoundError,
    BucketQuotaError,
    BucketsLocationError,
)
from lamina.control.buckets.queries import find_bucket, list_buckets
from lamina.control.buckets.s3 import S3Buckets
from lamina.control.first_start import DEFAULT_REGION
from lamina.control.paging import Slice
from lamina.control.reconcilers import forget_old_rows
from lamina.control.regions.create import NewRegion, create_region
from lamina.control.regions.records import RegionRecord
from lamina.failures import Fault
from lamina.ids import RegionId

OTHER = RegionId("cn-beijing")


def make_service(site):
    return site.installation.buckets.service(DEFAULT_REGION.id)


def create(site, name, service=None):
    create_bucket(site.scope, service or make_service(site), name)


def names(site):
    with site.scope() as scope:
        return [bucket.name for bucket in list_buckets(scope, Slice(limit=10)).items]


def test_a_bucket_is_made_once_and_is_the_accounts(site):
    create(site, "first-bucket")
    create(site, "first-bucket")
    with site.scope() as scope:
        found = find_bucket(scope, "first-bucket")
    assert (found.account_id, found.region_id) == (site.account_id, DEFAULT_REGION.id)
    assert make_service(site).exists("first-bucket")
    assert (site.installation.directory / "buckets" / DEFAULT_REGION.id / "first-bucket").is_dir()
    assert names(site) == ["first-bucket"]


def test_a_name_is_taken_for_everybody_else(site):
    other = site.as_another_account()
    create(other, "taken")
    with pytest.raises(BucketNameTakenError) as caught:
        create(site, "taken")
    assert other.account_id not in str(caught.value)
    assert names(site) == []
    with site.scope() as scope, pytest.raises(BucketNotFoundError):
        find_bucket(scope, "taken")
    with pytest.raises(BucketNotFoundError):
        delete_bucket(site.scope, make_service(site), "taken")
    assert names(other) == ["taken"]


def test_a_bucket_belongs_to_one_region(site):
    create(site, "first-bucket")
    region = NewRegion(id=OTHER, local_name="Beijing", store="store/b", time_zone="Asia/Shanghai", zones={})
    with site.installation.database.transaction() as session:
        create_region(session, site.clock, region)

    def elsewhere():
        return site.scope(region_id=OTHER)

    with elsewhere() as scope, pytest.raises(BucketNotFoundError):
        find_bucket(scope, "first-bucket")
    with pytest.raises(BucketNameTakenError):
        create_bucket(elsewhere, site.installation.buckets.service(OTHER), "first-bucket")


def test_names_follow_the_rules(site):
    for name in ("ab", "Upper", "under_score", "a" * 64, "-a-", "a.b", "a\0b", ""):
        with pytest.raises(BucketNameError):
            create(site, name)
        with site.scope() as scope, pytest.raises(BucketNotFoundError):
            find_bucket(scope, name)


def test_there_are_only_so_many(site):
    @contextmanager
    def few():
        with site.scope() as scope:
            yield replace(scope, limits=replace(scope.limits, buckets_per_region=1))

    create_bucket(few, make_service(site), "first-bucket")
    with pytest.raises(BucketQuotaError):
        create_bucket(few, make_service(site), "second-bucket")
    create_bucket(few, make_service(site), "first-bucket")


def test_what_the_service_has_without_a_row_is_never_taken_over(site):
    """Such as the bucket with the snapshots of all accounts, in the same service."""
    service = make_service(site)
    service.create("packs")
    for _ in range(2):
        with pytest.raises(BucketNameTakenError):
            create(site, "packs")
    assert names(site) == []


class _Interrupted:
    """A service that fails at one of its calls, before or after it did it."""

    def __init__(self, service, call, *, is_after):
        self._service, self._call, self._is_after = service, call, is_after

    def __getattr__(self, name):
        method = getattr(self._service, name)
        if name != self._call:
            return method

        def fail(*arguments, **options):
            if self._is_after:
                method(*arguments, **options)
            raise Fault("the line broke", retryable=True)

        return fail


@pytest.mark.parametrize(("call", "is_after"), [("exists", False), ("create", False), ("create", True)])
def test_an_interrupted_making_goes_on(site, call, is_after):
    with pytest.raises(Fault):
        create(site, "half", _Interrupted(make_service(site), call, is_after=is_after))
    assert names(site) == []
    with pytest.raises(BucketNameTakenError):
        create(site.as_another_account(), "half")
    create(site, "half")
    assert names(site) == ["half"]


def test_an_interrupted_claim_does_not_open_a_bucket_with_objects(site):
    with pytest.raises(Fault):
        create(site, "packs", _Interrupted(make_service(site), "exists", is_after=False))
    service = make_service(site)
    service.create("packs")
    with service.writing("packs", "pack") as stream:
        stream.write(b"x")
    with pytest.raises(BucketNameTakenError):
        create(site, "packs")


def test_only_an_empty_bucket_is_deleted_and_then_anybody_may_have_its_name(site):
    create(site, "first-bucket")
    service = make_service(site)
    with service.writing("first-bucket", "a/b") as stream:
        stream.write(b"x")
    with pytest.raises(BucketNotEmptyError):
        delete_bucket(site.scope, service, "first-bucket")
    assert names(site) == ["first-bucket"]
    service.delete("first-bucket", "a/b")
    delete_bucket(site.scope, service, "first-bucket")
    assert names(site) == []
    with pytest.raises(BucketNotFoundError):
        delete_bucket(site.scope, service, "first-bucket")
    create(site.as_another_account(), "first-bucket")


def test_an_interrupted_deletion_goes_on(site):
    create(site, "first-bucket")
    with pytest.raises(Fault):
        delete_bucket(site.scope, _Interrupted(make_service(site), "remove", is_after=True), "first-bucket")
    assert names(site) == ["first-bucket"]
    delete_bucket(site.scope, make_service(site), "first-bucket")
    assert names(site) == []


def test_a_bucket_whose_deletion_was_interrupted_is_made_anew_when_it_is_asked_for(site):
    create(site, "first-bucket")
    with pytest.raises(Fault):
        delete_bucket(site.scope, _Interrupted(make_service(site), "remove", is_after=True), "first-bucket")
    create(site, "first-bucket")
    assert make_service(site).exists("first-bucket")
    assert names(site) == ["first-bucket"]
    delete_bucket(site.scope, make_service(site), "first-bucket")
    create(site.as_another_account(), "first-bucket")


class _Meanwhile:
    """A service beside which something happens after one of its calls."""

    def __init__(self, service, call, act):
        self._service, self._call, self._act = service, call, act

    def __getattr__(self, name):
        method = getattr(self._service, name)
        if name != self._call:
            return method

        def then_act(*arguments, **options):
            found = method(*arguments, **options)
            self._act()
            return found

        return then_act


class _Signing:
    """The directory, as a service that signs its links for names alone."""

    links_outlive_buckets = True

    def __init__(self, service):
        self._service = service

    def __getattr__(self, name):
        return getattr(self._service, name)


def test_a_name_stays_the_accounts_as_long_as_links_to_its_deleted_bucket_may_be_good(site):
    service, other = _Signing(make_service(site)), site.as_another_account()
    for _ in range(2):  # its own account may have it again at any time
        create(site, "first-bucket", service)
        delete_bucket(site.scope, service, "first-bucket")
        assert names(site) == []
    with site.scope() as scope, pytest.raises(BucketNotFoundError):
        find_bucket(scope, "first-bucket")
    site.clock.advance(MAX_LINK - timedelta(minutes=1))
    forget_old_rows(site.installation)
    with pytest.raises(BucketNameTakenError):
        create(other, "first-bucket", service)
    site.clock.advance(timedelta(minutes=2))
    forget_old_rows(site.installation)
    create(other, "first-bucket", service)
    assert names(other) == ["first-bucket"]


def test_a_deletion_does_not_take_a_bucket_that_was_made_in_its_place(site):
    create(site, "first-bucket")

    def make_it_again():
        site.clock.advance(timedelta(seconds=1))
        create(site, "first-bucket")

    delete_bucket(site.scope, _Meanwhile(make_service(site), "remove", make_it_again), "first-bucket")
    assert names(site) == ["first-bucket"]
    assert make_service(site).exists("first-bucket")


@pytest.mark.parametrize(
    "place", ["s3://bucket", "ftp://host", "s3+ftp://host", "s3+https://", "s3+https://u:p@h", "s3+https://h"]
)
def test_a_place_that_is_none_is_told(site, place):
    set_place(site, place)
    with pytest.raises(BucketsLocationError) as caught:
        make_service(site)
    assert "u:p" not in str(caught.value)


def test_a_region_may_have_a_service_that_speaks_s3(site):
    set_place(site, "s3+https://rgw.example:7480/")
    buckets = site.installation.buckets
    settings = replace(
        site.installation.settings, s3_access_key_id="id", s3_secret_access_key="secret", s3_region="r-1"
    )
    buckets._choose_settings = lambda _region: settings
    service = make_service(site)
    assert isinstance(service, S3Buckets)
    address = service._find_address("bucket")
    assert (address.endpoint, address.region, address.bucket) == ("https://rgw.example:7480", "r-1", "bucket")


def set_place(site, place):
    with site.installation.database.transaction() as session:
        session.get(RegionRecord, DEFAULT_REGION.id).buckets = place
