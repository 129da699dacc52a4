"""Automatic snapshot policies through the official clients: every parameter, every refusal, and the lists."""

import json

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from lamina.clock import SystemClock
from lamina.control.accounts.standing import set_standing
from lamina.control.accounts.states import AccountStanding
from lamina.control.installation import open_metadata
from tests.conformance.conftest import REGION

PLAIN = {
    "region_id": REGION,
    "time_points": '["2","14"]',
    "repeat_weekdays": '["1","7"]',
    "retention_days": 30,
}


def refusal(call, *arguments):
    with pytest.raises(ClientException) as refused:
        call(*arguments)
    return refused.value.status_code, refused.value.code


def create(account, **options):
    request = m.CreateAutoSnapshotPolicyRequest(**{**PLAIN, **options})
    return account.new_sdk().create_auto_snapshot_policy(request).body.auto_snapshot_policy_id


def apply(account, policy_id, *disk_ids):
    return account.new_sdk().apply_auto_snapshot_policy(
        m.ApplyAutoSnapshotPolicyRequest(
            region_id=REGION, auto_snapshot_policy_id=policy_id, disk_ids=json.dumps(disk_ids)
        )
    )


def cancel(account, *disk_ids, **options):
    return account.new_sdk().cancel_auto_snapshot_policy(
        m.CancelAutoSnapshotPolicyRequest(region_id=REGION, disk_ids=json.dumps(disk_ids), **options)
    )


def delete(account, policy_id, region_id=REGION):
    return account.new_sdk().delete_auto_snapshot_policy(
        m.DeleteAutoSnapshotPolicyRequest(region_id=region_id, auto_snapshot_policy_id=policy_id)
    )


def modify(account, policy_id, **options):
    return account.new_sdk().modify_auto_snapshot_policy_ex(
        m.ModifyAutoSnapshotPolicyExRequest(region_id=REGION, auto_snapshot_policy_id=policy_id, **options)
    )


def describe(account, **options):
    request = m.DescribeAutoSnapshotPolicyExRequest(region_id=REGION, **options)
    return account.new_sdk().describe_auto_snapshot_policy_ex(request).body


def get(account, policy_id):
    [found] = describe(account, auto_snapshot_policy_id=policy_id).auto_snapshot_policies.auto_snapshot_policy
    return found


def list_associations(account, **options):
    request = m.DescribeAutoSnapshotPolicyAssociationsRequest(region_id=REGION, **options)
    body = account.new_sdk().describe_auto_snapshot_policy_associations(request).body
    pairs = body.auto_snapshot_policy_associations.auto_snapshot_policy_association
    return [(pair.auto_snapshot_policy_id, pair.disk_id) for pair in pairs], body.next_token


def test_b20_a_policy_is_created_shown_changed_applied_cancelled_and_deleted(account):
    disk_id = account.make_disk()
    policy_id = create(
        account,
        auto_snapshot_policy_name="nightly",
        time_points='["14", "2"]',
        tag=[m.CreateAutoSnapshotPolicyRequestTag(key="k", value="v")],
    )
    shown = get(account, policy_id)
    assert policy_id.startswith("sp-")
    assert (shown.auto_snapshot_policy_name, shown.time_points, shown.repeat_weekdays) == (
        "nightly",
        '["2","14"]',
        '["1","7"]',
    )
    assert (shown.retention_days, shown.disk_nums, shown.volume_nums, shown.status) == (30, 0, 0, "Normal")
    assert (shown.type, shown.association_type, shown.region_id) == ("Custom", "AssociatedWithDisk", REGION)
    assert (shown.enable_cross_region_copy, shown.target_copy_regions) == (False, "[]")
    assert [(tag.tag_key, tag.tag_value) for tag in shown.tags.tag] == [("k", "v")]
    apply(account, policy_id, disk_id)
    assert get(account, policy_id).disk_nums == 1
    disk = account.describe("Disk", disk_id)
    assert (disk["AutoSnapshotPolicyId"], disk["EnableAutomatedSnapshotPolicy"]) == (policy_id, True)
    modify(account, policy_id, retention_days=-1, repeat_weekdays="[3]", auto_snapshot_policy_name="kept")
    changed = get(account, policy_id)
    assert (changed.retention_days, changed.repeat_weekdays, changed.time_points) == (
        -1,
        '["3"]',
        '["2","14"]',
    )
    assert changed.auto_snapshot_policy_name == "kept"
    cancel(account, disk_id)
    cancel(account, disk_id)
    assert account.describe("Disk", disk_id)["AutoSnapshotPolicyId"] == ""
    apply(account, policy_id, disk_id)
    delete(account, policy_id)
    assert describe(account).total_count == 0
    disk = account.describe("Disk", disk_id)
    assert (disk["AutoSnapshotPolicyId"], disk["EnableAutomatedSnapshotPolicy"]) == ("", False)


def test_b20_the_older_client_manages_policies_too(account):
    disk_id = account.make_disk()
    policy_id = account.old(
        "CreateAutoSnapshotPolicy", timePoints="['0']", repeatWeekdays="[1, 2]", retentionDays=-1
    )["AutoSnapshotPolicyId"]
    account.old("ApplyAutoSnapshotPolicy", autoSnapshotPolicyId=policy_id, diskIds=json.dumps([disk_id]))
    account.old("ModifyAutoSnapshotPolicyEx", autoSnapshotPolicyId=policy_id, retentionDays=3)
    [found] = account.old("DescribeAutoSnapshotPolicyEx")["AutoSnapshotPolicies"]["AutoSnapshotPolicy"]
    assert (found["TimePoints"], found["RepeatWeekdays"], found["RetentionDays"]) == ('["0"]', '["1","2"]', 3)
    assert found["DiskNums"] == 1
    account.old("CancelAutoSnapshotPolicy", diskIds=json.dumps([disk_id]))
    account.old("DeleteAutoSnapshotPolicy", autoSnapshotPolicyId=policy_id)
    assert account.old("DescribeAutoSnapshotPolicyEx")["TotalCount"] == 0


def test_b21_e23_a_second_policy_takes_the_place_of_the_first(account):
    disk_id = account.make_disk()
    first, second = create(account), create(account)
    apply(account, first, disk_id)
    apply(account, second, disk_id)
    assert account.describe("Disk", disk_id)["AutoSnapshotPolicyId"] == second
    assert (get(account, first).disk_nums, get(account, second).disk_nums) == (0, 1)
    assert list_associations(account) == ([(second, disk_id)], "")
    cancel(account, disk_id, auto_snapshot_policy_id=first)
    assert account.describe("Disk", disk_id)["AutoSnapshotPolicyId"] == second


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"time_points": '["24"]'}, (403, "ParameterInvalid")),
        ({"time_points": "[]"}, (403, "ParameterInvalid")),
        ({"time_points": "2"}, (403, "ParameterInvalid")),
        ({"time_points": json.dumps([str(n % 24) for n in range(25)])}, (403, "ParameterInvalid")),
        ({"repeat_weekdays": '["0"]'}, (403, "ParameterInvalid")),
        ({"repeat_weekdays": '["8"]'}, (403, "ParameterInvalid")),
        ({"retention_days": 0}, (403, "ParameterInvalid")),
        ({"retention_days": -2}, (403, "ParameterInvalid")),
        ({"retention_days": 65536}, (403, "ParameterInvalid")),
        ({"auto_snapshot_policy_name": "1st"}, (400, "InvalidSnapshotPolicyName.Malformed")),
        ({"auto_snapshot_policy_name": "x"}, (400, "InvalidSnapshotPolicyName.Malformed")),
        ({"resource_group_id": "rg-1"}, (404, "InvalidResourceGroup.NotFound")),
        ({"storage_location_arn": "acs:x"}, (403, "ParameterInvalid")),
        ({"association_type": "AssociatedWithInstanceTag"}, (403, "ParameterInvalid")),
        (
            {"enable_cross_region_copy": True, "target_copy_regions": '["cn-beijing"]'},
            (403, "Abs.InvalidAction.RegionNotSupport"),
        ),
        ({"enable_cross_region_copy": True}, (403, "InvalidParameter.TargetCopyRegions")),
        (
            {"enable_cross_region_copy": True, "target_copy_regions": '["a","b"]'},
            (403, "InvalidParameter.TargetCopyRegions"),
        ),
        ({"copied_snapshots_retention_days": -5}, (403, "InvalidParameter.CopiedSnapshotsRetentionDays")),
        (
            {
                "enable_cross_region_copy": True,
                "target_copy_regions": '["a"]',
                "copied_snapshots_retention_days": 0,
            },
            (403, "InvalidParameter.CopiedSnapshotsRetentionDays"),
        ),
        (
            {
                "tag": [
                    m.CreateAutoSnapshotPolicyRequestTag(key="k", value="1"),
                    m.CreateAutoSnapshotPolicyRequestTag(key="k", value="2"),
                ]
            },
            (400, "Duplicate.TagKey"),
        ),
        ({"tag": [m.CreateAutoSnapshotPolicyRequestTag(key="acs:k")]}, (400, "InvalidTagKey.Malformed")),
        ({"time_points": None}, (400, "MissingParameter")),
        ({"retention_days": None}, (400, "MissingParameter")),
    ],
)
def test_e16_what_create_refuses(account, options, expected):
    assert refusal(lambda: create(account, **options)) == expected
    assert describe(account).total_count == 0


def test_what_modify_refuses(account):
    policy_id = create(account)
    for options, expected in (
        ({"retention_days": 0}, (403, "ParameterInvalid")),
        ({"retention_days": 65537}, (403, "ParameterInvalid")),
        ({"time_points": '["x"]'}, (403, "ParameterInvalid")),
        ({"auto_snapshot_policy_name": "http://x"}, (403, "ParameterInvalid")),
        (
            {"enable_cross_region_copy": True, "target_copy_regions": '["cn-beijing"]'},
            (403, "Abs.InvalidAction.RegionNotSupport"),
        ),
        (
            {"target_tags": [m.ModifyAutoSnapshotPolicyExRequestTargetTags(key="k", value="v")]},
            (403, "InvalidOperation.PolicyTypeUnsupported"),
        ),
    ):
        assert refusal(lambda options=options: modify(account, policy_id, **options)) == expected
    assert get(account, policy_id).retention_days == 30


def test_e09_local_disks_have_no_policies(account):
    local = account.make_disk(DiskCategory="local_ssd_pro")
    disk_id = account.make_disk()
    policy_id = create(account)
    assert refusal(apply, account, policy_id, local) == (400, "DiskCategory.OperationNotSupported")
    assert refusal(apply, account, policy_id, local, disk_id) == (
        400,
        "PartofDiskCategory.OperationNotSupported",
    )
    assert get(account, policy_id).disk_nums == 0


def test_unknown_policies_and_disks(account, stranger):
    disk_id, policy_id = account.make_disk(), create(account)
    theirs = create(stranger)
    for unknown in ("sp-unknown", theirs):
        assert refusal(apply, account, unknown, disk_id) == (404, "ParameterInvalid")
        assert refusal(delete, account, unknown) == (404, "ParameterInvalid")
        assert refusal(lambda unknown=unknown: modify(account, unknown, retention_days=1)) == (
            404,
            "ParameterInvalid",
        )
        assert describe(account, auto_snapshot_policy_id=unknown).total_count == 0
    assert refusal(apply, account, policy_id, "d-unknown") == (404, "InvalidDiskId.NotFound")
    assert refusal(apply, stranger, theirs, disk_id) == (404, "InvalidDiskId.NotFound")
    assert refusal(cancel, stranger, disk_id) == (404, "InvalidDiskId.NotFound")
    assert refusal(apply, account, policy_id) == (403, "ParameterInvalid")
    assert refusal(delete, account, policy_id, "cn-nowhere") == (404, "InvalidRegionId.NotFound")


def test_policies_are_found_by_name_tag_and_page(account):
    for number in range(12):
        tag = m.CreateAutoSnapshotPolicyRequestTag(key="even", value=str(number % 2 == 0))
        create(account, auto_snapshot_policy_name=f"policy-{number}", tag=[tag])
    names = []
    for page in (1, 2, 3):
        body = describe(account, page_number=page, page_size=5)
        assert (body.total_count, body.page_number, body.page_size) == (12, page, 5)
        names += [each.auto_snapshot_policy_name for each in body.auto_snapshot_policies.auto_snapshot_policy]
    assert names == [f"policy-{number}" for number in range(11, -1, -1)]
    assert describe(account, auto_snapshot_policy_name="policy-3").total_count == 1
    assert describe(account, resource_group_id="rg-1").total_count == 0
    tags = [m.DescribeAutoSnapshotPolicyExRequestTag(key="even", value="True")]
    assert describe(account, tag=tags).total_count == 6
    assert refusal(lambda: describe(account, tag=[m.DescribeAutoSnapshotPolicyExRequestTag(value="x")])) == (
        400,
        "InvalidTag.Mismatch",
    )


def test_associations_and_disks_are_found_by_policy(account):
    disks = [account.make_disk() for _ in range(12)]
    policy_id, other = create(account), create(account)
    apply(account, policy_id, *disks[:11])
    apply(account, other, disks[11])
    first, token = list_associations(account, auto_snapshot_policy_id=policy_id, max_results=10)
    second, end = list_associations(
        account, auto_snapshot_policy_id=policy_id, max_results=10, next_token=token
    )
    assert sorted(first + second) == sorted((policy_id, disk_id) for disk_id in disks[:11])
    assert (len(first), end) == (10, "")
    assert list_associations(account, disk_id=disks[11])[0] == [(other, disks[11])]
    sdk = account.new_sdk()
    for options, count in (
        ({"auto_snapshot_policy_id": policy_id}, 11),
        ({"auto_snapshot_policy_id": "sp-unknown"}, 0),
        ({"enable_automated_snapshot_policy": True}, 12),
        ({"enable_automated_snapshot_policy": False}, 0),
    ):
        request = m.DescribeDisksRequest(region_id=REGION, **options)
        assert sdk.describe_disks(request).body.total_count == count


def test_e05_a_suspended_account(account):
    disk_id, policy_id = account.make_disk(), create(account)
    with open_metadata(account.service.data_dir) as (database, _), database.transaction() as session:
        set_standing(session, account.account_id, AccountStanding.SUSPENDED)
    assert get(account, policy_id).status == "Expire"
    overdue = (403, "InvalidAccountStatus.NotEnoughBalance")
    assert refusal(lambda: create(account)) == overdue
    assert refusal(apply, account, policy_id, disk_id) == overdue
    delete(account, policy_id)


def test_b20_the_calendar_of_the_command_line(account):
    disk_id = account.make_disk(DiskName="web")
    policy_id = create(
        account, auto_snapshot_policy_name="nightly", time_points='["0"]', repeat_weekdays="[1]"
    )
    apply(account, policy_id, disk_id)
    [entry] = json.loads(account.run("policy", "calendar", "--runs", "3", "--json").stdout)
    assert (entry["DiskId"], entry["AutoSnapshotPolicyId"], entry["DiskName"]) == (disk_id, policy_id, "web")
    times = entry["NextRunTimes"]["NextRunTime"]
    assert len(times) == 3
    assert all(time.endswith("T16:00:00Z") for time in times), "midnight in Hangzhou"
    assert f"{SystemClock().now():%Y-%m-%d}" <= times[0][:10]
    lines = account.run("policy", "calendar", "--disk", disk_id).stdout.splitlines()
    assert lines[0].split() == ["RUN", "DISK", "NAME", "POLICY"]
    assert len(lines) == 6
    assert policy_id in account.run("policy", "list").stdout
    assert "nightly" in account.run("policy", "show", policy_id).stdout
    assert account.run("policy", "show", "sp-unknown", check=False).returncode == 2
