"""Change what a disk is called and what becomes of it (ModifyDiskAttribute)."""

from dataclasses import dataclass

from lamina.control.disks.errors import DiskPortableError
from lamina.control.disks.queries import get_disk
from lamina.control.scope import Scope
from lamina.ids import DiskId


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskChanges:
    """What is to be changed; None stays. Names and descriptions were checked by whoever asks."""

    name: str | None = None
    description: str | None = None
    delete_with_instance: bool | None = None
    delete_auto_snapshot: bool | None = None
    enable_auto_snapshot: bool | None = None


def modify_disk(scope: Scope, disk_id: DiskId, changes: DiskChanges) -> None:
    """Change the attributes of a disk, whatever its state.

    Raises:
        DiskNotFoundError: the account has no such disk.
        DiskPortableError: a local disk was to outlive its instance.
    """
    disk = get_disk(scope, disk_id)
    if changes.delete_with_instance is False and not disk.category.is_portable:
        raise DiskPortableError(disk_id)
    if changes.name is not None:
        disk.name = changes.name or None
    if changes.description is not None:
        disk.description = changes.description or None
    if changes.delete_with_instance is not None:
        disk.delete_with_instance = changes.delete_with_instance
    if changes.delete_auto_snapshot is not None:
        disk.delete_auto_snapshot = changes.delete_auto_snapshot
    if changes.enable_auto_snapshot is not None:
        disk.enable_auto_snapshot = changes.enable_auto_snapshot
