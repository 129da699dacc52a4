"""The end of a disk's row, and of everything that refers to it."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from lamina.control.disks.records import ConnectionRecord, DiskRecord
from lamina.control.snapshots.holds import release_holds
from lamina.control.snapshots.states import HolderKind
from lamina.control.tags.put import drop_tags
from lamina.control.tags.records import ResourceType


def drop_disk(session: Session, disk: DiskRecord) -> None:
    """Forget a disk whose bytes are gone. Its snapshots stay."""
    session.execute(delete(ConnectionRecord).where(ConnectionRecord.disk_id == disk.id))
    release_holds(session, HolderKind.DISK, disk.id)
    drop_tags(session, ResourceType.DISK, disk.id)
    session.delete(disk)
    session.flush()
