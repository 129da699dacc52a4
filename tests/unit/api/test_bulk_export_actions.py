"""What the actions about bulk exports add to the verbs: pages, filters, permissions, what is shown of an item."""

import pytest

from lamina.control.accounts.records import AccountRecord
from lamina.control.accounts.states import AccountStanding, KeyRole
from lamina.control.bulk_exports.records import BulkItemRecord
from tests.factories.api import REGION

HERE = {"RegionId": REGION}
IMAGE = "lamina_empty_x86_64.vhd"


@pytest.fixture
def instance(caller):
    assert caller.call("CreateBucket", **HERE, BucketName="first-bucket").status == 200
    made = caller.call("CreateInstance", **HERE, ImageId=IMAGE, InstanceType="ecs.g6.large")
    return made.json["InstanceId"]


@pytest.fixture
def begin(caller, instance):
    def start(**options):
        sources = {"InstanceId.1": instance, "OSSBucket": "first-bucket"}
        return caller.call("StartBulkExport", **HERE, **{**sources, **options})

    return start


def describe(caller, bulk_id):
    return caller.call("DescribeBulkExport", **HERE, BulkExportId=bulk_id)


def test_they_are_listed_page_by_page_newest_first(caller, begin):
    for _ in range(10):
        assert begin().status == 200
    first = caller.call("DescribeBulkExports", **HERE, MaxResults=10).json
    assert (first["TotalCount"], len(first["BulkExports"]["BulkExport"]), first["NextToken"]) == (10, 10, "")
    refused = begin()
    assert (refused.status, refused.code) == (403, "ConcurrentQuotaExceed.BulkExport")
    finished = caller.call("DescribeBulkExports", **HERE, Status="finished").json
    assert finished["BulkExports"]["BulkExport"] == []
    assert caller.call("DescribeBulkExports", **HERE, Status="Lost").code == "InvalidParameter"
    assert (
        caller.call("DescribeBulkExports", **HERE, NextToken="made-up").code == "InvalidParameter.NextToken"
    )


def test_what_is_shown_of_one(caller, begin, instance):
    bulk_id = begin(OSSPrefix="p", ImageFormat="QCOW2", Concurrency=2, DeleteImages="true").json[
        "BulkExportId"
    ]
    shown = describe(caller, bulk_id).json
    bulk = shown["BulkExport"]
    assert (
        bulk["Status"],
        bulk["OSSPrefix"],
        bulk["ImageFormat"],
        bulk["Concurrency"],
        bulk["DeleteImages"],
    ) == (
        "Running",
        "p",
        "qcow2",
        2,
        True,
    )
    assert (shown["Progress"], bulk["ItemCount"], bulk["EndedCount"]) == (0, 1, 0)
    assert shown["Items"]["Item"] == [
        {
            "Number": 1,
            "SourceType": "Instance",
            "SourceId": instance,
            "Status": "Waiting",
            "Progress": 0,
            "Objects": {"Object": []},
        }
    ]


def test_the_objects_of_an_item_are_shown(installation, caller, begin):
    bulk_id = begin().json["BulkExportId"]
    with installation.services.database.transaction() as session:
        item = session.get(BulkItemRecord, (bulk_id, 1))
        item.stored = '[{"key": "m-1.raw", "size_bytes": 5, "etag": "abc"}]'
    (item,) = describe(caller, bulk_id).json["Items"]["Item"]
    assert item["Objects"]["Object"] == [{"ObjectKey": "m-1.raw", "Size": 5, "ETag": "abc"}]


def test_a_suspended_account_starts_none(installation, caller, begin):
    with installation.services.database.transaction() as session:
        session.get(AccountRecord, caller.key.account_id).standing = AccountStanding.SUSPENDED
    refused = begin()
    assert (refused.status, refused.code) == (403, "InvalidAccountStatus.NotEnoughBalance")


def test_who_may_only_look_starts_and_cancels_none(installation, instance):
    reader = installation.add_caller("reader", role=KeyRole.READ_ONLY)
    for action in ("StartBulkExport", "CancelBulkExport"):
        assert reader.call(action, **HERE).code == "Forbidden.RAM"
    assert reader.call("DescribeBulkExports", **HERE).status == 200


def test_the_same_token_starts_one(caller, begin):
    first, second = begin(ClientToken="once").json, begin(ClientToken="once").json
    assert first["BulkExportId"] == second["BulkExportId"]
    assert caller.call("DescribeBulkExports", **HERE).json["TotalCount"] == 1
