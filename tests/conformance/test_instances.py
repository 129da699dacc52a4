"""Instances and what they do with disks, through the official clients; bytes where the row is about data."""

import json
import os
import re

import pytest
from alibabacloud_ecs20140526 import models as m

from tests.conformance.conftest import REGION, ZONE, wait_until
from tests.conformance.instances import (
    IMAGE,
    attach,
    code_of,
    connected,
    data_disk,
    list_disks_of,
    make_instance,
    start,
    stop,
    wait_in_use,
    wait_instance,
)

DATA = os.urandom(1 << 20)


def test_e24_b30_a_stopped_instances_disk_is_rolled_back(account):
    """Snapshot before risky work, stop, roll back: while it runs the roll-back is refused (E27)."""
    sdk = account.new_sdk()
    instance_id = make_instance(account, data_disk())
    disk_id = list_disks_of(account, instance_id)[1]
    account.write(disk_id, DATA)
    start(account, instance_id)
    snapshot_id = account.make_snapshot(disk_id)
    reset = m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, reset) == (403, "IncorrectInstanceStatus")
    stop(account, instance_id)
    account.write(disk_id, bytes(len(DATA)))
    sdk.reset_disk(reset)
    wait_in_use(account, disk_id)
    assert account.read(disk_id, len(DATA)) == DATA
    start(account, instance_id)


def test_e27_several_disks_are_rolled_back_all_or_none(account):
    sdk = account.new_sdk()
    instance_id = make_instance(account, data_disk(), data_disk())
    _, one, two = list_disks_of(account, instance_id)
    pairs = []
    for disk_id in (one, two):
        account.write(disk_id, DATA)
        pairs.append((disk_id, account.make_snapshot(disk_id)))
        account.write(disk_id, bytes(4096))

    def request(*chosen):
        disks = [m.ResetDisksRequestDisk(disk_id=disk, snapshot_id=snapshot) for disk, snapshot in chosen]
        return m.ResetDisksRequest(region_id=REGION, disk=disks)

    crossed = request(pairs[0], (two, pairs[0][1]))
    assert code_of(sdk.reset_disks, crossed) == (403, "InvalidParameter.Mismatch")
    assert account.read(one, 4096) == bytes(4096), "nothing was started"
    body = sdk.reset_disks(request(*pairs)).body
    results = body.operation_progress_set.operation_progress
    assert [each.operation_status for each in results] == ["Success", "Success"]
    for disk_id in (one, two):
        wait_in_use(account, disk_id)
        assert account.read(disk_id, len(DATA)) == DATA


def test_e26_b32_a_disk_from_a_released_instances_snapshot_works_at_another(account):
    sdk = account.new_sdk()
    first, second = make_instance(account, data_disk()), make_instance(account)
    disk_id = list_disks_of(account, first)[1]
    account.write(disk_id, DATA)
    snapshot_id = account.make_snapshot(disk_id)
    sdk.delete_instance(m.DeleteInstanceRequest(instance_id=first))
    wait_until(lambda: account.describe("Disk", disk_id), lambda found: found is None)
    reset = m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, reset) == (404, "InvalidDiskId.NotFound")
    new = m.CreateDiskRequest(
        region_id=REGION, zone_id=ZONE, disk_category="cloud_auto", snapshot_id=snapshot_id
    )
    copy = sdk.create_disk(new).body.disk_id
    account.wait_disk(copy)
    attach(account, copy, second)
    wrong = m.ResetDiskRequest(disk_id=copy, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, wrong) == (403, "InvalidParameter.Mismatch")
    assert account.read(copy, len(DATA)) == DATA
    start(account, second)


def test_e11_b10_manual_snapshots_outlive_disk_and_instance(account):
    sdk = account.new_sdk()
    instance_id = make_instance(account, data_disk(delete_with_instance=False))
    system, kept = list_disks_of(account, instance_id)
    start(account, instance_id)
    snapshots = [account.make_snapshot(disk_id) for disk_id in (system, kept)]
    assert code_of(sdk.delete_instance, m.DeleteInstanceRequest(instance_id=instance_id)) == (
        403,
        "IncorrectInstanceStatus",
    )
    sdk.delete_instance(m.DeleteInstanceRequest(instance_id=instance_id, force=True))
    assert account.describe("Instance", instance_id) is None
    again = m.DeleteInstanceRequest(instance_id=instance_id)
    assert code_of(sdk.delete_instance, again) == (404, "InvalidInstanceId.NotFound")
    disk = account.wait_disk(kept)
    assert (disk["Type"], disk["InstanceId"], disk["Attachments"]["Attachment"]) == ("data", "", [])
    wait_until(lambda: account.describe("Disk", system), lambda found: found is None)
    for snapshot_id, role in zip(snapshots, ("system", "data"), strict=True):
        shown = account.describe("Snapshot", snapshot_id)
        assert (shown["Status"], shown["SourceDiskType"]) == ("accomplished", role)


def test_e19_b14_a_disk_is_not_reinitialised_once_its_snapshot_is_gone(account):
    sdk = account.new_sdk()
    source = account.make_snapshot(account.make_disk(DATA))
    instance_id = make_instance(account, data_disk(size=None, snapshot_id=source), data_disk())
    _, copy, empty = list_disks_of(account, instance_id)
    for disk_id in (copy, empty):
        account.write(disk_id, os.urandom(4096))
    start(account, instance_id)
    request = m.ReInitDiskRequest(disk_id=copy)
    assert code_of(sdk.re_init_disk, request) == (403, "IncorrectInstanceStatus")
    stop(account, instance_id)
    for disk_id, expected in ((copy, DATA), (empty, bytes(len(DATA)))):
        sdk.re_init_disk(m.ReInitDiskRequest(disk_id=disk_id))
        wait_in_use(account, disk_id)
        assert account.read(disk_id, len(DATA)) == expected
    delete = m.DeleteSnapshotRequest(snapshot_id=source)
    assert code_of(sdk.delete_snapshot, delete) == (403, "SnapshotCreatedDisk")
    sdk.delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=source, force=True))
    assert code_of(sdk.re_init_disk, request) == (403, "InvalidSourceSnapshot")
    assert account.read(copy, len(DATA)) == DATA


def test_e9_b06_local_disks_have_no_snapshots_and_no_instance(account):
    sdk = account.new_sdk()
    local = account.make_disk(DiskCategory="local_ssd_pro")
    instance_id = make_instance(account)
    refusal = (400, "DiskCategory.OperationNotSupported")
    assert code_of(sdk.create_snapshot, m.CreateSnapshotRequest(disk_id=local)) == refusal
    attach_local = m.AttachDiskRequest(disk_id=local, instance_id=instance_id)
    assert code_of(sdk.attach_disk, attach_local) == refusal
    assert account.describe("Disk", local)["Portable"] is False


def test_e28_b40_a_snapshot_does_not_make_an_instance(account):
    snapshot_id = account.make_snapshot(account.make_disk(DATA))
    request = m.CreateInstanceRequest(region_id=REGION, instance_type="ecs.g6.large", image_id=snapshot_id)
    assert code_of(account.new_sdk().create_instance, request) == (404, "InvalidImageId.NotFound")


def test_an_attached_disk_is_shown_with_its_instance(account):
    sdk = account.new_sdk()
    instance_id, disk_id = make_instance(account), account.make_disk(DATA)
    attach(account, disk_id, instance_id)
    disk = account.describe("Disk", disk_id)
    assert (disk["InstanceId"], disk["Device"], disk["Type"]) == (instance_id, "/dev/xvdb", "data")
    [attachment] = disk["Attachments"]["Attachment"]
    assert (attachment["InstanceId"], attachment["Device"]) == (instance_id, "/dev/xvdb")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", attachment["AttachedTime"])
    assert (disk["MountInstanceNum"], disk["DeleteWithInstance"]) == (1, False)
    twice = m.AttachDiskRequest(disk_id=disk_id, instance_id=instance_id)
    assert code_of(sdk.attach_disk, twice) == (403, "IncorrectDiskStatus")
    assert code_of(sdk.delete_disk, m.DeleteDiskRequest(disk_id=disk_id)) == (403, "DiskStillAttached")
    detach = m.DetachDiskRequest(disk_id=disk_id, instance_id=instance_id)
    sdk.detach_disk(detach)
    account.wait_disk(disk_id)
    assert code_of(sdk.detach_disk, detach) == (404, "InvalidDisk.AlreadyDetached")
    assert account.read(disk_id, len(DATA)) == DATA


def test_a_running_instance_has_its_disks_for_itself(account):
    sdk = account.new_sdk()
    instance_id = make_instance(account, data_disk())
    disk_id = list_disks_of(account, instance_id)[1]
    with connected(account, disk_id):
        request = m.StartInstanceRequest(instance_id=instance_id)
        assert code_of(sdk.start_instance, request) == (403, "DiskError")
    start(account, instance_id)
    with pytest.raises(Exception, match="IncorrectInstanceStatus"):
        account.lamina().call("ConnectDisk", {"DiskId": disk_id})
    stop(account, instance_id)
    with connected(account, disk_id):
        pass


def test_a_disk_grows_while_it_is_in_use(account):
    sdk = account.new_sdk()
    instance_id = make_instance(account, data_disk())
    disk_id = list_disks_of(account, instance_id)[1]
    account.write(disk_id, DATA)
    online = m.ResizeDiskRequest(disk_id=disk_id, new_size=2, type="online")
    assert code_of(sdk.resize_disk, online) == (403, "InvalidInstanceStatus.NotRunning")
    start(account, instance_id)
    sdk.resize_disk(online)
    wait_until(lambda: account.describe("Disk", disk_id), lambda disk: disk["Size"] == 2)
    smaller = m.ResizeDiskRequest(disk_id=disk_id, new_size=1)
    assert code_of(sdk.resize_disk, smaller) == (403, "InvalidDiskSize.TooSmall")
    snapshot_id = account.make_snapshot(disk_id)
    assert account.describe("Snapshot", snapshot_id)["SourceDiskSize"] == "2"
    stop(account, instance_id)
    account.write(disk_id, b"end", offset=(2 << 30) - 3)
    assert account.read(disk_id, len(DATA)) == DATA


def test_a_disk_becomes_another_kind_of_disk(account):
    sdk = account.new_sdk()
    disk_id = account.make_disk(DATA, DiskCategory="cloud_auto")
    wrong = m.ModifyDiskSpecRequest(disk_id=disk_id, disk_category="cloud_essd", performance_level="PL3")
    assert code_of(sdk.modify_disk_spec, wrong) == (403, "OperationDenied.PerformanceLevelNotMatch")
    right = {"disk_id": disk_id, "disk_category": "cloud_essd", "performance_level": "PL0"}
    dry = m.ModifyDiskSpecRequest(**right, dry_run=True)
    assert code_of(sdk.modify_disk_spec, dry) == (400, "DryRunOperation")
    assert sdk.modify_disk_spec(m.ModifyDiskSpecRequest(**right)).body.task_id.startswith("t-")
    disk = wait_until(
        lambda: account.describe("Disk", disk_id), lambda found: found["Category"] == "cloud_essd"
    )
    assert disk["PerformanceLevel"] == "PL0"
    assert account.read(disk_id, len(DATA)) == DATA


def test_attributes_of_several_disks_change_together(account):
    sdk = account.new_sdk()
    ids = [account.make_disk(), account.make_disk()]
    request = m.ModifyDiskAttributeRequest(
        disk_ids=ids, disk_name="both", delete_auto_snapshot=False, enable_auto_snapshot=False
    )
    sdk.modify_disk_attribute(request)
    for disk_id in ids:
        disk = account.describe("Disk", disk_id)
        assert (disk["DiskName"], disk["DeleteAutoSnapshot"], disk["EnableAutoSnapshot"]) == (
            "both",
            False,
            False,
        )
    partly = m.ModifyDiskAttributeRequest(disk_ids=[ids[0], "d-nothing"], disk_name="neither")
    assert code_of(sdk.modify_disk_attribute, partly) == (404, "InvalidDiskId.NotFound")
    assert account.describe("Disk", ids[0])["DiskName"] == "both"
    nothing = m.ModifyDiskAttributeRequest(disk_id=ids[0])
    assert code_of(sdk.modify_disk_attribute, nothing) == (400, "NoAttributeToModify")


def test_a_clone_holds_the_bytes(account):
    source = account.make_disk(DATA)
    request = m.CloneDisksRequest(
        region_id=REGION,
        source_disk_id=source,
        disk_category="cloud_auto",
        multi_attach="Disabled",
        size=1,
        disk_name="twin",
    )
    assert account.new_sdk().clone_disks(request).body.task_group_id
    [twin] = (
        account.new_sdk()
        .describe_disks(m.DescribeDisksRequest(region_id=REGION, disk_name="twin"))
        .body.disks.disk
    )
    assert twin.source_disk_id == source
    account.wait_disk(twin.disk_id)
    assert account.read(twin.disk_id, len(DATA)) == DATA


def test_instances_are_listed_with_times_to_the_minute(account):
    sdk = account.new_sdk()
    tags = [m.CreateInstanceRequestTag(key="role", value="web")]
    instance_id = make_instance(account, instance_name="one", host_name="one-host", tag=tags)
    other = make_instance(account)
    start(account, instance_id)

    def found(**filters):
        body = sdk.describe_instances(m.DescribeInstancesRequest(region_id=REGION, **filters)).body
        return {each.instance_id for each in body.instances.instance}

    assert found() == {instance_id, other}
    assert found(instance_ids="[]") == set()
    assert found(instance_ids=json.dumps([other, "i-nothing"])) == {other}
    assert found(status="Running") == {instance_id}
    assert found(instance_name="one") == {instance_id}
    assert found(tag=[m.DescribeInstancesRequestTag(key="role")]) == {instance_id}
    assert found(instance_type="ecs.r6.large") == set()
    assert found(lock_reason="security") == set()
    shown = account.describe("Instance", instance_id)
    for name in ("CreationTime", "StartTime", "ExpiredTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", shown[name])
    assert (shown["Cpu"], shown["Memory"], shown["HostName"]) == (2, 8192, "one-host")
    assert shown["OperationLocks"] == {"LockReason": []}
    model = m.DescribeInstancesResponseBodyInstancesInstance
    assert set(shown) <= set(model().from_map(shown).to_map()), "fields that the model does not have"


def test_what_is_on_offer(account):
    sdk = account.new_sdk()
    types = sdk.describe_instance_types(m.DescribeInstanceTypesRequest(maximum_memory_size=8.0)).body
    found = {each.instance_type_id: each for each in types.instance_types.instance_type}
    assert (found["ecs.g6.large"].cpu_core_count, found["ecs.g6.large"].memory_size) == (2, 8.0)
    assert "ecs.r6.2xlarge" not in found
    request = m.DescribeAvailableResourceRequest(
        region_id=REGION, zone_id=ZONE, destination_resource="DataDisk", instance_type="ecs.g6.large"
    )
    [zone] = sdk.describe_available_resource(request).body.available_zones.available_zone
    [resource] = zone.available_resources.available_resource
    sizes = {each.value: (each.min, each.max) for each in resource.supported_resources.supported_resource}
    assert (sizes["cloud_essd"], sizes["cloud"]) == ((1, 65536), (5, 2000))
    unknown = m.DescribeAvailableResourceRequest(
        region_id=REGION, destination_resource="SystemDisk", instance_type="ecs.x"
    )
    refusal = (400, "InvalidInstanceType.ValueNotSupported")
    assert code_of(sdk.describe_available_resource, unknown) == refusal


def test_the_same_way_with_the_older_sdk(account):
    made = account.old(
        "CreateInstance", InstanceType="ecs.c6.large", ImageId=IMAGE, ZoneId=ZONE, ClientToken="same"
    )
    again = account.old(
        "CreateInstance", InstanceType="ecs.c6.large", ImageId=IMAGE, ZoneId=ZONE, ClientToken="same"
    )
    assert made["InstanceId"] == again["InstanceId"]
    wait_instance(account, made["InstanceId"], "Stopped")
    account.old("StartInstance", InstanceId=made["InstanceId"])
    wait_instance(account, made["InstanceId"], "Running")
    account.old("DeleteInstance", InstanceId=made["InstanceId"], Force=True)
    assert account.old("DescribeInstances")["TotalCount"] == 0


def test_another_accounts_instance_does_not_exist(account, stranger):
    instance_id = make_instance(account, data_disk())
    disk_id = list_disks_of(account, instance_id)[1]
    mine = stranger.make_disk()
    sdk = stranger.new_sdk()
    assert stranger.describe("Instance", instance_id) is None
    gone = (404, "InvalidInstanceId.NotFound")
    for call, request in (
        (sdk.start_instance, m.StartInstanceRequest(instance_id=instance_id)),
        (sdk.stop_instance, m.StopInstanceRequest(instance_id=instance_id)),
        (sdk.delete_instance, m.DeleteInstanceRequest(instance_id=instance_id, force=True)),
        (sdk.attach_disk, m.AttachDiskRequest(disk_id=mine, instance_id=instance_id)),
        (sdk.detach_disk, m.DetachDiskRequest(disk_id=mine, instance_id=instance_id)),
    ):
        assert code_of(call, request) == gone
    for call, request in (
        (sdk.re_init_disk, m.ReInitDiskRequest(disk_id=disk_id)),
        (sdk.resize_disk, m.ResizeDiskRequest(disk_id=disk_id, new_size=2)),
        (sdk.modify_disk_attribute, m.ModifyDiskAttributeRequest(disk_id=disk_id, disk_name="mine")),
        (sdk.modify_disk_spec, m.ModifyDiskSpecRequest(disk_id=disk_id, disk_category="cloud_ssd")),
    ):
        assert code_of(call, request) == (404, "InvalidDiskId.NotFound")
