"""What the disks of a new instance are to be: those that the caller describes, merged with those of the image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from lamina.control.disks.attach import SYSTEM_DEVICE
from lamina.control.disks.categories import (
    DiskCategory,
    PerformanceLevel,
    check_size,
    choose_level,
    get_size_range,
)
from lamina.control.disks.errors import DiskCategoryError
from lamina.control.disks.states import DiskRole
from lamina.control.images.queries import find_newest_of_family, find_usable_image, list_image_disks
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.images.states import Architecture
from lamina.control.keys.choose import AS_SOURCE, Encryption, choose_key
from lamina.control.provisioning.errors import (
    DiskBelowImageError,
    DiskSizeMissingError,
    ImageArchitectureError,
    ImageFamilyNotFoundError,
)
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotNotFoundError
from lamina.control.snapshots.queries import get_snapshot, require_ready
from lamina.control.snapshots.records import SnapshotRecord
from lamina.ids import KeyId, SnapshotId

SYSTEM_GIB_MIN: Final = 20
"""The least size of a system disk (ECS API, RunInstances, `SystemDisk.Size`)."""
_X86: Final = frozenset({Architecture.X86_64, Architecture.I386})
"""What every type of `machine_types` runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDisk:
    """A disk that is made with an instance.

    Attributes:
        category: what it is.
        performance_level: of an ESSD; PL1 unless given.
        size_gib: how large. May be absent when its bytes come from somewhere, and for a system disk; then it is the
            least size that the category and the bytes allow.
        snapshot_id: what a data disk is made from.
        device: what the instance calls a data disk; a free name by default. With the name of one of the image's disks
            it is that disk, in another size or category, unless it is made from a snapshot.
        encryption: how it is encrypted; as what its bytes come from by default.
        delete_with_instance: whether it goes when the instance is released.
    """

    category: DiskCategory = DiskCategory.CLOUD_EFFICIENCY
    performance_level: PerformanceLevel | None = None
    size_gib: int | None = None
    snapshot_id: SnapshotId | None = None
    name: str | None = None
    description: str | None = None
    device: str | None = None
    encryption: Encryption = AS_SOURCE
    delete_with_instance: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlan:
    """One disk to be.

    Attributes:
        wanted: what was asked for.
        of_image: the image's disk whose bytes it gets, if it does.
        size_gib: how large it will be.
        key_id: what it will be encrypted with.
    """

    wanted: InstanceDisk
    of_image: ImageDiskRecord | None
    size_gib: int
    level: PerformanceLevel | None
    key_id: KeyId | None


def find_image(scope: Scope, image_id: str | None, family: str | None, machine_type: str) -> ImageRecord:
    """The image that an instance is to be made from: the one that is named, or the newest of a family.

    Raises:
        ImageNotFoundError: the account sees no such image in this region.
        ImageStateError: instances cannot be made from it now.
        ImageFamilyNotFoundError: the family has no available image.
        ImageArchitectureError: the type of instance does not run it.
    """
    if image_id is not None:
        image = find_usable_image(scope, image_id)
    else:
        assert family is not None, "whoever asks names an image or a family"
        newest = find_newest_of_family(scope, family)
        if newest is None:
            raise ImageFamilyNotFoundError(family)
        image = newest
    require_machine(image, machine_type)
    return image


def require_machine(image: ImageRecord, machine_type: str) -> None:
    """Let only an image pass whose programs a type of instance runs.

    Raises:
        ImageArchitectureError: it does not.
    """
    if image.architecture not in _X86:
        raise ImageArchitectureError(image.id, image.architecture, machine_type)


def plan_disks(
    scope: Scope, image: ImageRecord, system: InstanceDisk, data: Sequence[InstanceDisk]
) -> list[DiskPlan]:
    """The disks of an instance: the system disk, then the data disks in the order asked for, then the image's others.

    Raises:
        DiskCategoryError, DiskSizeError: such disks cannot be created.
        DiskSizeMissingError: an empty data disk has no size.
        DiskBelowImageError: a disk would be smaller than the image's.
        SnapshotNotFoundError, SnapshotNotReadyError, SnapshotDataMissingError: a disk cannot be made from its snapshot.
        KeyWithoutEncryptionError and further: a disk cannot be encrypted so; see `keys.choose`.
    """
    of_image = {disk.device: disk for disk in list_image_disks(scope.session, image.id)}
    root = next(disk for disk in of_image.values() if disk.role is DiskRole.SYSTEM)
    of_image.pop(root.device)
    plans = [plan_system_disk(scope, system, root)]
    for wanted in data:
        of_device = of_image.pop(wanted.device, None) if wanted.device is not None else None
        plans.append(_plan_data_disk(scope, wanted, of_device if wanted.snapshot_id is None else None))
    for rest in of_image.values():
        alike = InstanceDisk(
            category=system.category, performance_level=system.performance_level, device=rest.device
        )
        plans.append(_plan_data_disk(scope, alike, rest))
    return plans


def plan_system_disk(scope: Scope, wanted: InstanceDisk, of_image: ImageDiskRecord) -> DiskPlan:
    """A system disk with the bytes of an image.

    Raises:
        DiskCategoryError, DiskSizeError, DiskBelowImageError, KeyWithoutEncryptionError and further: as `plan_disks`.
    """
    least = max(SYSTEM_GIB_MIN, of_image.size_gib)
    return _plan(scope, replace(wanted, device=SYSTEM_DEVICE), of_image, least)


def _plan_data_disk(scope: Scope, wanted: InstanceDisk, of_image: ImageDiskRecord | None) -> DiskPlan:
    if of_image is not None:
        return _plan(scope, wanted, of_image, of_image.size_gib)
    if wanted.size_gib is None and wanted.snapshot_id is None:
        raise DiskSizeMissingError
    snapshot = _find_snapshot(scope, wanted.snapshot_id)
    size_gib = max(wanted.size_gib or 0, snapshot.disk_size_gib if snapshot is not None else 0)
    level = choose_level(wanted.category, wanted.performance_level)
    check_size(wanted.category, level, size_gib)
    key_id = choose_key(scope, wanted.encryption, snapshot.key_id if snapshot is not None else None)
    return DiskPlan(wanted=wanted, of_image=None, size_gib=size_gib, level=level, key_id=key_id)


def _plan(scope: Scope, wanted: InstanceDisk, of_image: ImageDiskRecord, least_gib: int) -> DiskPlan:
    if not wanted.category.supports_snapshots:
        raise DiskCategoryError(wanted.category.value)
    if wanted.size_gib is not None and wanted.size_gib < of_image.size_gib:
        raise DiskBelowImageError(of_image.device, wanted.size_gib, of_image.size_gib)
    level = choose_level(wanted.category, wanted.performance_level)
    size_gib = wanted.size_gib or max(least_gib, get_size_range(wanted.category, level)[0])
    check_size(wanted.category, level, size_gib)
    source = scope.session.get(SnapshotRecord, of_image.snapshot_id) if of_image.snapshot_id else None
    key_id = choose_key(scope, wanted.encryption, source.key_id if source is not None else None)
    return DiskPlan(wanted=wanted, of_image=of_image, size_gib=size_gib, level=level, key_id=key_id)


def _find_snapshot(scope: Scope, snapshot_id: SnapshotId | None) -> SnapshotRecord | None:
    if snapshot_id is None:
        return None
    snapshot = get_snapshot(scope, snapshot_id)
    if snapshot.region_id != scope.region_id:
        raise SnapshotNotFoundError(snapshot_id)
    require_ready(scope.session, snapshot)
    return snapshot
