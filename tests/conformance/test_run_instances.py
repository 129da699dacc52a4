"""Instances from images through the official clients: how many, what they are called, whose bytes their disks have."""

import os
from datetime import UTC, datetime, timedelta

from alibabacloud_ecs20140526 import models as m

from tests.conformance.conftest import REGION, wait_until
from tests.conformance.instances import (
    IMAGE,
    code_of,
    data_disk,
    find,
    list_disks_of,
    make_image,
    make_instance,
    reinit,
    run_instances,
    share_image,
    start,
    stop,
    wait_instance,
)

ROOT, DATA = os.urandom(1 << 20), os.urandom(1 << 20)


def wait_running(account, ids):
    for instance_id in ids:
        wait_instance(account, instance_id, "Running")


def delete_image(account, image_id, *, force=False):
    account.new_sdk().delete_image(m.DeleteImageRequest(region_id=REGION, image_id=image_id, force=force))


def test_b40_e28_an_image_starts_instances_and_a_snapshot_does_not(account):
    sdk = account.new_sdk()
    image_id = make_image(account, ROOT, c=DATA)
    ids = run_instances(account, data_disk(size=2), amount=2, image_id=image_id)
    wait_running(account, ids)
    for instance_id in ids:
        stop(account, instance_id)
        system, free, data = list_disks_of(account, instance_id)
        assert account.read(system, len(ROOT)) == ROOT
        assert account.read(data, len(DATA)) == DATA
        assert account.read(free, 4096) == bytes(4096)
    [disk] = find(account, "Disk", [data])
    assert (disk["ImageId"], disk["Device"], disk["Type"]) == (image_id, "/dev/xvdc", "data")
    snapshot_id = account.make_snapshot(data)
    request = m.RunInstancesRequest(region_id=REGION, instance_type="ecs.g6.large", image_id=snapshot_id)
    assert code_of(sdk.run_instances, request) == (404, "InvalidImageId.NotFound")
    request.image_id = None
    assert code_of(sdk.run_instances, request) == (400, "MissingParameter")


def test_several_instances_are_named_in_order(account):
    tags = [m.RunInstancesRequestTag(key="role", value="node")]
    ids = run_instances(
        account,
        amount=3,
        min_amount=2,
        instance_name="node-[6,4]",
        host_name="h[1,2]-${instance_id}",
        tag=tags,
    )
    found = {each["InstanceId"]: each for each in find(account, "Instance", ids)}
    assert [found[each]["InstanceName"] for each in ids] == ["node-0006", "node-0007", "node-0008"]
    assert [found[each]["HostName"] for each in ids] == [f"h{n:02}-{each}" for n, each in enumerate(ids, 1)]
    wait_running(account, ids)
    body = account.new_sdk().describe_instance_status(m.DescribeInstanceStatusRequest(region_id=REGION)).body
    assert {each.status for each in body.instance_statuses.instance_status} == {"Running"}
    model = m.DescribeInstancesResponseBodyInstancesInstance
    shown = found[ids[0]]
    assert set(shown) <= set(model().from_map(shown).to_map()), "fields that the model does not have"


def test_a_disk_keeps_the_images_bytes_in_another_size(account):
    image_id = make_image(account, ROOT, b=DATA)
    wanted = data_disk(device="/dev/xvdb", size=3, disk_name="three")
    instance_id = make_instance(account, wanted, image_id=image_id)
    _, data = list_disks_of(account, instance_id)
    disk = account.describe("Disk", data)
    assert (disk["Size"], disk["DiskName"], disk["Category"]) == (3, "three", "cloud_auto")
    assert account.read(data, len(DATA)) == DATA
    small = m.CreateInstanceRequest(
        region_id=REGION,
        instance_type="ecs.g6.large",
        image_id=make_image(account, ROOT, b=b"x"),
        data_disk=[m.CreateInstanceRequestDataDisk(device="/dev/xvdb", size=0)],
    )
    assert code_of(account.new_sdk().create_instance, small) == (400, "InvalidDataDiskSize.ValueNotSupported")


def test_the_newest_image_of_a_family_is_taken(account):
    sdk = account.new_sdk()
    for content in (b"old", b"new"):
        image_id = make_image(account, content)
        change = m.ModifyImageAttributeRequest(region_id=REGION, image_id=image_id, image_family="web")
        sdk.modify_image_attribute(change)
    [instance_id] = run_instances(account, image_id=None, image_family="web")
    wait_running(account, [instance_id])
    stop(account, instance_id)
    assert account.describe("Instance", instance_id)["ImageId"] == image_id
    assert account.read(list_disks_of(account, instance_id)[0], 3) == b"new"


def test_policies_are_applied_to_the_disks_of_new_instances(account):
    policy = account.lamina().call(
        "CreateAutoSnapshotPolicy",
        {"regionId": REGION, "timePoints": '["3"]', "repeatWeekdays": '["1"]', "retentionDays": 7},
    )["AutoSnapshotPolicyId"]
    system = m.RunInstancesRequestSystemDisk(auto_snapshot_policy_id=policy)
    [instance_id] = run_instances(
        account, data_disk(auto_snapshot_policy_id=policy), data_disk(), system_disk=system
    )
    wait_running(account, [instance_id])
    disks = [account.describe("Disk", disk_id) for disk_id in list_disks_of(account, instance_id)]
    assert [disk["AutoSnapshotPolicyId"] for disk in disks] == [policy, policy, ""]


def test_another_accounts_policy_and_image_do_not_exist(account, stranger):
    policy = account.lamina().call(
        "CreateAutoSnapshotPolicy",
        {"regionId": REGION, "timePoints": '["3"]', "repeatWeekdays": '["1"]', "retentionDays": 7},
    )["AutoSnapshotPolicyId"]
    image_id = make_image(account, ROOT)
    sdk = stranger.new_sdk()
    request = m.RunInstancesRequest(region_id=REGION, instance_type="ecs.g6.large", image_id=image_id)
    assert code_of(sdk.run_instances, request) == (404, "InvalidImageId.NotFound")
    request.image_id = IMAGE
    request.system_disk = m.RunInstancesRequestSystemDisk(auto_snapshot_policy_id=policy)
    assert code_of(sdk.run_instances, request) == (404, "InvalidAutoSnapshotPolicyId.NotFound")
    assert stranger.lamina().call("DescribeInstances", {"RegionId": REGION})["TotalCount"] == 0


def test_a_dry_run_and_a_token_make_nothing_twice(account):
    sdk = account.new_sdk()
    given = {"region_id": REGION, "instance_type": "ecs.g6.large", "image_id": IMAGE}
    dry = m.RunInstancesRequest(**given, amount=5, dry_run=True)
    assert code_of(sdk.run_instances, dry) == (400, "DryRunOperation")
    once = m.RunInstancesRequest(**given, client_token="once")
    first = sdk.run_instances(once).body.instance_id_sets.instance_id_set
    assert sdk.run_instances(once).body.instance_id_sets.instance_id_set == first
    changed = m.RunInstancesRequest(**given, client_token="once", amount=2)
    assert code_of(sdk.run_instances, changed) == (400, "IdempotentParameterMismatch")
    assert account.lamina().call("DescribeInstances", {"RegionId": REGION})["TotalCount"] == 1


def test_instances_are_started_stopped_and_released_in_batches(account):
    sdk = account.new_sdk()
    one, two = make_instance(account), make_instance(account)
    batch = {"region_id": REGION, "instance_id": [one, two]}
    body = sdk.start_instances(m.StartInstancesRequest(**batch)).body
    shown = body.instance_responses.instance_response
    assert [(each.code, each.previous_status, each.current_status) for each in shown] == [
        ("200", "Stopped", "Starting")
    ] * 2
    wait_running(account, [one, two])
    stop(account, one)
    assert code_of(sdk.stop_instances, m.StopInstancesRequest(**batch)) == (403, "IncorrectInstanceStatus")
    assert account.describe("Instance", two)["Status"] == "Running"
    request = m.StopInstancesRequest(**batch, batch_optimization="SuccessFirst")
    shown = sdk.stop_instances(request).body.instance_responses.instance_response
    assert [each.code for each in shown] == ["IncorrectInstanceStatus", "200"]
    wait_instance(account, two, "Stopped")
    sdk.delete_instances(m.DeleteInstancesRequest(**batch))
    assert find(account, "Instance", [one, two]) == []


def test_a_reboot_ends_running(account):
    sdk = account.new_sdk()
    instance_id = make_instance(account)
    request = m.RebootInstanceRequest(instance_id=instance_id)
    assert code_of(sdk.reboot_instance, request) == (403, "IncorrectInstanceStatus")
    start(account, instance_id)
    sdk.reboot_instance(request)
    wait_instance(account, instance_id, "Running")


def test_b16_e21_an_image_that_is_gone_brings_no_disk_back(account):
    sdk = account.new_sdk()
    image_id = make_image(account, ROOT, b=DATA)
    [instance_id] = run_instances(account, image_id=image_id)
    wait_running(account, [instance_id])
    stop(account, instance_id)
    disks = list_disks_of(account, instance_id)
    for disk_id, expected in zip(disks, (ROOT, DATA), strict=True):
        account.write(disk_id, os.urandom(4096))
        reinit(account, disk_id)
        assert account.read(disk_id, len(expected)) == expected
    delete = m.DeleteImageRequest(region_id=REGION, image_id=image_id)
    assert code_of(sdk.delete_image, delete) == (403, "ImageUsingByInstance")
    delete_image(account, image_id, force=True)
    for disk_id in disks:
        request = m.ReInitDiskRequest(disk_id=disk_id)
        assert code_of(sdk.re_init_disk, request) == (404, "InvalidImageId.NotFound")
    assert account.read(disks[0], len(ROOT)) == ROOT
    start(account, instance_id)


def test_b16_a_shared_image_makes_instances_until_it_is_unshared(account, stranger):
    image_id = make_image(account, ROOT, b=DATA)
    share_image(account, image_id, add=[stranger.account_id])
    [instance_id] = run_instances(stranger, image_id=image_id)
    share_image(account, image_id, remove=[stranger.account_id])
    wait_running(stranger, [instance_id])
    stop(stranger, instance_id)
    system, data = list_disks_of(stranger, instance_id)
    assert stranger.read(system, len(ROOT)) == ROOT
    assert stranger.read(data, len(DATA)) == DATA
    request = m.ReInitDiskRequest(disk_id=system)
    assert code_of(stranger.new_sdk().re_init_disk, request) == (404, "InvalidImageId.NotFound")
    mine = stranger.make_snapshot(data)
    assert stranger.lamina().call("DescribeSnapshots", {"RegionId": REGION})["TotalCount"] == 1
    assert stranger.describe("Snapshot", mine)["SourceDiskId"] == data


def test_what_is_paid_in_advance_is_shown_and_not_released(account):
    sdk = account.new_sdk()
    [instance_id] = run_instances(account, instance_charge_type="PrePaid", period=1, period_unit="Week")
    wait_running(account, [instance_id])
    shown = account.describe("Instance", instance_id)
    expires_at = datetime.strptime(shown["ExpiredTime"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    assert abs(expires_at - datetime.now(UTC) - timedelta(weeks=1)) < timedelta(minutes=3)
    assert shown["InstanceChargeType"] == "PrePaid"
    request = m.DeleteInstanceRequest(instance_id=instance_id, force=True)
    assert code_of(sdk.delete_instance, request) == (403, "ChargeTypeViolation")


def test_an_instance_by_the_command_line(account):
    made = account.run("instance", "run", "--name", "cli", "--data-size", "20", "--wait").stdout.split()
    [instance_id] = made
    assert account.describe("Instance", instance_id)["Status"] == "Running"
    assert len(list_disks_of(account, instance_id)) == 2
    assert "cli" in account.run("instance", "list", "--status", "Running").stdout
    account.run("instance", "stop", instance_id, "--wait")
    data = account.service.data_dir
    account.run("instance", "lock", instance_id, "--reason", "security", "--data", data)
    refused = account.run("instance", "start", instance_id, check=False)
    assert refused.returncode == 2
    assert "InstanceLockedForSecurity" in refused.stderr
    account.run("instance", "unlock", instance_id, "--data", data)
    assert '"Status": "Running"' in account.run("instance", "start", instance_id, "--wait", "--json").stdout
    account.run("instance", "delete", instance_id, "--force")
    wait_until(lambda: account.describe("Instance", instance_id), lambda found: found is None)


def test_the_same_way_with_the_older_sdk(account):
    made = account.old(
        "RunInstances",
        ImageId=IMAGE,
        InstanceType="ecs.c6.large",
        Amount=2,
        InstanceName="old",
        UniqueSuffix=True,
    )
    ids = made["InstanceIdSets"]["InstanceIdSet"]
    wait_running(account, ids)
    found = account.old("DescribeInstanceStatus", InstanceIds=ids)
    assert {each["Status"] for each in found["InstanceStatuses"]["InstanceStatus"]} == {"Running"}
    account.old("RebootInstance", InstanceId=ids[0])
    wait_running(account, ids)
    account.old("DeleteInstances", InstanceIds=ids, Force=True)
    assert account.old("DescribeInstances")["TotalCount"] == 0
