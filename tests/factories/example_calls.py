"""A call of every action, made from its declaration: which parameters name resources, and what the others may be.

An action that is added with a parameter that is not known here fails the tests over all actions, until somebody
says what kind of resource the parameter names, or what a good value is.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from lamina.api.schema import FieldSpec, read_fields
from lamina.api.spec import Action

REGION: Final = "cn-hangzhou"
ZONE: Final = "cn-hangzhou-h"
BUILT_IN_IMAGE: Final = "lamina_empty_x86_64.vhd"
_NOW: Final = datetime.now(UTC)

# The last part of a parameter's name, and the kind of resource that it names.
KINDS: Final = {
    "AutoSnapshotPolicyId": "policy",
    "BucketName": "bucket",
    "BulkExportId": "bulk-export",
    "ConnectionId": "connection",
    "DiskId": "disk",
    "DiskIds": "disk",
    "ExcludeDiskId": "disk",
    "ImageId": "image",
    "InstanceId": "instance",
    "InstanceIds": "instance",
    "KMSKeyId": "key",
    "KeyId": "key",
    "KmsKeyId": "key",
    "OSSBucket": "bucket",
    "ResourceId": "disk",
    "ResourceIds": "disk",
    "SnapshotGroupId": "group",
    "SnapshotId": "snapshot",
    "SnapshotIds": "snapshot",
    "SnapshotLinkId": "chain",
    "SnapshotLinkIds": "chain",
    "SourceDiskId": "disk",
    "TaskId": "task",
    "TaskIds": "task",
}

# Names of what nobody owns, or of what there is none of here: refused, or recorded without a meaning.
NOBODYS: Final = frozenset(
    {
        "ClusterId",
        "DedicatedHostId",
        "DeploymentSetId",
        "DestinationRegionId",
        "DestinationZoneId",
        "HpcClusterId",
        "ImageOwnerId",
        "LaunchTemplateId",
        "NodeControllerId",
        "SecurityGroupIds",
        "VlanId",
        "RegionId",
        "ResourceGroupId",
        "SecurityGroupId",
        "StorageClusterId",
        "StorageSetId",
        "TaskGroupId",
        "VSwitchId",
        "VpcId",
        "ZoneId",
    }
)

# What is named here is made by the call, and looked up nowhere.
MADE: Final = frozenset({("CreateBucket", "BucketName")})

# Good values of mandatory parameters that name no resource.
VALUES: Final = {
    "CoolOffPeriod": "0",
    "DestinationRegionId": REGION,
    "DestinationResource": "DataDisk",
    "DiskCategory": "cloud_auto",
    "EndTime": f"{_NOW:%Y-%m-%dT%H:%M:%SZ}",
    "ImageFamily": "web",
    "InstanceType": "ecs.g6.large",
    "Key": "key",
    "Length": "512",
    "LockDuration": "1",
    "LockMode": "compliance",
    "NewSize": "21",
    "ObjectKey": "folder/object",
    "Offset": "0",
    "OssBucket": "bucket",
    "PendingWindowInDays": "7",
    "RegionId": REGION,
    "RepeatWeekdays": '["1"]',
    "ResourceGroupId": "rg-none",
    "ResourceType": "disk",
    "RetentionDays": "7",
    "Size": "20",
    "SizeInBytes": str(1 << 30),
    "StartTime": f"{_NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
    "TimePoints": '["3"]',
    "ZoneId": ZONE,
}

# What an action needs beyond its mandatory parameters for a call that is carried out; `{disk}` is the own disk.
EXTRAS: Final[Mapping[str, Mapping[str, str]]] = {
    "CancelKeyDeletion": {"KeyId": "{doomed_key}"},
    # Larger than the disk ever gets, whichever of the calls in this table was made before.
    "CloneDisks": {"Size": "40"},
    "CreateDisk": {"ZoneId": ZONE, "Size": "1", "DiskCategory": "cloud_auto"},
    "CreateImage": {"SnapshotId": "{system}"},
    "CreateInstance": {"ImageId": BUILT_IN_IMAGE, "ZoneId": ZONE, "DataDisk.1.Size": "20"},
    "CreateSnapshotGroup": {"InstanceId": "{running}"},
    "DeleteInstances": {"InstanceId.1": "{doomed}"},
    "ImportImage": {
        "DiskDeviceMapping.1.OSSBucket": "{bucket}",
        "DiskDeviceMapping.1.OSSObject": "system.raw",
    },
    "ListTagResources": {"Tag.1.Key": "key"},
    "ModifyDiskAttribute": {"DiskId": "{disk}", "DiskName": "name"},
    "ModifyDiskChargeType": {"InstanceId": "{running}", "DiskIds": '["{attached}"]'},
    "ModifyDiskSpec": {"DiskCategory": "cloud_auto"},
    "ModifySnapshotAttribute": {"SnapshotName": "name"},
    "ModifySnapshotGroup": {"Name": "name"},
    "RebootInstance": {"InstanceId": "{running}"},
    "ResetDisks": {"Disk.1.DiskId": "{disk}", "Disk.1.SnapshotId": "{snapshot}"},
    "RunInstances": {"ImageId": BUILT_IN_IMAGE, "ZoneId": ZONE, "DataDisk.1.Size": "20"},
    "StartBulkExport": {"SnapshotId.1": "{system}"},
    "StartInstances": {"InstanceId.1": "{instance}"},
    "StopInstance": {"InstanceId": "{running}"},
    "StopInstances": {"InstanceId.1": "{running}"},
    "UnlockSnapshot": {"SnapshotId": "{locked}"},
    "UntagResources": {"All": "true"},
}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter as it is sent.

    Attributes:
        wire: its whole name, such as `Disk.1.DiskId`.
        last: the part of the name that says what it is.
        is_json: a list that is sent as JSON text.
        is_mandatory: itself, in an object that is mandatory.
        spec: its declaration.
    """

    wire: str
    last: str
    is_json: bool
    is_mandatory: bool
    spec: FieldSpec

    @property
    def object_name(self) -> str:
        """The object that it is a part of, such as `Disk.1`; empty if it stands alone."""
        return self.wire.removesuffix(".1").rpartition(".")[0]

    @property
    def kind(self) -> str | None:
        """The kind of resource that it names."""
        return KINDS.get(self.last)

    def write(self, value: str) -> str:
        return json.dumps([value]) if self.is_json and not value.startswith("[") else value


def list_parameters(action: Action) -> list[Parameter]:
    """All parameters of an action, those within objects included."""
    return list(_walk(action.request, "", is_mandatory=True))


def list_named(action: Action) -> list[Parameter]:
    """The parameters that name resources which are there."""
    return [
        each
        for each in list_parameters(action)
        if each.kind is not None and (action.name, each.wire) not in MADE
    ]


def write_call(action: Action, own: Mapping[str, str]) -> dict[str, str]:
    """Parameters of a call that is complete: the mandatory ones, and what else the action needs.

    Args:
        action: which one.
        own: the id of a resource of each kind.
    """
    call: dict[str, str] = {}
    for each in list_parameters(action):
        if each.is_mandatory:
            value = own[each.kind] if each.kind is not None else VALUES[each.last]
            call[each.wire] = each.write(value)
    extras = {name: value.format(**own) for name, value in EXTRAS.get(action.name, {}).items()}
    return {**call, **extras}


def _walk(cls: type, prefix: str, *, is_mandatory: bool) -> Iterator[Parameter]:
    for spec in read_fields(cls):
        if spec.rules.form == "body":
            continue
        wire = prefix + spec.wire + (".1" if spec.is_list and spec.rules.form == "repeated" else "")
        if dataclasses.is_dataclass(spec.kind):
            yield from _walk(spec.kind, wire + ".", is_mandatory=is_mandatory and spec.is_mandatory)
        else:
            yield Parameter(
                wire=wire,
                last=spec.wire[0].upper() + spec.wire[1:],
                is_json=spec.rules.form == "json",
                is_mandatory=is_mandatory and spec.is_mandatory,
                spec=spec,
            )
