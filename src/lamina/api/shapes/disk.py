"""A disk, as DescribeDisks shows it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lamina.api.schema import param
from lamina.api.shapes.tags import TagShape, show_tags
from lamina.control.disks.queries import DiskView
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.ids import DiskId, RegionId, SnapshotId, ZoneId

NO_EXPIRY: Final = "2999-09-08T16:00Z"
"""What the API shows for a disk that is paid by use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentShape:
    """To which instance a disk is attached."""

    instance_id: str
    device: str
    attached_time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationLockShape:
    """Why a disk is locked."""

    lock_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementShape:
    """Where a disk lies, for disks of several zones."""

    zone_ids: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskShape:
    """One disk. What Lamina does not have yet is answered with its documented neutral value."""

    disk_id: DiskId
    serial_number: str
    disk_name: str
    description: str
    region_id: RegionId
    zone_id: ZoneId
    type: str
    category: str
    performance_level: str | None
    size: int
    status: str
    creation_time: datetime
    attached_time: datetime | None
    detached_time: datetime | None
    source_snapshot_id: SnapshotId | None
    tags: tuple[TagShape, ...] = param(wire="Tags/Tag")
    image_id: str = ""
    instance_id: str = ""
    device: str = ""
    attachments: tuple[AttachmentShape, ...] = param(default=(), wire="Attachments/Attachment")
    mount_instances: tuple[AttachmentShape, ...] = param(default=(), wire="MountInstances/MountInstance")
    mount_instance_num: int = 0
    operation_locks: tuple[OperationLockShape, ...] = param(default=(), wire="OperationLocks/OperationLock")
    placement: PlacementShape = PlacementShape()
    portable: bool = True
    delete_with_instance: bool = False
    delete_auto_snapshot: bool = True
    enable_auto_snapshot: bool = True
    enable_automated_snapshot_policy: bool = False
    auto_snapshot_policy_id: str = ""
    encrypted: bool = False
    kms_key_id: str = param(default="", wire="KMSKeyId")
    multi_attach: str = "Disabled"
    bursting_enabled: bool = False
    disk_charge_type: str = "PostPaid"
    expired_time: str = NO_EXPIRY
    product_code: str = ""
    resource_group_id: str = ""
    source_disk_id: str = ""
    storage_set_id: str = ""
    storage_set_partition_number: int = 0
    storage_cluster_id: str = ""
    bdf_id: str = ""
    iops: int = param(default=0, wire="IOPS")
    iops_read: int = param(default=0, wire="IOPSRead")
    iops_write: int = param(default=0, wire="IOPSWrite")
    provisioned_iops: int = 0
    throughput: int = 0
    throughput_read: int = 0
    throughput_write: int = 0


def show_disk(view: DiskView) -> DiskShape:
    """A disk for an answer."""
    disk = view.disk
    attachments = _show_attachments(disk)
    return DiskShape(
        disk_id=disk.id,
        serial_number=disk.id.removeprefix("d-"),
        disk_name=disk.name or "",
        description=disk.description or "",
        region_id=disk.region_id,
        zone_id=disk.zone_id,
        type=disk.role.value,
        category=disk.category.value,
        performance_level=disk.performance_level.value if disk.performance_level else None,
        size=disk.size_gib,
        status=disk.state.value,
        creation_time=disk.created_at,
        attached_time=disk.attached_at,
        detached_time=disk.detached_at,
        source_snapshot_id=disk.source_snapshot_id,
        enable_automated_snapshot_policy=disk.policy_id is not None,
        auto_snapshot_policy_id=disk.policy_id or "",
        tags=show_tags(view.tags),
        image_id=disk.image_id or "",
        source_disk_id=disk.source_disk_id or "",
        instance_id=attachments[0].instance_id if attachments else "",
        device=attachments[0].device if attachments else "",
        attachments=attachments,
        mount_instances=attachments,
        mount_instance_num=len(attachments),
        operation_locks=tuple(OperationLockShape(lock_reason=reason.value) for reason in view.locks),
        portable=disk.category.is_portable,
        delete_with_instance=disk.delete_with_instance,
        delete_auto_snapshot=disk.delete_auto_snapshot,
        enable_auto_snapshot=disk.enable_auto_snapshot,
        encrypted=disk.key_id is not None,
        kms_key_id=disk.key_id or "",
    )


def _show_attachments(disk: DiskRecord) -> tuple[AttachmentShape, ...]:
    """At most one, and only while the disk is `In_use`."""
    if disk.instance_id is None or disk.device is None or disk.state is not DiskState.IN_USE:
        return ()
    attached_at = "" if disk.attached_at is None else disk.attached_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return (AttachmentShape(instance_id=disk.instance_id, device=disk.device, attached_time=attached_at),)
