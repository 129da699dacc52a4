"""Create an instance with its disks (CreateInstance); it is left `Stopped`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lamina.control.disks.attach import SYSTEM_DEVICE, choose_device
from lamina.control.disks.categories import DiskCategory, PerformanceLevel, check_size, choose_level
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.instances.machine_types import get_machine_type
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.build import start_building
from lamina.control.regions.queries import get_zone, list_zones
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotNotFoundError
from lamina.control.snapshots.holds import place_hold
from lamina.control.snapshots.queries import get_snapshot, require_ready
from lamina.control.snapshots.states import HolderKind
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import SnapshotId, ZoneId, mint_disk_id, mint_instance_id


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDisk:
    """A disk that is made with an instance.

    Attributes:
        category: what it is.
        performance_level: of an ESSD; PL1 unless given.
        size_gib: how large; may be absent when there is a snapshot, and is never below the snapshot's.
        snapshot_id: what a data disk is made from; otherwise it is empty.
        device: what the instance calls a data disk; a free name by default.
        delete_with_instance: whether it goes when the instance is released.
    """

    category: DiskCategory = DiskCategory.CLOUD_EFFICIENCY
    performance_level: PerformanceLevel | None = None
    size_gib: int | None = None
    snapshot_id: SnapshotId | None = None
    name: str | None = None
    description: str | None = None
    device: str | None = None
    delete_with_instance: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstance:
    """An instance to be. Names and descriptions were checked by whoever asks.

    Attributes:
        zone_id: a zone of the scope's region; its first one by default.
        instance_type: a type of `machine_types`.
        image_id: recorded; the system disk is empty, since there are no images yet.
        image_family: the same.
        name: the instance's id by default.
        host_name: what the guest is told; the instance's id by default.
        key_pair_name: recorded.
        security_group_id: recorded.
        v_switch_id: recorded.
        is_deletion_protected: whether releasing it is refused.
        system_disk: made with the instance, and its part from the start.
        data_disks: the same, in order.
        tags: key to value.
    """

    zone_id: ZoneId | None = None
    instance_type: str
    image_id: str | None = None
    image_family: str | None = None
    name: str | None = None
    description: str | None = None
    host_name: str | None = None
    key_pair_name: str | None = None
    security_group_id: str | None = None
    v_switch_id: str | None = None
    is_deletion_protected: bool = False
    system_disk: InstanceDisk
    data_disks: Sequence[InstanceDisk] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def create_instance(scope: Scope, new: NewInstance) -> InstanceRecord:
    """Start making an instance and its disks; it is `Pending`, and `Stopped` when its task has ended.

    Raises:
        ZoneNotFoundError: the region has no such zone.
        InstanceTypeError: there is no such type.
        DiskCategoryError, DiskSizeError: such disks cannot be created.
        SnapshotNotFoundError, SnapshotNotReadyError, SnapshotDataMissingError: a disk cannot be made from its snapshot.
        DiskLimitError: there are more data disks than an instance may have.
        DeviceTakenError: two disks have the same device.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
    """
    instance = _add_instance(scope, new)
    disks = [_add_disk(scope, instance, new.system_disk, SYSTEM_DEVICE)]
    maximum = scope.limits.data_disks_per_instance
    for wanted in new.data_disks:
        device = choose_device(instance.id, wanted.device, disks, maximum)
        disks.append(_add_disk(scope, instance, wanted, device))
    start_building(scope.session, scope.clock, instance, disks)
    return instance


def _add_instance(scope: Scope, new: NewInstance) -> InstanceRecord:
    get_machine_type(new.instance_type)
    zone_id = new.zone_id or list_zones(scope.session, scope.region_id)[0].id
    get_zone(scope.session, scope.region_id, zone_id)
    instance_id = mint_instance_id()
    instance = InstanceRecord(
        id=instance_id,
        account_id=scope.account_id,
        region_id=scope.region_id,
        zone_id=zone_id,
        name=new.name or instance_id,
        description=new.description,
        host_name=new.host_name or instance_id,
        image_id=new.image_id,
        image_family=new.image_family,
        instance_type=new.instance_type,
        key_pair_name=new.key_pair_name,
        security_group_id=new.security_group_id,
        v_switch_id=new.v_switch_id,
        state=InstanceState.PENDING,
        is_deletion_protected=new.is_deletion_protected,
        created_at=scope.clock.now(),
    )
    scope.session.add(instance)
    scope.session.flush()
    put_tags(scope, ResourceType.INSTANCE, instance.id, new.tags, region_id=instance.region_id)
    return instance


def _add_disk(scope: Scope, instance: InstanceRecord, new: InstanceDisk, device: str) -> DiskRecord:
    is_system = device == SYSTEM_DEVICE
    level = choose_level(new.category, new.performance_level)
    size_gib = max(new.size_gib or 0, _measure_source(scope, new.snapshot_id))
    check_size(new.category, level, size_gib)
    disk = DiskRecord(
        id=mint_disk_id(),
        account_id=scope.account_id,
        region_id=scope.region_id,
        zone_id=instance.zone_id,
        name=new.name,
        description=new.description,
        role=DiskRole.SYSTEM if is_system else DiskRole.DATA,
        category=new.category,
        performance_level=level,
        size_gib=size_gib,
        state=DiskState.CREATING,
        was_attached=False,
        source_snapshot_id=new.snapshot_id,
        image_id=instance.image_id if is_system else None,
        instance_id=instance.id,
        origin_instance_id=instance.id if is_system else None,
        device=device,
        delete_with_instance=new.delete_with_instance,
        created_at=scope.clock.now(),
    )
    scope.session.add(disk)
    scope.session.flush()
    if new.snapshot_id is not None:
        place_hold(scope.session, new.snapshot_id, HolderKind.DISK, disk.id)
    return disk


def _measure_source(scope: Scope, snapshot_id: SnapshotId | None) -> int:
    if snapshot_id is None:
        return 0
    snapshot = get_snapshot(scope, snapshot_id)
    if snapshot.region_id != scope.region_id:
        raise SnapshotNotFoundError(snapshot_id)
    require_ready(snapshot)
    return snapshot.disk_size_gib
