"""What each action accepts, refuses and answers, on rows only; the bytes are the conformance tests' business."""

import pytest
from sqlalchemy import delete

from lamina.control.accounts.standing import set_standing
from lamina.control.accounts.states import AccountStanding
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.tasks.records import TaskRecord
from tests.factories.api import REGION, ZONE


def create(caller, **extra):
    given = {"RegionId": REGION, "ZoneId": ZONE, "Size": 20, "DiskCategory": "cloud_essd", **extra}
    return caller.call("CreateDisk", **{name: value for name, value in given.items() if value is not None})


def make_disk(installation, caller, *, was_attached=True, **extra):
    """A disk that is `Available`; its bytes do not matter here."""
    disk_id = create(caller, **extra).json["DiskId"]
    with installation.services.database.transaction() as session:
        disk = session.get(DiskRecord, disk_id)
        disk.state = DiskState.AVAILABLE
        disk.was_attached = was_attached
        session.execute(delete(TaskRecord))
    return disk_id


@pytest.mark.parametrize(
    ("extra", "status", "code"),
    [
        ({"RegionId": "cn-x"}, 404, "InvalidRegionId.NotFound"),
        ({"RegionId": None}, 400, "MissingParameter"),
        ({"ZoneId": None}, 400, "MissingParameter"),
        ({"ZoneId": "cn-x"}, 404, "InvalidZoneId.NotFound"),
        ({"InstanceId": "i-1"}, 403, "InvalidParam.ZoneIdAndInstanceId.Conflict"),
        ({"InstanceId": "i-1", "ZoneId": None}, 404, "InvalidInstanceId.NotFound"),
        ({"Size": None}, 400, "MissingParameter"),
        ({"Size": "0"}, 400, "InvalidDataDiskSize.ValueNotSupported"),
        ({"Size": "19"}, 400, "InvalidDataDiskSize.ValueNotSupported"),
        ({"Size": "many"}, 400, "InvalidDataDiskSize.ValueNotSupported"),
        ({"DiskCategory": "tape"}, 400, "InvalidDataDiskCategory.ValueNotSupported"),
        ({"DiskCategory": "ephemeral_ssd"}, 400, "InvalidDataDiskCategory.ValueNotSupported"),
        ({"PerformanceLevel": "PL9"}, 400, "InvalidPerformanceLevel.Malformed"),
        (
            {"PerformanceLevel": "PL1", "DiskCategory": "cloud_ssd"},
            400,
            "InvalidPerformanceLevel.ValueNotSupported",
        ),
        ({"DiskName": "x"}, 400, "InvalidDiskName.Malformed"),
        ({"DiskName": "http://x"}, 400, "InvalidDiskName.Malformed"),
        ({"Description": "https://x"}, 400, "InvalidDescription.Malformed"),
        ({"SnapshotId": "s-nothing"}, 404, "InvalidSnapshotId.NotFound"),
        ({"Encrypted": "true", "EncryptAlgorithm": "sm4-128"}, 400, "InvalidParameter.EncryptedNotSupported"),
        ({"Encrypted": "true", "KMSKeyId": "k"}, 404, "InvalidParameter.KMSKeyId.NotFound"),
        ({"KMSKeyId": "k"}, 400, "InvalidParameter.EncryptedIllegal"),
        ({"MultiAttach": "Enabled"}, 403, "OperationDenied.ZoneNotSupportMultiAttachDisk"),
        ({"MultiAttach": "Maybe"}, 403, "InvalidParameter.MultiAttach"),
        ({"BurstingEnabled": "True"}, 400, "BurstingEnabledForDiskCategoryUnsupported"),
        ({"ProvisionedIops": "5"}, 400, "ProvisionedIopsForDiskCategoryUnsupported"),
        ({"ResourceGroupId": "rg-1"}, 404, "InvalidResourceGroup.NotFound"),
        ({"AdvancedFeatures": "x"}, 403, "InvalidParameter.AdvancedFeatures"),
        ({"Tag__1__Key": "aliyun-x"}, 400, "InvalidTagKey.Malformed"),
        ({"Tag__1__Key": "k", "Tag__1__Value": "http://x"}, 400, "InvalidTagValue.Malformed"),
        ({"Tag__1__Value": "v"}, 400, "InvalidTagKey.Malformed"),
        ({"Tag__1__Key": "k", "Tag__2__Key": "k"}, 400, "Duplicate.TagKey"),
        ({f"Tag__{n}__Key": f"k{n}" for n in range(1, 22)}, 403, "QuotaExceed.Tags"),
        ({"ClientToken": "x" * 65}, 400, "InvalidParameter"),
    ],
)
def test_create_disk_refuses(caller, extra, status, code):
    answer = create(caller, **extra)
    assert (answer.status, answer.code) == (status, code)
    assert caller.call("DescribeDisks", RegionId=REGION).json["TotalCount"] == 0


def test_a_disk_is_described_as_it_was_asked_for(caller):
    disk_id = create(
        caller, DiskName="daten-é", Description="first one", Tag__10__Key="b", Tag__2__Key="a"
    ).json["DiskId"]
    [disk] = caller.call("DescribeDisks", RegionId=REGION, DiskIds=f"['{disk_id}']").json["Disks"]["Disk"]
    assert disk["SerialNumber"] == disk_id[2:]
    assert (disk["Size"], disk["Category"], disk["PerformanceLevel"]) == (20, "cloud_essd", "PL1")
    assert (disk["DiskName"], disk["Description"]) == ("daten-é", "first one")
    assert disk["Tags"]["Tag"] == [{"TagKey": "a", "TagValue": ""}, {"TagKey": "b", "TagValue": ""}]
    assert disk["CreationTime"] == "2026-03-01T12:00:00Z"
    assert disk["ExpiredTime"] == "2999-09-08T16:00Z"
    assert disk["Attachments"] == {"Attachment": []}


def list_names(caller, **filters):
    answer = caller.call("DescribeDisks", RegionId=REGION, **filters)
    assert answer.status == 200, answer.json
    return {disk["DiskName"] for disk in answer.json["Disks"]["Disk"]}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, {"one", "two"}),
        ({"DiskName": "one"}, {"one"}),
        ({"DiskIds": "[]"}, set()),
        ({"DiskIds": '["d-nothing"]'}, set()),
        ({"Category": "all", "DiskType": "all", "Status": "All"}, {"one", "two"}),
        ({"Category": "cloud_ssd"}, {"two"}),
        ({"DiskType": "system"}, set()),
        ({"Status": "creating"}, {"one", "two"}),
        ({"Status": "Available"}, set()),
        ({"Tag__1__Key": "env"}, {"one", "two"}),
        ({"Tag__1__Key": "env", "Tag__1__Value": "prod"}, {"one"}),
        ({"Tag__1__Key": "env", "Tag__1__Value": "prod", "Tag__2__Key": "none"}, set()),
        ({"ZoneId": ZONE}, {"one", "two"}),
        ({"Portable": "true", "Encrypted": "false"}, {"one", "two"}),
        ({"Portable": "false"}, set()),
        ({"Encrypted": "True"}, set()),
        ({"InstanceId": "i-1"}, set()),
        ({"Filter__1__Key": "CreationStartTime", "Filter__1__Value": "2026-03-01T12:00Z"}, {"one", "two"}),
        ({"Filter__2__Key": "CreationEndTime", "Filter__2__Value": "2026-03-01T11:59:59Z"}, set()),
        ({"SnapshotId": "s-nothing"}, set()),
    ],
)
def test_filters_of_disks(caller, filters, names):
    create(caller, DiskName="one", Tag__1__Key="env", Tag__1__Value="prod")
    create(caller, DiskName="two", DiskCategory="cloud_ssd", Tag__1__Key="env", Tag__1__Value="test")
    assert list_names(caller, **filters) == names


@pytest.mark.parametrize(
    ("filters", "status", "code"),
    [
        ({"RegionId": ""}, 400, "MissingParamter.RegionId"),
        ({"RegionId": "cn-x"}, 400, "InvalidRegion.NotFound"),
        ({"ZoneId": "cn-x"}, 400, "InvalidZoneId.NotFound"),
        ({"DiskIds": "d-1"}, 403, "InvalidDiskIds.Malformed"),
        ({"DiskIds": "[" + ",".join(f'"d-{n}"' for n in range(101)) + "]"}, 403, "InvalidDiskIds.Malformed"),
        ({"DiskType": "floppy"}, 400, "InvalidDiskType.ValueNotSupported"),
        ({"Category": "tape"}, 400, "InvalidCategory.ValueNotSupported"),
        ({"Status": "Lost"}, 400, "InvalidStatus.ValueNotSupported"),
        ({"DiskChargeType": "Free"}, 404, "InvalidDiskChargeType.NotFound"),
        ({"LockReason": "mood"}, 404, "InvalidLockReason.NotFound"),
        ({"MultiAttach": "Maybe"}, 403, "InvalidParameter.MultiAttach"),
        ({"Portable": "perhaps"}, 400, "InvalidParameter"),
        ({"PerformanceLevel": "PL9"}, 400, "InvalidParameter"),
        ({"Filter__1__Key": "Colour", "Filter__1__Value": "red"}, 404, "InvalidFilterKey.NotFound"),
        ({"Filter__1__Key": "CreationStartTime", "Filter__1__Value": "noon"}, 404, "InvalidFilterValue"),
        ({"Filter__1__Key": "CreationStartTime"}, 404, "InvalidFilterValue"),
        ({f"Tag__{n}__Key": str(n) for n in range(1, 22)}, 400, "InvalidTagCount"),
        ({"Tag__1__Value": "v"}, 400, "InvalidTag.Mismatch"),
        ({"PageNumber": "0"}, 400, "InvalidParameter"),
        ({"PageSize": "-1"}, 400, "InvalidParameter"),
        ({"NextToken": "invented"}, 400, "InvalidParameter.NextToken"),
    ],
)
def test_describe_disks_refuses(caller, filters, status, code):
    answer = caller.call("DescribeDisks", **{"RegionId": REGION, **filters})
    assert (answer.status, answer.code) == (status, code)


def test_numbered_pages(caller):
    for _ in range(12):
        create(caller)
    page = caller.call("DescribeDisks", RegionId=REGION, PageNumber=3, PageSize=5).json
    assert (page["PageNumber"], page["PageSize"], page["TotalCount"], len(page["Disks"]["Disk"])) == (
        3,
        5,
        12,
        2,
    )
    assert caller.call("DescribeDisks", RegionId=REGION, PageSize=500).json["PageSize"] == 100
    assert caller.call("DescribeDisks", RegionId=REGION, PageNumber=10**9).json["Disks"]["Disk"] == []


def test_tokens_visit_each_disk_once_while_disks_come_and_go(installation, caller):
    ids = [create(caller).json["DiskId"] for _ in range(25)]
    seen, token = [], None
    while True:
        extra = {"NextToken": token} if token else {}
        page = caller.call("DescribeDisks", RegionId=REGION, MaxResults=1, **extra).json  # 1 counts as 10
        seen += [disk["DiskId"] for disk in page["Disks"]["Disk"]]
        installation.clock.instant = installation.clock.instant.replace(minute=len(seen))
        create(caller)
        token = page["NextToken"]
        if not token:
            break
    assert sorted(seen) == sorted(ids)


def test_a_token_belongs_to_its_list(installation, caller):
    for _ in range(11):
        create(caller, DiskName="one")
    token = caller.call("DescribeDisks", RegionId=REGION, DiskName="one", MaxResults=10).json["NextToken"]
    assert caller.call("DescribeDisks", RegionId=REGION, DiskName="one", NextToken=token).status == 200
    other = installation.add_caller("other")
    assert caller.call("DescribeDisks", RegionId=REGION, NextToken=token).code == "InvalidParameter.NextToken"
    assert other.call("DescribeDisks", RegionId=REGION, DiskName="one", NextToken=token).status == 400
    assert caller.call("DescribeSnapshots", RegionId=REGION, NextToken=token).status == 400


@pytest.mark.parametrize(
    ("extra", "status", "code"),
    [
        ({"DiskId": ""}, 400, "MissingParameter"),
        ({"DiskId": "d-nothing"}, 404, "InvalidDiskId.NotFound"),
        ({"SnapshotName": "auto1"}, 400, "InvalidSnapshotName.Malformed"),
        ({"SnapshotName": "1abc"}, 400, "InvalidSnapshotName.Malformed"),
        ({"SnapshotName": "a b"}, 400, "InvalidSnapshotName.Malformed"),
        ({"Description": "x"}, 404, "InvalidDescription.Malformed"),
        ({"RetentionDays": "0"}, 400, "InvalidRetentionDays.Malformed"),
        ({"RetentionDays": "65537"}, 400, "InvalidRetentionDays.Malformed"),
        ({"Category": "Gold"}, 403, "InvalidSnapshotCategory.Malformed"),
        ({"Category": "Flash", "InstantAccess": "true"}, 403, "InvalidCategoryAndInstantAccess.Malformed"),
        ({"InstantAccessRetentionDays": "0"}, 403, "InvalidInstantAccessRetentionDays.Malformed"),
        ({"ClientToken": "é"}, 403, "InvalidClientToken.Malformed"),
        ({"StorageLocationArn": "arn"}, 403, "InvalidParameter.UnauthorizedStorageLocationArn"),
        ({"ResourceGroupId": "rg-1"}, 404, "InvalidResourceGroup.NotFound"),
    ],
)
def test_create_snapshot_refuses(installation, caller, extra, status, code):
    disk_id = make_disk(installation, caller)
    answer = caller.call("CreateSnapshot", **{"DiskId": disk_id, **extra})
    assert (answer.status, answer.code) == (status, code)


def test_a_snapshot_in_creation_shows_in_every_refusal(installation, caller):
    disk_id = make_disk(installation, caller)
    snapshot_id = caller.call("CreateSnapshot", DiskId=disk_id, SnapshotName="s1", ClientToken="t").json[
        "SnapshotId"
    ]
    assert caller.call("CreateSnapshot", DiskId=disk_id).code == "IncorrectDiskStatus.CreatingSnapshot"
    assert caller.call("DeleteDisk", DiskId=disk_id).code == "DiskCreatingSnapshot"
    assert (
        caller.call("ResetDisk", DiskId=disk_id, SnapshotId=snapshot_id).code == "InvalidSnapshotId.NotReady"
    )
    assert create(caller, SnapshotId=snapshot_id).code == "InvalidSnapshotId.NotReady"
    mismatch = caller.call("CreateSnapshot", DiskId=disk_id, ClientToken="t")
    assert (mismatch.status, mismatch.code) == (403, "IdempotentParameterMismatch")
    again = caller.call("CreateSnapshot", DiskId=disk_id, SnapshotName="s1", ClientToken="t")
    assert again.json["SnapshotId"] == snapshot_id


def test_a_snapshot_is_described_as_it_was_asked_for(installation, caller):
    disk_id = make_disk(installation, caller)
    snapshot_id = caller.call(
        "CreateSnapshot",
        DiskId=disk_id,
        SnapshotName="s1",
        Description="first",
        RetentionDays=3,
        Tag__1__Key="k",
    ).json["SnapshotId"]
    [shown] = caller.call("DescribeSnapshots", RegionId=REGION, SnapshotIds=f'["{snapshot_id}"]').json[
        "Snapshots"
    ]["Snapshot"]
    assert shown["Status"] == "progressing"
    assert shown["Available"] is False
    assert shown["Progress"] == "0%"
    assert shown["SourceDiskId"] == disk_id
    assert shown["SourceDiskSize"] == "20"
    assert shown["SnapshotLinkId"] == "sl-" + disk_id[2:]
    assert (shown["RetentionDays"], shown["SnapshotType"], shown["Usage"]) == (3, "user", "none")
    assert shown["Tags"]["Tag"] == [{"TagKey": "k", "TagValue": ""}]


@pytest.mark.parametrize(
    ("filters", "status", "code"),
    [
        ({"RegionId": ""}, 400, "MissingParameter"),
        ({"SnapshotIds": "s-1"}, 403, "InvalidSnapshotIds.Malformed"),
        (
            {"SnapshotIds": "[" + ",".join(f'"s-{n}"' for n in range(101)) + "]"},
            403,
            "InvalidSnapshotIds.Malformed",
        ),
        ({"SnapshotLinkId": "x"}, 404, "InvalidSnapshotLinkId.NotFound"),
        ({"Status": "lost"}, 404, "InvalidStatus.NotFound"),
        ({"SnapshotType": "odd"}, 404, "InvalidSnapshotType.NotFound"),
        ({"Usage": "odd"}, 404, "InvalidUsage"),
        ({"SourceDiskType": "odd"}, 404, "InvalidSourceDiskType"),
        ({"Category": "odd"}, 403, "InvalidSnapshotCategory.Malformed"),
        ({"Filter__1__Key": "x", "Filter__1__Value": "y"}, 404, "InvalidFilterKey.NotFound"),
        ({"Tag__1__Value": "v"}, 400, "InvalidTag.Mismatch"),
        ({"DryRun": "true"}, 400, "DryRunOperation"),
    ],
)
def test_describe_snapshots_refuses(caller, filters, status, code):
    answer = caller.call("DescribeSnapshots", **{"RegionId": REGION, **filters})
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 1),
        ({"Status": "all", "SnapshotType": "all", "Usage": "none", "SourceDiskType": "Data"}, 1),
        ({"Status": "accomplished"}, 0),
        ({"SnapshotType": "auto"}, 0),
        ({"Usage": "image_disk"}, 0),
        ({"SourceDiskType": "System"}, 0),
        ({"Category": "Standard"}, 1),
        ({"Category": "Archive"}, 0),
        ({"Encrypted": "false"}, 1),
        ({"Encrypted": "true"}, 0),
        ({"InstanceId": "i-1"}, 0),
        ({"SnapshotName": "s1"}, 1),
        ({"SnapshotName": "s2"}, 0),
        ({"SnapshotIds": "[]"}, 0),
        ({"SnapshotLinkId": "sl-unknown"}, 0),
        ({"DiskId": "d-unknown"}, 0),
    ],
)
def test_filters_of_snapshots(installation, caller, filters, count):
    caller.call("CreateSnapshot", DiskId=make_disk(installation, caller), SnapshotName="s1")
    answer = caller.call("DescribeSnapshots", RegionId=REGION, **filters)
    assert (answer.status, answer.json["TotalCount"]) == (200, count)


def test_a_chain_is_a_filter(installation, caller):
    disk_id = make_disk(installation, caller)
    caller.call("CreateSnapshot", DiskId=disk_id)
    link = "sl-" + disk_id[2:]
    assert caller.call("DescribeSnapshots", RegionId=REGION, SnapshotLinkId=link).json["TotalCount"] == 1
    assert (
        caller.call("DescribeSnapshots", RegionId=REGION, SnapshotLinkId=link, DiskId="d-x").json[
            "TotalCount"
        ]
        == 0
    )


def test_a_disk_that_was_never_attached_has_nothing_to_snapshot(installation, caller):
    answer = caller.call("CreateSnapshot", DiskId=make_disk(installation, caller, was_attached=False))
    assert (answer.status, answer.code) == (403, "IncorrectDiskStatus.NeverAttached")


def test_local_disks_have_no_snapshots(installation, caller):
    disk_id = make_disk(installation, caller)
    with installation.services.database.transaction() as session:
        disk = session.get(DiskRecord, disk_id)
        disk.category = type(disk.category)("local_ssd_pro")
    answer = caller.call("CreateSnapshot", DiskId=disk_id)
    assert (answer.status, answer.code) == (400, "DiskCategory.OperationNotSupported")


def test_what_is_being_made_cannot_be_used(caller):
    disk_id = create(caller).json["DiskId"]
    for action, extra in (("CreateSnapshot", {}), ("DeleteDisk", {}), ("ConnectDisk", {})):
        answer = caller.call(action, DiskId=disk_id, **extra)
        assert (answer.status, answer.code) == (403, "IncorrectDiskStatus"), action


def test_deleting_what_is_not_there_is_no_error(caller):
    assert caller.call("DeleteDisk", DiskId="d-nothing").status == 200
    assert caller.call("DeleteSnapshot", SnapshotId="s-nothing").status == 200


def test_another_accounts_things_do_not_exist(installation, caller):
    disk_id = make_disk(installation, caller)
    snapshot_id = caller.call("CreateSnapshot", DiskId=disk_id).json["SnapshotId"]
    other = installation.add_caller("other")
    assert other.call("DescribeDisks", RegionId=REGION, DiskIds=f'["{disk_id}"]').json["Disks"]["Disk"] == []
    assert (
        other.call("DescribeSnapshots", RegionId=REGION, SnapshotIds=f'["{snapshot_id}"]').json["TotalCount"]
        == 0
    )
    assert other.call("CreateSnapshot", DiskId=disk_id).code == "InvalidDiskId.NotFound"
    assert other.call("ResetDisk", DiskId=disk_id, SnapshotId=snapshot_id).code == "InvalidDiskId.NotFound"
    assert create(other, SnapshotId=snapshot_id).code == "InvalidSnapshotId.NotFound"
    assert other.call("ConnectDisk", DiskId=disk_id).code == "InvalidDiskId.NotFound"
    assert other.call("DeleteSnapshot", SnapshotId=snapshot_id).status == 200
    assert other.call("DeleteDisk", DiskId=disk_id).status == 200
    assert caller.call("DescribeSnapshots", RegionId=REGION).json["TotalCount"] == 1
    assert caller.call("DescribeDisks", RegionId=REGION).json["TotalCount"] == 1


def test_a_suspended_account_makes_no_snapshots_and_may_look_and_delete(installation, caller):
    disk_id = make_disk(installation, caller)
    with installation.services.database.transaction() as session:
        set_standing(session, caller.key.account_id, AccountStanding.SUSPENDED)
    for action, extra in (
        ("CreateSnapshot", {"DiskId": disk_id}),
        ("ResetDisk", {"DiskId": disk_id, "SnapshotId": "s-1"}),
        ("CreateDisk", {"RegionId": REGION, "ZoneId": ZONE, "SnapshotId": "s-1"}),
        ("CreateDisk", {"RegionId": REGION, "ZoneId": ZONE, "Size": "20"}),
    ):
        answer = caller.call(action, **extra)
        assert (answer.status, answer.code) == (403, "InvalidAccountStatus.NotEnoughBalance"), action
    assert caller.call("DescribeDisks", RegionId=REGION).status == 200
    assert caller.call("DeleteDisk", DiskId=disk_id).status == 200
