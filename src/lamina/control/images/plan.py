"""Which disks an image of snapshots gets: their devices, roles and sizes, from what the caller says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lamina.control.disks.attach import DATA_DEVICES, SYSTEM_DEVICE
from lamina.control.disks.states import DiskRole
from lamina.control.images.encrypted import refuse_encrypted_system
from lamina.control.images.errors import (
    ArchivedSourceError,
    ImageDeviceError,
    ImageDeviceTakenError,
    ImageDiskCountError,
    ImageDiskSizeError,
    ImageDiskTypeError,
    NotSystemSnapshotError,
    SystemSnapshotCountError,
    SystemSnapshotMissingError,
)
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotNotFoundError
from lamina.control.snapshots.queries import get_snapshot, require_ready
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotCategory
from lamina.ids import SnapshotId

_SIZE_GIB_MAX: Final = 64 * 1024  # the largest disk of any category


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskOfImage:
    """One disk of an image to be (`DiskDeviceMapping.N`).

    Attributes:
        snapshot_id: whose bytes it has; None for an empty data disk.
        device: what an instance calls it; by default that of the system disk, or the first that is free.
        size_gib: how large a disk that is made from it is at least; the snapshot's by default.
        role: what the caller takes it for; follows from the snapshot by default.
    """

    snapshot_id: SnapshotId | None = None
    device: str | None = None
    size_gib: int | None = None
    role: DiskRole | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDisk:
    """What the row of a disk of an image says."""

    device: str
    role: DiskRole
    size_gib: int
    snapshot_id: SnapshotId | None


def plan_system_disk(scope: Scope, snapshot_id: SnapshotId) -> PlannedDisk:
    """The only disk of an image of one snapshot; raises as `plan_disks`, and what follows.

    Raises:
        NotSystemSnapshotError: the snapshot is not of a system disk.
    """
    snapshot = _get_source(scope, snapshot_id)
    if snapshot.disk_role is not DiskRole.SYSTEM:
        raise NotSystemSnapshotError(snapshot_id)
    return PlannedDisk(
        device=SYSTEM_DEVICE,
        role=DiskRole.SYSTEM,
        size_gib=snapshot.disk_size_gib,
        snapshot_id=snapshot_id,
    )


def plan_disks(scope: Scope, wanted: Sequence[DiskOfImage]) -> list[PlannedDisk]:
    """The disks of an image of several snapshots.

    Raises:
        SnapshotNotFoundError: the account has no such snapshot in this region.
        SnapshotNotReadyError, SnapshotDataMissingError: a snapshot's data cannot be read.
        ArchivedSourceError: a snapshot is archived.
        EncryptedSystemSnapshotError: the snapshot of the system disk is encrypted.
        KeyNotEnabledError, KeyDestroyedError: the key of a snapshot cannot be used now.
        NotSystemSnapshotError, ImageDiskTypeError: a snapshot is not of the kind of disk that it is taken for.
        SystemSnapshotCountError, SystemSnapshotMissingError: not exactly one of the disks is a system disk's snapshot.
        ImageDiskCountError, ImageDiskSizeError: a disk is one too many, or cannot have its size.
        ImageDeviceError, ImageDeviceTakenError: a device name cannot be used.
    """
    sources = {each.snapshot_id: _get_source(scope, each.snapshot_id) for each in wanted if each.snapshot_id}
    roles = [_find_role(each, sources) for each in wanted]
    if roles.count(DiskRole.DATA) > scope.limits.data_disks_per_instance:
        raise ImageDiskCountError(roles.count(DiskRole.DATA), scope.limits.data_disks_per_instance)
    if roles.count(DiskRole.SYSTEM) != 1:
        raise SystemSnapshotCountError(roles.count(DiskRole.SYSTEM))
    devices = _choose_devices(wanted, roles)
    return [
        PlannedDisk(
            device=device,
            role=role,
            size_gib=_choose_size(device, each, sources),
            snapshot_id=each.snapshot_id,
        )
        for each, role, device in zip(wanted, roles, devices, strict=True)
    ]


def _get_source(scope: Scope, snapshot_id: SnapshotId) -> SnapshotRecord:
    snapshot = get_snapshot(scope, snapshot_id)
    if snapshot.region_id != scope.region_id:
        raise SnapshotNotFoundError(snapshot_id)
    require_ready(scope.session, snapshot)
    if snapshot.category is not SnapshotCategory.STANDARD:
        raise ArchivedSourceError(snapshot_id)
    if snapshot.disk_role is DiskRole.SYSTEM:
        refuse_encrypted_system(scope, snapshot)
    return snapshot


def _find_role(wanted: DiskOfImage, sources: Mapping[SnapshotId, SnapshotRecord]) -> DiskRole:
    """A disk is what its snapshot was taken of; an empty disk is a data disk."""
    if wanted.snapshot_id is None:
        if wanted.role is DiskRole.SYSTEM or wanted.device == SYSTEM_DEVICE:
            raise SystemSnapshotMissingError(wanted.device or SYSTEM_DEVICE)
        return DiskRole.DATA
    role = sources[wanted.snapshot_id].disk_role
    if wanted.role is DiskRole.SYSTEM and role is DiskRole.DATA:
        raise NotSystemSnapshotError(wanted.snapshot_id)
    if wanted.role not in (None, role):
        raise ImageDiskTypeError(wanted.snapshot_id, role.value)
    return role


def _choose_devices(wanted: Sequence[DiskOfImage], roles: Sequence[DiskRole]) -> list[str]:
    """The device of each disk: as asked for, or the first that is free."""
    taken: set[str] = set()
    for each, role in zip(wanted, roles, strict=True):
        if each.device is None:
            continue
        if each.device not in ((SYSTEM_DEVICE,) if role is DiskRole.SYSTEM else DATA_DEVICES):
            raise ImageDeviceError(each.device)
        if each.device in taken:
            raise ImageDeviceTakenError(each.device)
        taken.add(each.device)
    free = iter([device for device in DATA_DEVICES if device not in taken])
    return [
        each.device or (SYSTEM_DEVICE if role is DiskRole.SYSTEM else next(free))
        for each, role in zip(wanted, roles, strict=True)
    ]


def _choose_size(device: str, wanted: DiskOfImage, sources: Mapping[SnapshotId, SnapshotRecord]) -> int:
    if wanted.snapshot_id is None:
        if wanted.size_gib is None:
            raise ImageDiskSizeError(device, "has neither a SnapshotId nor a Size; give one of them")
        least = 1
    else:
        least = sources[wanted.snapshot_id].disk_size_gib
    size_gib = wanted.size_gib if wanted.size_gib is not None else least
    if not least <= size_gib <= _SIZE_GIB_MAX:
        raise ImageDiskSizeError(device, f"must have {least} to {_SIZE_GIB_MAX} GiB, not {size_gib}")
    return size_gib
