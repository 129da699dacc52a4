"""What the actions about buckets add to the verbs: permissions, and where a link leads."""

import dataclasses

import pytest

from lamina.api.server import Pipeline
from lamina.control.accounts.states import KeyRole
from lamina.control.buckets.s3 import S3Buckets
from lamina.control.regions.records import RegionRecord
from lamina.settings import Settings
from tests.factories.api import REGION

BUCKET = {"RegionId": REGION, "BucketName": "first-bucket"}


@pytest.fixture
def link_of(caller):
    assert caller.call("CreateBucket", **BUCKET).status == 200

    def make(**options):
        return caller.call("CreateBucketLink", **BUCKET, ObjectKey="key", Method="PUT", **options)

    return make


def test_a_link_leads_where_the_caller_came_from(link_of):
    link = link_of().json["Link"]
    assert link.startswith("http://ecs.example/buckets/first-bucket/key?Expires=")


def test_a_link_leads_to_the_public_url_if_there_is_one(installation, link_of, caller):
    services = dataclasses.replace(installation.services, public_url="https://lamina.example:8443")
    caller.pipeline = Pipeline(services)
    assert link_of().json["Link"].startswith("https://lamina.example:8443/buckets/")


def test_a_link_says_when_it_ends_and_ends_in_a_week_at_the_latest(link_of):
    assert link_of(ExpiresInSeconds=60).json["ExpiredTime"] == "2026-03-01T12:01:00Z"
    assert link_of(ExpiresInSeconds=7 * 24 * 3600).status == 200
    assert link_of(ExpiresInSeconds=7 * 24 * 3600 + 1).code == "InvalidParameter"
    assert link_of(ExpiresInSeconds=0).code == "InvalidParameter"


def test_there_is_no_link_to_get_what_is_not_there(link_of, caller):
    answer = caller.call("CreateBucketLink", **BUCKET, ObjectKey="key")
    assert (answer.status, answer.code) == (404, "InvalidObjectKey.NotFound")


def test_who_may_only_look_makes_no_links_to_put(installation, caller, link_of):
    reader = installation.add_caller("reader", role=KeyRole.READ_ONLY)
    answer = reader.call("CreateBucketLink", **BUCKET, ObjectKey="key", Method="PUT")
    assert (answer.status, answer.code) == (403, "Forbidden.RAM")


def test_a_service_that_cannot_be_opened_is_the_operators_business(installation, caller):
    with installation.services.database.transaction() as session:
        session.get(RegionRecord, REGION).buckets = "s3+https://user:secret@host"
    answer = caller.call("CreateBucket", **BUCKET)
    assert answer.code == "InternalError"
    assert "secret" not in answer.json["Message"]


def test_a_region_with_s3_has_the_services_own_links(installation, caller, monkeypatch):
    with installation.services.database.transaction() as session:
        session.get(RegionRecord, REGION).buckets = "s3+https://rgw.example"
    settings = Settings(s3_access_key_id="id", s3_secret_access_key="secret")
    monkeypatch.setattr(installation.services.buckets, "_choose_settings", lambda _region: settings)
    monkeypatch.setattr("lamina.control.buckets.s3_requests.S3Requests.exists", lambda _self: False)
    monkeypatch.setattr(S3Buckets, "create", lambda _self, _name: None)
    assert caller.call("CreateBucket", **BUCKET).status == 200
    monkeypatch.setattr("lamina.control.buckets.s3_requests.S3Requests.exists", lambda _self: True)
    given = {**BUCKET, "ObjectKey": "a/b", "Method": "PUT"}
    link = caller.call("CreateBucketLink", **given).json["Link"]
    assert link.startswith("https://rgw.example/first-bucket/a/b?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    assert caller.call("CreateBucketLink", **given, MaxSize=5).code == "InvalidMaxSize.NotSupported"
