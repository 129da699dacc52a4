"""What the actions on instances, and on disks of instances, accept and refuse; on rows only."""

import pytest
from sqlalchemy import delete, select

from lamina.control.accounts.standing import set_standing
from lamina.control.accounts.states import AccountStanding
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.idempotency.records import TokenRecord
from lamina.control.images.queries import BUILT_IN_ID
from lamina.control.instances.locks import set_security_lock
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.tasks.records import TaskRecord
from tests.factories.api import REGION, ZONE


def create(caller, **extra):
    given = {
        "RegionId": REGION,
        "InstanceType": "ecs.g6.large",
        "ImageId": BUILT_IN_ID,
        "ZoneId": ZONE,
        **extra,
    }
    return caller.call(
        "CreateInstance", **{name: value for name, value in given.items() if value is not None}
    )


def make_instance(installation, caller, state=InstanceState.STOPPED, **extra):
    """An instance and its disks without bytes: instance, system disk, data disk."""
    disk = {"DataDisk__1__Size": 20, "DataDisk__1__Category": "cloud_essd"}
    instance_id = create(caller, **disk, **extra).json["InstanceId"]
    with installation.services.database.transaction() as session:
        session.get(InstanceRecord, instance_id).state = state
        disks = session.query(DiskRecord).where(DiskRecord.instance_id == instance_id).all()
        for disk in disks:
            disk.state = DiskState.IN_USE
            disk.was_attached = True
        session.execute(delete(TaskRecord))
    return instance_id, *(disk.id for disk in sorted(disks, key=lambda each: each.device))


@pytest.mark.parametrize(
    ("extra", "status", "code"),
    [
        ({"RegionId": "cn-x"}, 404, "InvalidRegionId.NotFound"),
        ({"ZoneId": "cn-x"}, 404, "InvalidZoneId.NotFound"),
        ({"InstanceType": None}, 400, "MissingParameter"),
        ({"InstanceType": "ecs.x9.huge"}, 400, "InvalidInstanceType.ValueNotSupported"),
        ({"ImageId": None}, 400, "MissingParameter"),
        ({"ImageId": "s-123"}, 404, "InvalidImageId.NotFound"),
        ({"InstanceName": "1"}, 400, "InvalidInstanceName.Malformed"),
        ({"HostName": "-host"}, 400, "InvalidHostName.Malformed"),
        ({"HostName": "a..b"}, 400, "InvalidHostName.Malformed"),
        ({"HostName": "x" * 65}, 400, "InvalidHostName.Malformed"),
        ({"Description": "http://x"}, 400, "InvalidDescription.Malformed"),
        ({"Password": "short"}, 400, "InvalidPassword.Malformed"),
        ({"Password": "alllowercase"}, 400, "InvalidPassword.Malformed"),
        ({"InstanceChargeType": "PrePaid"}, 400, "MissingParameter"),
        ({"InstanceChargeType": "PrePaid", "Period": "10"}, 400, "InvalidPeriod"),
        ({"InstanceChargeType": "PrePaid", "Period": "5", "PeriodUnit": "Week"}, 400, "InvalidPeriod"),
        ({"InstanceChargeType": "PrePaid", "Period": "1", "PeriodUnit": "Year"}, 400, "InvalidPeriod"),
        ({"ImageId": "m-no"}, 404, "InvalidImageId.NotFound"),
        ({"ImageFamily": "web"}, 400, "InvalidParameter"),
        ({"ImageId": None, "ImageFamily": "web"}, 404, "InvalidImageId.NotFound"),
        ({"SystemDisk__AutoSnapshotPolicyId": "sp-no"}, 404, "InvalidAutoSnapshotPolicyId.NotFound"),
        (
            {"SystemDisk__Encrypted": "true", "SystemDisk__KMSKeyId": "k"},
            404,
            "InvalidParameter.KMSKeyId.NotFound",
        ),
        ({"InstanceChargeType": "Barter"}, 400, "InvalidInstanceChargeType.ValueNotSupported"),
        ({"ResourceGroupId": "rg-1"}, 404, "InvalidResourceGroup.NotFound"),
        ({"SystemDisk__Category": "tape"}, 400, "InvalidSystemDiskCategory.ValueNotSupported"),
        ({"SystemDisk__Size": "19"}, 400, "InvalidSystemDiskSize.ValueNotSupported"),
        ({"SystemDisk__Category": "ephemeral_ssd"}, 400, "InvalidDiskCategory.ValueNotSupported"),
        ({"DataDisk__1__Category": "cloud_ssd"}, 400, "MissingParameter"),
        (
            {"DataDisk__1__Size": "4", "DataDisk__1__Category": "cloud"},
            400,
            "InvalidDataDiskSize.ValueNotSupported",
        ),
        ({"DataDisk__1__Category": "tape"}, 400, "InvalidDiskCategory.ValueNotSupported"),
        ({"DataDisk__1__SnapshotId": "s-no"}, 404, "InvalidDataDiskSnapshotId.NotFound"),
        ({"DataDisk__1__Size": "20", "DataDisk__1__Device": "/dev/xvda"}, 400, "InvalidDevice.Malformed"),
        (
            {"DataDisk__1__Size": "20", "DataDisk__1__Encrypted": "true", "DataDisk__1__KMSKeyId": "k"},
            404,
            "InvalidParameter.KMSKeyId.NotFound",
        ),
        ({"DataDisk__1__Size": "20", "DataDisk__1__KMSKeyId": "k"}, 400, "InvalidParameter.EncryptedIllegal"),
        ({f"DataDisk__{n}__Size": "20" for n in range(1, 18)}, 403, "InstanceDiskNumLimitExceed"),
        ({"Tag__1__Key": "k", "Tag__2__Key": "k"}, 400, "Duplicate.TagKey"),
        ({"DryRun": "true"}, 400, "DryRunOperation"),
    ],
)
def test_create_instance_refuses(caller, extra, status, code):
    answer = create(caller, **extra)
    assert (answer.status, answer.code) == (status, code)
    assert caller.call("DescribeInstances", RegionId=REGION).json["TotalCount"] == 0
    assert caller.call("DescribeDisks", RegionId=REGION).json["TotalCount"] == 0


@pytest.mark.parametrize(
    ("action", "extra", "expected"),
    [
        ("StartInstance", {"InstanceId": "i-no"}, (404, "InvalidInstanceId.NotFound")),
        ("StartInstance", {"DryRun": "true"}, (400, "DryRunOperation")),
        ("StopInstance", {}, (403, "IncorrectInstanceStatus")),
        ("StopInstance", {"Hibernate": "true"}, (403, "HibernationConfigured.NotEnabled")),
        ("StopInstance", {"StoppedMode": "Sleep"}, (400, "InvalidParameter")),
        ("DeleteInstance", {"DryRun": "true"}, (400, "DryRunOperation")),
        ("RebootInstance", {}, (403, "IncorrectInstanceStatus")),
        ("RebootInstance", {"InstanceId": "i-no"}, (404, "InvalidInstanceId.NotFound")),
        ("StartInstances", {}, (400, "MissingParameter")),
        ("StartInstances", {"InstanceId__1": "i-no"}, (404, "InvalidInstanceId.NotFound")),
        ("StartInstances", {"BatchOptimization": "Luck"}, (400, "InvalidParameter")),
        ("StopInstances", {}, (400, "MissingParameter")),
        ("StopInstances", {"InstanceId__1": "i-no"}, (404, "InvalidInstanceId.NotFound")),
        ("DeleteInstances", {}, (400, "MissingParameter")),
        ("DeleteInstances", {"InstanceId__1": "i-no"}, (404, "InvalidInstanceId.NotFound")),
        ("DescribeInstanceStatus", {"ZoneId": "z"}, (404, "InvalidZoneId.NotFound")),
        ("DescribeInstanceStatus", {"RegionId": None}, (400, "MissingParameter")),
        ("ReplaceSystemDisk", {}, (400, "MissingParameter")),
        ("ReplaceSystemDisk", {"ImageId": "m-no"}, (404, "InvalidImageId.NotFound")),
        ("ReplaceSystemDisk", {"ImageId": "m", "InstanceId": "i-no"}, (404, "InvalidInstanceId.NotFound")),
        (
            "ReplaceSystemDisk",
            {"ImageId": "m", "Architecture": "z80"},
            (400, "InvalidArchitecture.Malformed"),
        ),
        ("ReplaceSystemDisk", {"ImageId": "m", "Password": "x"}, (400, "InvalidPassword.Malformed")),
        (
            "ReplaceSystemDisk",
            {"ImageId": "m", "Password": "Secret-123", "KeyPairName": "k"},
            (400, "InvalidParameter.Conflict"),
        ),
        (
            "ReplaceSystemDisk",
            {"ImageId": "m", "Password": "Secret-123", "PasswordInherit": "true"},
            (400, "InvalidPasswordParam.Mismatch"),
        ),
        (
            "ReplaceSystemDisk",
            {"ImageId": "lamina_empty_x86_64.vhd", "KMSKeyId": "k"},
            (400, "InvalidParameter.EncryptedIllegal"),
        ),
        ("ReplaceSystemDisk", {"ImageId": "m", "SystemDisk__Size": "x"}, (400, "InvalidSystemDiskSize")),
        (
            "ReplaceSystemDisk",
            {"ImageId": "m", "SystemDisk__Size": "19"},
            (404, "InvalidSystemDiskSize.LessThanMinSize"),
        ),
        (
            "ReplaceSystemDisk",
            {"ImageId": "m", "SystemDisk__Size": "2049"},
            (404, "InvalidSystemDiskSize.MoreThanMaxSize"),
        ),
        ("DescribeInstances", {"Status": "Releasing"}, (404, "InvalidStatus.NotFound")),
        ("DescribeInstances", {"LockReason": "mood"}, (404, "InvalidLockReason.NotFound")),
        ("DescribeInstances", {"InstanceChargeType": "x"}, (404, "InvalidInstanceChargeType.NotFound")),
        ("DescribeInstances", {"InstanceNetworkType": "x"}, (404, "InvalidNetworkType.NotFound")),
        (
            "DescribeInstances",
            {"InternetChargeType": "x"},
            (404, "InvalidInternetChargeType.ValueNotSupported"),
        ),
        (
            "DescribeInstances",
            {"Filter__1__Key": "x", "Filter__1__Value": "y"},
            (404, "InvalidFilterKey.NotFound"),
        ),
        ("DescribeInstances", {"Tag__1__Value": "v"}, (400, "InvalidTag.Mismatch")),
        ("DescribeInstances", {"NextToken": "x"}, (400, "InvalidParameter.NextToken")),
        ("DescribeInstanceTypes", {"MinimumMemorySize": "much"}, (400, "InvalidParameter")),
        ("DescribeAvailableResource", {}, (400, "MissingParameter")),
        ("DescribeAvailableResource", {"DestinationResource": "Moon"}, (400, "InvalidParameter")),
        ("AttachDisk", {"Force": "true"}, (400, "InvalidParameterForce.DiskCategoryNotSupported")),
        ("AttachDisk", {"Bootable": "true"}, (400, "InvalidParameter.AllEmpty")),
        ("AttachDisk", {"Device": "/dev/sda"}, (400, "InvalidDevice.Malformed")),
        ("AttachDisk", {"Device": "/dev/xvda"}, (400, "InvalidDevice.Malformed")),
        ("AttachDisk", {"DiskId": "d-no"}, (404, "InvalidDiskId.NotFound")),
        ("DetachDisk", {"InstanceId": "i-no"}, (404, "InvalidInstanceId.NotFound")),
        (
            "ModifyDiskAttribute",
            {"DiskId": None, "DiskName": "xx"},
            (400, "MissingParameter.DiskIdOrDiskIds"),
        ),
        (
            "ModifyDiskAttribute",
            {"DiskIds__1": "d-1", "DiskName": "xx"},
            (400, "ParameterConflict.DiskIdAndDiskIds"),
        ),
        ("ModifyDiskAttribute", {}, (400, "NoAttributeToModify")),
        ("ModifyDiskAttribute", {"Description": "x"}, (404, "InvalidDescription.Malformed")),
        (
            "ModifyDiskAttribute",
            {"BurstingEnabled": "true"},
            (400, "BurstingEnabledForDiskCategoryUnsupported"),
        ),
        ("ResizeDisk", {"NewSize": "20"}, (403, "InvalidDiskSize.TooSmall")),
        ("ResizeDisk", {"NewSize": "70000"}, (400, "InvalidDataDiskSize.ValueNotSupported")),
        ("ResizeDisk", {"NewSize": "21", "Type": "sideways"}, (400, "InvalidParam.Type")),
        ("ResizeDisk", {"NewSize": "21", "Type": "online"}, (403, "InvalidInstanceStatus.NotRunning")),
        ("ModifyDiskSpec", {}, (400, "MissingParameter")),
        ("ModifyDiskSpec", {"DiskCategory": "tape"}, (400, "InvalidDiskCategory.ValueNotSupported")),
        ("ModifyDiskSpec", {"DiskCategory": "cloud_essd"}, (403, "OperationDenied")),
        ("ModifyDiskSpec", {"PerformanceLevel": "PL9"}, (400, "InvalidPerformanceLevel.Malformed")),
        ("ModifyDiskSpec", {"PerformanceLevel": "PL3"}, (403, "OperationDenied.PerformanceLevelNotMatch")),
        ("ModifyDiskSpec", {"ProvisionedIops": "9"}, (400, "InvalidProvisionedIops.LimitExceed")),
        ("ModifyDiskSpec", {"DestinationZoneId": "z", "DiskCategory": "cloud"}, (400, "InvalidParameter")),
        ("ModifyDiskChargeType", {"DiskIds": '["d-no"]'}, (404, "InvalidDiskIds.NotFound")),
        (
            "ModifyDiskChargeType",
            {"InstanceId": "i-no", "DiskIds": "[]"},
            (400, "InvalidInstanceId.NotFound"),
        ),
        ("ModifyDiskChargeType", {"RegionId": None, "DiskIds": "[]"}, (400, "MissingParameter.RegionId")),
        ("ResetDisks", {}, (400, "MissingParameter")),
        (
            "ResetDisks",
            {"Disk__1__DiskId": "d-no", "Disk__1__SnapshotId": "s"},
            (404, "InvalidDiskId.NotFound"),
        ),
        ("ReInitDisk", {"Password": "x"}, (400, "InvalidPassword.Malformed")),
        ("CloneDisks", {"SourceDiskId": "d-no"}, (404, "InvalidDiskId.NotFound")),
        ("CloneDisks", {"MultiAttach": "Enabled"}, (403, "OperationDenied.ZoneNotSupportMultiAttachDisk")),
        ("CloneDisks", {"Size": "5"}, (403, "InvalidDiskSize.TooSmall")),
        ("CreateDisk", {"DiskCategory": "cloud"}, (403, "InvalidInstanceChargeType.ValueNotSupported")),
    ],
)
def test_refusals(installation, caller, action, extra, expected):
    instance_id, _, disk_id = make_instance(installation, caller)
    given = {"RegionId": REGION, "InstanceId": instance_id, "DiskId": disk_id}
    if action == "CloneDisks":
        given |= {"SourceDiskId": disk_id, "DiskCategory": "cloud_essd", "Size": "20"}
    if action == "ResetDisks":
        del given["DiskId"]
    given |= extra
    answer = caller.call(action, **{name: value for name, value in given.items() if value is not None})
    assert (answer.status, answer.code) == expected


def test_an_instance_that_is_being_made(caller):
    instance_id = create(caller).json["InstanceId"]
    [instance] = caller.call("DescribeInstances", RegionId=REGION).json["Instances"]["Instance"]
    assert (instance["Status"], instance["StartTime"]) == ("Pending", "")
    assert (instance["InstanceName"], instance["HostName"]) == (instance_id, instance_id)
    for force in ("false", "true"):
        answer = caller.call("DeleteInstance", InstanceId=instance_id, Force=force)
        assert (answer.status, answer.code) == (403, "IncorrectInstanceStatus.Initializing")


def test_a_protected_instance_is_not_released(installation, caller):
    instance_id, *_ = make_instance(installation, caller, DeletionProtection="true")
    answer = caller.call("DeleteInstance", InstanceId=instance_id, Force="true")
    assert (answer.status, answer.code) == (403, "InvalidOperation.DeletionProtection")


def test_charges_stay_as_they_are(installation, caller):
    instance_id, _, disk_id = make_instance(installation, caller)
    given = {"RegionId": REGION, "InstanceId": instance_id, "DiskIds": f'["{disk_id}"]'}
    assert caller.call("ModifyDiskChargeType", **given, DiskChargeType="PostPaid").status == 200
    answer = caller.call("ModifyDiskChargeType", **given)
    assert (answer.status, answer.code) == (403, "ChargeTypeViolation")


def lock_codes(caller, instance_id, disk_id):
    calls = (
        ("StartInstance", {"InstanceId": instance_id}),
        ("StopInstance", {"InstanceId": instance_id}),
        ("DetachDisk", {"InstanceId": instance_id, "DiskId": disk_id}),
        ("ReInitDisk", {"DiskId": disk_id}),
        ("ResizeDisk", {"DiskId": disk_id, "NewSize": "30"}),
        ("CreateSnapshot", {"DiskId": disk_id}),
        ("ConnectDisk", {"DiskId": disk_id}),
    )
    return {action: caller.call(action, **given).code for action, given in calls}


def test_locks_are_shown_and_kept(installation, caller):
    instance_id, _, disk_id = make_instance(installation, caller)
    database = installation.services.database
    with database.transaction() as session:
        set_security_lock(session, instance_id, is_locked=True)
    assert set(lock_codes(caller, instance_id, disk_id).values()) == {"InstanceLockedForSecurity"}
    locks = {"RegionId": REGION, "LockReason": "security"}
    [instance] = caller.call("DescribeInstances", **locks).json["Instances"]["Instance"]
    assert instance["OperationLocks"] == {"LockReason": [{"LockReason": "security"}]}
    disks = caller.call("DescribeDisks", **locks).json["Disks"]["Disk"]
    assert [disk["OperationLocks"] for disk in disks] == [{"OperationLock": [{"LockReason": "security"}]}] * 2
    with database.transaction() as session:
        set_security_lock(session, instance_id, is_locked=False)
    assert caller.call("DescribeDisks", RegionId=REGION, LockReason="financial").json["TotalCount"] == 0
    with database.transaction() as session:
        set_standing(session, caller.key.account_id, AccountStanding.SUSPENDED)
    found = caller.call("DescribeDisks", RegionId=REGION, LockReason="financial").json
    assert found["TotalCount"] == 2
    assert found["Disks"]["Disk"][0]["OperationLocks"]["OperationLock"] == [{"LockReason": "financial"}]
    codes = lock_codes(caller, instance_id, disk_id)
    assert codes.pop("DetachDisk") == "ok"
    assert codes.pop("CreateSnapshot") == "InvalidAccountStatus.NotEnoughBalance"
    assert set(codes.values()) == {"InstanceExpiredOrInArrears"}
    assert create(caller).code == "InvalidAccountStatus.NotEnoughBalance"


@pytest.mark.parametrize(
    ("window", "status", "code"),
    [
        ({}, 200, "ok"),
        ({"Period": "61"}, 400, "InvalidPeriod.ValueNotSupported"),
        ({"StartTime": "noon"}, 400, "InvalidStartTime.Malformed"),
        ({"EndTime": "noon"}, 400, "InvalidEndTime.Malformed"),
        ({"EndTime": "2026-03-01T09:00:00Z"}, 400, "InvalidParameter.EndTime"),
        ({"StartTime": "2026-01-01T10:00:00Z"}, 400, "InvalidStartTime.TooEarly"),
        ({"EndTime": "2026-03-02T10:00:00Z"}, 400, "InvalidParameter.TooManyDataQueried"),
        ({"DiskId": "d-no"}, 404, "InvalidDiskId.NotFound"),
    ],
)
def test_monitor_data(installation, caller, window, status, code):
    _, _, disk_id = make_instance(installation, caller)
    given = {"DiskId": disk_id, "StartTime": "2026-03-01T10:00:00Z", "EndTime": "2026-03-01T11:00:30Z"}
    answer = caller.call("DescribeDiskMonitorData", **{**given, **window})
    assert (answer.status, answer.code) == (status, code)
    if status == 200:
        assert (answer.json["TotalCount"], answer.json["MonitorData"]) == (0, {"DiskMonitorData": []})


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 10),
        ({"InstanceTypes__1": "ecs.g6.large", "InstanceTypes__2": "ecs.nothing"}, 1),
        ({"InstanceTypeFamily": "ecs.r6"}, 3),
        ({"InstanceTypeFamilies__1": "ecs.r6", "InstanceTypeFamily": "ecs.c6"}, 6),
        ({"InstanceCategory": "Shared"}, 1),
        ({"InstanceFamilyLevel": "EnterpriseLevel", "MinimumCpuCoreCount": "8"}, 3),
        ({"MinimumMemorySize": "15.5", "MaximumMemorySize": "16"}, 3),
        ({"CpuArchitecture": "ARM"}, 0),
    ],
)
def test_types_on_offer(caller, filters, count):
    answer = caller.call("DescribeInstanceTypes", RegionId=REGION, **filters).json
    assert len(answer["InstanceTypes"]["InstanceType"]) == count


@pytest.mark.parametrize(
    ("extra", "zones", "values"),
    [
        ({"DestinationResource": "Zone"}, 1, None),
        ({"DestinationResource": "ddh"}, 0, None),
        ({"DestinationResource": "IoOptimized"}, 1, {"optimized"}),
        ({"DestinationResource": "Network"}, 1, {"vpc"}),
        ({"DestinationResource": "InstanceType", "Cores": "4", "Memory": "16.0"}, 1, {"ecs.g6.xlarge"}),
        ({"DestinationResource": "SystemDisk", "SystemDiskCategory": "cloud_ssd"}, 1, {"cloud_ssd"}),
        ({"DestinationResource": "DataDisk", "DataDiskCategory": "ephemeral_ssd"}, 0, None),
        ({"DestinationResource": "InstanceType", "InstanceChargeType": "PrePaid"}, 1, None),
        ({"DestinationResource": "InstanceType", "SpotStrategy": "SpotAsPriceGo"}, 0, None),
    ],
)
def test_what_zones_have(caller, extra, zones, values):
    found = caller.call("DescribeAvailableResource", RegionId=REGION, **extra).json
    shown = found["AvailableZones"]["AvailableZone"]
    assert len(shown) == zones
    if values is not None:
        [resource] = shown[0]["AvailableResources"]["AvailableResource"]
        assert {each["Value"] for each in resource["SupportedResources"]["SupportedResource"]} == values


def test_nothing_of_a_password_is_kept_not_even_with_a_token(installation, caller):
    first = create(caller, ClientToken="t", Password="Secret-123")
    again = create(caller, ClientToken="t", Password="Other-4567")
    assert first.json["InstanceId"] == again.json["InstanceId"]
    alone = create(installation.add_caller("other"), ClientToken="t")
    assert alone.status == 200
    with installation.services.database.reading() as session:
        assert len(set(session.scalars(select(TokenRecord.digest)))) == 1
