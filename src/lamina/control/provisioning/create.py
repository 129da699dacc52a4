"""Create instances with their disks (CreateInstance, RunInstances)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lamina.control.disks.attach import SYSTEM_DEVICE, choose_device
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.images.records import ImageRecord
from lamina.control.instances.machine_types import get_machine_type
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.build import start_building
from lamina.control.provisioning.plan import DiskPlan, InstanceDisk, find_image, plan_disks
from lamina.control.regions.queries import get_zone, list_zones
from lamina.control.scope import Scope
from lamina.control.snapshots.holds import place_hold
from lamina.control.snapshots.states import HolderKind
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import DiskId, InstanceId, ZoneId, mint_disk_id, mint_instance_id

ID_PLACE: Final = "${instance_id}"
"""Stands in a host name for the instance's id (ECS API, RunInstances, `HostName`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceNames:
    """What one instance is called.

    Attributes:
        name: the instance's id by default.
        host_name: what the guest is told; the instance's id by default, which may also stand in it as `ID_PLACE`.
    """

    name: str | None = None
    host_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstance:
    """Instances to be, all alike. Names and descriptions were checked by whoever asks.

    Attributes:
        zone_id: a zone of the scope's region; its first one by default.
        instance_type: a type of `machine_types`.
        image_id: what their disks are made from: an own image, a shared one or a public one.
        image_family: the newest of these images, where none is named by its id.
        key_pair_name: recorded.
        security_group_id: recorded.
        v_switch_id: recorded.
        is_deletion_protected: whether releasing one is refused.
        starts: whether they are started as soon as their disks are made.
        expires_at: until when they are paid for in advance; None if they are paid by use.
        auto_release_at: when they are released by themselves.
        system_disk: made with each instance, and its part from the start.
        data_disks: the same, in order; the image's data disks come in any case.
        tags: key to value.
    """

    zone_id: ZoneId | None = None
    instance_type: str
    image_id: str | None = None
    image_family: str | None = None
    description: str | None = None
    key_pair_name: str | None = None
    security_group_id: str | None = None
    v_switch_id: str | None = None
    is_deletion_protected: bool = False
    starts: bool = False
    expires_at: datetime | None = None
    auto_release_at: datetime | None = None
    system_disk: InstanceDisk = field(default_factory=InstanceDisk)
    data_disks: Sequence[InstanceDisk] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeInstance:
    """An instance that is `Pending`.

    Attributes:
        disk_ids: its disks: the system disk, those that were asked for in their order, the image's other ones.
    """

    id: InstanceId
    disk_ids: tuple[DiskId, ...]


def create_instances(scope: Scope, new: NewInstance, names: Sequence[InstanceNames]) -> list[MadeInstance]:
    """Start making an instance for each of the names; it is `Pending`, and `Stopped` when its task has ended.

    With `starts` it goes on to `Starting` and `Running`. Disks get the bytes that the image has at this moment, also if
    it is unshared before they are made; until then it is not deleted.

    Raises:
        InstanceTypeError: there is no such type.
        ZoneNotFoundError: the region has no such zone.
        ImageNotFoundError: the account sees no such image in this region.
        ImageStateError: instances cannot be made from it now.
        ImageFamilyNotFoundError: the family has no available image.
        ImageArchitectureError: the type of instance does not run it.
        DiskCategoryError, DiskSizeError: such disks cannot be created.
        DiskSizeMissingError: an empty data disk has no size.
        DiskBelowImageError: a disk would be smaller than the image's.
        SnapshotNotFoundError, SnapshotNotReadyError, SnapshotDataMissingError: a disk cannot be made from its snapshot.
        KeyWithoutEncryptionError and further: a disk cannot be encrypted so; see `keys.choose`.
        DiskLimitError: there are more data disks than an instance may have.
        DeviceTakenError: two disks have the same device.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
    """
    get_machine_type(new.instance_type)
    zone_id = new.zone_id or list_zones(scope.session, scope.region_id)[0].id
    get_zone(scope.session, scope.region_id, zone_id)
    image = find_image(scope, new.image_id, new.image_family, new.instance_type)
    plans = plan_disks(scope, image, new.system_disk, new.data_disks)
    made = []
    for each in names:
        instance = _add_instance(scope, new, image, zone_id, each)
        disks = _add_disks(scope, instance, image, plans)
        start_building(scope.session, scope.clock, instance, disks)
        made.append(MadeInstance(id=instance.id, disk_ids=tuple(disk.id for disk in disks)))
    return made


def _add_instance(
    scope: Scope, new: NewInstance, image: ImageRecord, zone_id: ZoneId, names: InstanceNames
) -> InstanceRecord:
    instance_id = mint_instance_id()
    instance = InstanceRecord(
        id=instance_id,
        account_id=scope.account_id,
        region_id=scope.region_id,
        zone_id=zone_id,
        name=names.name or instance_id,
        description=new.description,
        host_name=(names.host_name or ID_PLACE).replace(ID_PLACE, instance_id),
        image_id=image.id,
        image_family=new.image_family,
        os_name=image.platform,
        os_type=image.os_type.value,
        instance_type=new.instance_type,
        key_pair_name=new.key_pair_name,
        security_group_id=new.security_group_id,
        v_switch_id=new.v_switch_id,
        state=InstanceState.PENDING,
        is_deletion_protected=new.is_deletion_protected,
        starts_when_made=new.starts,
        created_at=scope.clock.now(),
        expires_at=new.expires_at,
        auto_release_at=new.auto_release_at,
    )
    scope.session.add(instance)
    scope.session.flush()
    put_tags(scope, ResourceType.INSTANCE, instance, new.tags)
    return instance


def _add_disks(
    scope: Scope, instance: InstanceRecord, image: ImageRecord, plans: Sequence[DiskPlan]
) -> list[DiskRecord]:
    """The disks in the order of the plans; those that name their device get it before the others get a free one."""
    made: dict[int, DiskRecord] = {}
    maximum = scope.limits.data_disks_per_instance
    for at in sorted(range(len(plans)), key=lambda index: plans[index].wanted.device is None):
        device = plans[at].wanted.device
        if device != SYSTEM_DEVICE:
            device = choose_device(instance.id, device, made.values(), maximum)
        made[at] = add_disk(scope, instance, image, plans[at], device)
    return [made[at] for at in range(len(plans))]


def add_disk(
    scope: Scope, instance: InstanceRecord, image: ImageRecord, plan: DiskPlan, device: str
) -> DiskRecord:
    """Add the row of a disk that is made with an instance; nobody makes its bytes yet."""
    is_system = device == SYSTEM_DEVICE
    wanted, of_image = plan.wanted, plan.of_image
    disk = DiskRecord(
        id=mint_disk_id(),
        account_id=instance.account_id,
        region_id=instance.region_id,
        zone_id=instance.zone_id,
        name=wanted.name,
        description=wanted.description,
        role=DiskRole.SYSTEM if is_system else DiskRole.DATA,
        category=wanted.category,
        performance_level=plan.level,
        size_gib=plan.size_gib,
        state=DiskState.CREATING,
        was_attached=False,
        source_snapshot_id=wanted.snapshot_id,
        image_id=image.id if of_image is not None else None,
        image_device=of_image.device if of_image is not None else None,
        key_id=plan.key_id,
        instance_id=instance.id,
        origin_instance_id=instance.id if is_system else None,
        device=device,
        delete_with_instance=wanted.delete_with_instance,
        created_at=scope.clock.now(),
    )
    scope.session.add(disk)
    scope.session.flush()
    if wanted.snapshot_id is not None:
        place_hold(scope.session, wanted.snapshot_id, HolderKind.DISK, disk.id)
    return disk
