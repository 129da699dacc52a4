"""Create an image: of an instance, of a system disk's snapshot, or of several snapshots (CreateImage)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from lamina.control.disks.attach import SYSTEM_DEVICE
from lamina.control.disks.errors import DiskCategoryError
from lamina.control.disks.queries import list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole
from lamina.control.images.add import ImageFacts, ImageSource, add_image
from lamina.control.images.capture import CAPTURE_IMAGE, CaptureImageArguments
from lamina.control.images.errors import ImageSourceMissingError, ImageWithoutSystemDiskError
from lamina.control.images.plan import DiskOfImage, PlannedDisk, plan_disks, plan_system_disk
from lamina.control.images.queries import find_visible_image
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.instances.errors import InstanceNotFoundError
from lamina.control.instances.locks import require_not_security_locked
from lamina.control.instances.queries import get_instance, require_state
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.scope import Scope
from lamina.control.snapshots.create import NewSnapshot, add_snapshot, check_disk
from lamina.control.snapshots.holds import place_hold
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import HolderKind, SnapshotKind
from lamina.ids import InstanceId, SnapshotId
from lamina.tasks.queue import enqueue, require_free

_STILL: Final = (InstanceState.RUNNING, InstanceState.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """An image to be. Of the three sources the first that is given counts.

    Attributes:
        facts: what is said about it.
        instance_id: of all disks of this instance, as they are now.
        disks: of these snapshots.
        snapshot_id: of this snapshot of a system disk.
    """

    facts: ImageFacts
    instance_id: InstanceId | None = None
    disks: Sequence[DiskOfImage] = ()
    snapshot_id: SnapshotId | None = None


def create_image(scope: Scope, new: NewImage) -> ImageRecord:
    """Make an image. It is `Available` at once if it is made of snapshots; of an instance, when these are taken.

    Raises:
        ImageSourceMissingError: nothing is named that it could be made of.
        ImageNameTakenError and further: there is no room for it; see `add.add_image`.
        InstanceNotFoundError, InstanceSecurityLockError, InstanceStateError: the instance cannot be captured.
        ImageWithoutSystemDiskError: the instance has no system disk.
        DiskCategoryError and further: a disk of it cannot be captured; see `snapshots.create.create_snapshot`.
        SnapshotNotFoundError and further: it cannot be made of these snapshots; see `plan`.
    """
    if new.instance_id is not None:
        return _create_of_instance(scope, new.facts, new.instance_id)
    if new.disks:
        planned = plan_disks(scope, new.disks)
    elif new.snapshot_id is not None:
        planned = [plan_system_disk(scope, new.snapshot_id)]
    else:
        raise ImageSourceMissingError
    image = add_image(scope, new.facts, ImageSource(origin=ImageOrigin.CREATED), ImageState.AVAILABLE)
    for disk in planned:
        _add_disk(scope, image, disk)
    return image


def _add_disk(scope: Scope, image: ImageRecord, disk: PlannedDisk) -> None:
    scope.session.add(
        ImageDiskRecord(
            image_id=image.id,
            device=disk.device,
            role=disk.role,
            size_gib=disk.size_gib,
            snapshot_id=disk.snapshot_id,
        )
    )
    scope.session.flush()
    if disk.snapshot_id is not None:
        place_hold(scope.session, disk.snapshot_id, HolderKind.IMAGE, image.id)


def _create_of_instance(scope: Scope, facts: ImageFacts, instance_id: InstanceId) -> ImageRecord:
    instance = get_instance(scope, instance_id)
    if instance.region_id != scope.region_id:
        raise InstanceNotFoundError(instance_id)
    require_not_security_locked(instance)
    require_state(instance, _STILL)
    disks = _choose_disks(scope, instance)
    facts = _inherit(scope, facts, disks)
    image = add_image(scope, facts, ImageSource(origin=ImageOrigin.CREATED), ImageState.CREATING)
    members = {disk.id: _add_captured_disk(scope, image, disk) for disk in disks}
    arguments = CaptureImageArguments(
        account_id=scope.account_id,
        region_id=image.region_id,
        image_id=image.id,
        members={disk_id: snapshot.id for disk_id, snapshot in members.items()},
    )
    image.task_id = enqueue(scope.session, scope.clock, CAPTURE_IMAGE, arguments, key=image.id)
    for snapshot in members.values():
        snapshot.task_id = image.task_id
    scope.session.flush()
    return image


def _choose_disks(scope: Scope, instance: InstanceRecord) -> list[DiskRecord]:
    """All cloud disks of the instance, of which one must be the system disk; local data disks are left out."""
    attached = list_attached(scope.session, instance.id)
    if all(disk.device != SYSTEM_DEVICE for disk in attached):
        raise ImageWithoutSystemDiskError(instance.id)
    disks = [disk for disk in attached if disk.category.supports_snapshots]
    for disk in attached:
        if disk.device == SYSTEM_DEVICE and disk not in disks:
            raise DiskCategoryError(disk.category.value)
    for disk in disks:
        check_disk(scope, disk, SnapshotKind.USER)
        require_free(scope.session, disk.id)  # the task of an image goes by another key
    return disks


def _inherit(scope: Scope, facts: ImageFacts, disks: Sequence[DiskRecord]) -> ImageFacts:
    """What is not said otherwise is as in the image that the system disk was made from, if that is still there."""
    base_id = next(disk.image_id for disk in disks if disk.device == SYSTEM_DEVICE)
    base = find_visible_image(scope, base_id) if base_id is not None else None
    if base is None:
        return facts
    return replace(
        facts,
        platform=facts.platform or base.platform,
        architecture=facts.architecture or base.architecture,
        boot_mode=facts.boot_mode or base.boot_mode,
    )


def _add_captured_disk(scope: Scope, image: ImageRecord, disk: DiskRecord) -> SnapshotRecord:
    description = f"Created for image {image.id}"
    snapshot = add_snapshot(scope, disk, NewSnapshot(disk_id=disk.id, description=description))
    assert disk.device is not None, "an attached disk has a device"
    is_system = disk.device == SYSTEM_DEVICE
    planned = PlannedDisk(
        device=disk.device,
        role=DiskRole.SYSTEM if is_system else DiskRole.DATA,
        size_gib=disk.size_gib,
        snapshot_id=snapshot.id,
    )
    _add_disk(scope, image, planned)
    return snapshot
