"""RunInstances and the actions on several instances: names, times, batches; on rows only."""

from datetime import timedelta

import pytest

from lamina.api.shapes.instance_names import number_names
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.images.queries import BUILT_IN_ID
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import Architecture, ImageState
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.tasks.records import TaskRecord
from tests.factories.api import REGION, ZONE

LATER = "2026-03-01T13:00:45Z"


def run(caller, **extra):
    given = {
        "RegionId": REGION,
        "InstanceType": "ecs.g6.large",
        "ImageId": BUILT_IN_ID,
        "ZoneId": ZONE,
        **extra,
    }
    return caller.call("RunInstances", **{name: value for name, value in given.items() if value is not None})


def ids_of(answer):
    return answer.json["InstanceIdSets"]["InstanceIdSet"]


def list_instances(caller, **filters):
    return caller.call("DescribeInstances", RegionId=REGION, **filters).json["Instances"]["Instance"]


def put(installation, instance_id, **values):
    with installation.services.database.transaction() as session:
        instance = session.get(InstanceRecord, instance_id)
        for name, value in values.items():
            setattr(instance, name, value)


@pytest.mark.parametrize(
    ("text", "has_suffix", "names"),
    [
        (None, True, [None, None]),
        ("web", False, ["web", "web"]),
        ("web", True, ["web001", "web002"]),
        ("k8s-node-[6,4]", False, ["k8s-node-0006", "k8s-node-0007"]),
        ("k8s-node-[6,4]-host", False, ["k8s-node-0006-host", "k8s-node-0007-host"]),
        ("k8s-node-[6,4]-host", True, ["k8s-node-0006-host001", "k8s-node-0007-host002"]),
        ("k8s-node-[6,4]", True, ["k8s-node-0006", "k8s-node-0007"]),
        ("a[]", False, ["a000000", "a000001"]),
        ("a[,3]", False, ["a000", "a001"]),
        ("a[9,]", False, ["a000009", "a000010"]),
        ("a[99]", False, ["a000099", "a000100"]),
        ("a[100,2]", False, ["a000100", "a000101"]),
        ("a[99,2]", False, ["a99", "a100"]),
    ],
)
def test_names_count(text, has_suffix, names):
    assert number_names(text, 2, has_suffix=has_suffix) == names


@pytest.mark.parametrize(
    ("extra", "status", "code"),
    [
        ({"Amount": "0"}, 400, "InvalidParameter"),
        ({"Amount": "101"}, 400, "InvalidParameter"),
        ({"Amount": "2", "MinAmount": "3"}, 400, "InvalidParameter"),
        ({"InstanceName": "1web"}, 400, "InvalidInstanceName.Malformed"),
        ({"InstanceName": "web[1,7]"}, 400, "InvalidInstanceName.Malformed"),
        ({"InstanceName": "web[1000000,6]"}, 400, "InvalidInstanceName.Malformed"),
        ({"HostName": "-host"}, 400, "InvalidHostName.Malformed"),
        ({"HostName": "h", "HostNames__1": "h1"}, 400, "InvalidParameter"),
        ({"HostNames__1": "h1", "HostNames__2": "h2"}, 400, "InvalidParameter"),
        ({"HostNames__1": "h1."}, 400, "InvalidHostName.Malformed"),
        ({"LaunchTemplateId": "lt-1"}, 404, "InvalidLaunchTemplate.NotFound"),
        ({"ImageId": None}, 400, "MissingParameter"),
        ({"ImageId": "s-1"}, 404, "InvalidImageId.NotFound"),
        ({"AutoReleaseTime": "soon"}, 400, "InvalidAutoReleaseTime.Malformed"),
        ({"AutoReleaseTime": "2026-03-01T12:29:00Z"}, 400, "InvalidAutoReleaseTime.Malformed"),
        ({"AutoReleaseTime": "2029-03-01T12:00:00Z"}, 400, "InvalidAutoReleaseTime.Malformed"),
        (
            {"AutoReleaseTime": LATER, "InstanceChargeType": "PrePaid", "Period": "1"},
            400,
            "InvalidParameter",
        ),
        ({"DataDisk__1__AutoSnapshotPolicyId": "sp-no", "DataDisk__1__Size": "20"}, 404, None),
        ({"SpotStrategy": "Luck"}, 400, "InvalidParameter"),
        ({"DryRun": "true", "Amount": "100"}, 400, "DryRunOperation"),
    ],
)
def test_run_instances_refuses(caller, extra, status, code):
    answer = run(caller, **extra)
    assert (answer.status, answer.code) == (status, code or "InvalidAutoSnapshotPolicyId.NotFound")
    assert list_instances(caller) == []
    assert caller.call("DescribeDisks", RegionId=REGION).json["TotalCount"] == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"architecture": Architecture.ARM64}, (403, "ImageNotSupportInstanceType")),
        ({"state": ImageState.UNAVAILABLE}, (404, "InvalidImageId.NotFound")),
    ],
)
def test_an_image_that_does_not_fit(installation, caller, change, code):
    with installation.services.database.transaction() as session:
        image = session.get(ImageRecord, BUILT_IN_ID)
        for name, value in change.items():
            setattr(image, name, value)
    answer = run(caller)
    assert (answer.status, answer.code) == code


def test_a_hundred_instances_at_once(caller):
    ids = ids_of(run(caller, Amount="100", InstanceName="n", UniqueSuffix="true", ClientToken="t"))
    assert len(set(ids)) == 100
    found = list_instances(caller, PageSize="100")
    assert {each["InstanceName"] for each in found} == {f"n{n:03}" for n in range(1, 101)}
    assert {each["Status"] for each in found} == {"Pending"}
    assert ids_of(run(caller, Amount="100", InstanceName="n", UniqueSuffix="true", ClientToken="t")) == ids


def test_what_was_asked_for_is_shown(caller):
    extra = {
        "HostName": "h-${instance_id}",
        "AutoReleaseTime": LATER,
        "KeyPairName": "k",
        "Password": "Secret-12",
    }
    [instance_id] = ids_of(run(caller, **extra, UserData="x", NetworkInterface__1__VSwitchId="vsw-1"))
    [shown] = list_instances(caller)
    assert (shown["HostName"], shown["AutoReleaseTime"]) == (f"h-{instance_id}", "2026-03-01T13:00Z")
    assert (shown["OSType"], shown["OSName"], shown["ImageId"]) == ("linux", "Others Linux", BUILT_IN_ID)
    assert (shown["InstanceChargeType"], shown["ExpiredTime"]) == ("PostPaid", "2999-09-08T16:00Z")


@pytest.mark.parametrize(
    ("period", "expired"),
    [
        ({"Period": "1"}, "2026-04-01T12:00Z"),
        ({"Period": "2", "PeriodUnit": "Week"}, "2026-03-15T12:00Z"),
        ({"Period": "60", "PeriodUnit": "Month"}, "2031-03-01T12:00Z"),
    ],
)
def test_what_is_paid_in_advance_expires(installation, caller, period, expired):
    [instance_id] = ids_of(run(caller, InstanceChargeType="PrePaid", **period))
    [shown] = list_instances(caller, InstanceChargeType="PrePaid")
    assert (shown["ExpiredTime"], shown["InstanceChargeType"]) == (expired, "PrePaid")
    assert list_instances(caller, InstanceChargeType="PostPaid") == []
    put(installation, instance_id, state=InstanceState.STOPPED)
    answer = caller.call("DeleteInstance", InstanceId=instance_id, TerminateSubscription="true")
    assert (answer.status, answer.code) == (403, "ChargeTypeViolation")
    assert list_instances(caller, LockReason="financial") == []
    put(installation, instance_id, expires_at=installation.clock.now() - timedelta(seconds=1))
    [shown] = list_instances(caller, LockReason="financial")
    assert shown["OperationLocks"] == {"LockReason": [{"LockReason": "financial"}]}
    disks = caller.call("DescribeDisks", RegionId=REGION, LockReason="financial").json["Disks"]["Disk"]
    assert [disk["OperationLocks"]["OperationLock"] for disk in disks] == [[{"LockReason": "financial"}]]
    start = caller.call("StartInstance", InstanceId=instance_id)
    assert (start.status, start.code) == (403, "InstanceExpired")
    stop = caller.call("StopInstance", InstanceId=instance_id)
    assert (stop.status, stop.code) == (403, "InstanceExpiredOrInArrears")


def end_builds(installation, *, but=()):
    """As if the disks had been made; nothing carries tasks out here."""
    with installation.services.database.transaction() as session:
        session.query(TaskRecord).filter(TaskRecord.key.not_in(but)).delete()
        for disk in session.query(DiskRecord):
            disk.state = DiskState.IN_USE


def make_three(installation, caller):
    """Two that can be stopped, and one that cannot."""
    ids = ids_of(run(caller, Amount="3"))
    for instance_id, state in zip(
        ids, (InstanceState.RUNNING, InstanceState.STOPPED, InstanceState.RUNNING), strict=True
    ):
        put(installation, instance_id, state=state)
    return ids


def test_a_batch_that_is_done_together_is_done_wholly_or_not_at_all(installation, caller):
    ids = make_three(installation, caller)
    end_builds(installation)
    named = {f"InstanceId__{n}": each for n, each in enumerate(ids, start=1)}
    answer = caller.call("StopInstances", RegionId=REGION, **named)
    assert (answer.status, answer.code) == (403, "IncorrectInstanceStatus")
    assert [each["Status"] for each in list_instances(caller)].count("Running") == 2
    dry = caller.call("StopInstances", RegionId=REGION, InstanceId__1=ids[0], DryRun="true")
    assert dry.code == "DryRunOperation"
    assert caller.call("RebootInstance", InstanceId=ids[0], DryRun="true").code == "DryRunOperation"


def test_a_batch_that_takes_what_succeeds_tells_what_became_of_each(installation, caller):
    ids = [*make_three(installation, caller), "i-no"]
    end_builds(installation)
    named = {f"InstanceId__{n}": each for n, each in enumerate(ids, start=1)}
    answer = caller.call("StopInstances", RegionId=REGION, BatchOptimization="SuccessFirst", **named).json
    assert [
        (each["Code"], each["PreviousStatus"], each["CurrentStatus"])
        for each in answer["InstanceResponses"]["InstanceResponse"]
    ] == [
        ("200", "Running", "Stopping"),
        ("IncorrectInstanceStatus", "Stopped", "Stopped"),
        ("200", "Running", "Stopping"),
        ("InvalidInstanceId.NotFound", "", ""),
    ]


def test_a_refusal_behind_the_first_change_takes_only_its_own_part_back(installation, caller):
    one, _, two = make_three(installation, caller)  # their builds are still under way, and in the way
    end_builds(installation, but=[one])
    named = {"InstanceId__1": one, "InstanceId__2": two, "BatchOptimization": "SuccessFirst"}
    answer = caller.call("StopInstances", RegionId=REGION, **named).json
    assert [each["Code"] for each in answer["InstanceResponses"]["InstanceResponse"]] == [
        "OperationConflict",
        "200",
    ]
    states = {each["InstanceId"]: each["Status"] for each in list_instances(caller)}
    assert (states[one], states[two]) == ("Running", "Stopping")


def test_the_status_of_instances(installation, caller):
    ids = make_three(installation, caller)
    answer = caller.call("DescribeInstanceStatus", RegionId=REGION, PageSize="500").json
    assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"]) == (3, 1, 50)
    found = {each["InstanceId"]: each["Status"] for each in answer["InstanceStatuses"]["InstanceStatus"]}
    assert found == dict(zip(ids, ("Running", "Stopped", "Running"), strict=True))
    one = caller.call(
        "DescribeInstanceStatus", RegionId=REGION, InstanceId__1=ids[1], InstanceId__2="i-no"
    ).json
    assert [each["InstanceId"] for each in one["InstanceStatuses"]["InstanceStatus"]] == [ids[1]]
    page = caller.call(
        "DescribeInstanceStatus", RegionId=REGION, ZoneId=ZONE, PageSize="2", PageNumber="2"
    ).json
    assert len(page["InstanceStatuses"]["InstanceStatus"]) == 1


def test_several_instances_are_released_together_or_not_at_all(installation, caller):
    ids = make_three(installation, caller)
    protected = ids_of(run(caller, DeletionProtection="true"))[0]
    put(installation, protected, state=InstanceState.STOPPED)
    end_builds(installation)
    answer = caller.call(
        "DeleteInstances", RegionId=REGION, Force="true", InstanceId__1=ids[1], InstanceId__2=protected
    )
    assert (answer.status, answer.code) == (403, "InvalidOperation.DeletionProtection")
    assert len(list_instances(caller)) == 4
