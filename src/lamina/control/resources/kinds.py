"""Where resources that carry tags have their rows. A new kind of resource needs one entry here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import InstrumentedAttribute

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.images.records import ImageRecord
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.policies.records import PolicyRecord
from lamina.control.snapshots.records import GroupRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.control.tags.records import ResourceType
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceTable:
    """The columns of a kind of resource that are common to all kinds.

    Attributes:
        id: its id.
        account_id: who owns it.
        region_id: where it is.
        created_at: when it was created.
        is_there: false for what was deleted and is being removed.
    """

    id: InstrumentedAttribute[Any]  # an id of any kind
    account_id: InstrumentedAttribute[Any]  # None for what has no owner
    region_id: InstrumentedAttribute[RegionId]
    created_at: InstrumentedAttribute[datetime]
    is_there: ColumnElement[bool]


TABLES: Final[Mapping[ResourceType, ResourceTable]] = {
    ResourceType.DISK: ResourceTable(
        id=DiskRecord.id,
        account_id=DiskRecord.account_id,
        region_id=DiskRecord.region_id,
        created_at=DiskRecord.created_at,
        is_there=DiskRecord.state != DiskState.DELETING,
    ),
    ResourceType.SNAPSHOT: ResourceTable(
        id=SnapshotRecord.id,
        account_id=SnapshotRecord.account_id,
        region_id=SnapshotRecord.region_id,
        created_at=SnapshotRecord.created_at,
        is_there=SnapshotRecord.state != SnapshotState.DELETING,
    ),
    ResourceType.SNAPSHOT_GROUP: ResourceTable(
        id=GroupRecord.id,
        account_id=GroupRecord.account_id,
        region_id=GroupRecord.region_id,
        created_at=GroupRecord.created_at,
        is_there=true(),
    ),
    ResourceType.INSTANCE: ResourceTable(
        id=InstanceRecord.id,
        account_id=InstanceRecord.account_id,
        region_id=InstanceRecord.region_id,
        created_at=InstanceRecord.created_at,
        is_there=InstanceRecord.state != InstanceState.RELEASING,
    ),
    ResourceType.IMAGE: ResourceTable(
        id=ImageRecord.id,
        account_id=ImageRecord.account_id,
        region_id=ImageRecord.region_id,
        created_at=ImageRecord.created_at,
        is_there=true(),
    ),
    ResourceType.POLICY: ResourceTable(
        id=PolicyRecord.id,
        account_id=PolicyRecord.account_id,
        region_id=PolicyRecord.region_id,
        created_at=PolicyRecord.created_at,
        is_there=true(),
    ),
}
