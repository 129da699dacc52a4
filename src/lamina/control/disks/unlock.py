"""Opening the bytes of disks for tasks: the key of an encrypted one must be enabled, and its row names it."""

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.volumes import Sealing, Volume
from lamina.control.installation import Installation
from lamina.control.keys.queries import require_enabled
from lamina.control.keys.records import KeyRecord
from lamina.ids import DiskId


def make_volume(plant: Installation, disk_id: DiskId, size_bytes: int) -> Volume:
    """An empty disk, encrypted if its row says so; see `volumes.Volumes.create`.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: its key cannot be used now.
        Fault: the file system has no room, or failed.
    """
    sealing = find_sealing(plant, disk_id)
    return plant.volumes.create(disk_id, size_bytes, sealing)


def open_volume(plant: Installation, disk_id: DiskId) -> Volume:
    """The bytes of a disk, for reading and writing.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: its key cannot be used now.
        VolumeMissingError: there are none.
    """
    find_sealing(plant, disk_id)
    return plant.volumes.open(disk_id)


def find_sealing(plant: Installation, disk_id: DiskId) -> Sealing | None:
    """What a disk is encrypted with; None if it is not.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: its key cannot be used now.
    """
    with plant.database.reading() as session:
        disk = session.get(DiskRecord, disk_id)
        if disk is None or disk.key_id is None:
            return None
        require_enabled(session, disk.key_id)
        return Sealing(key_id=disk.key_id, version=session.get_one(KeyRecord, disk.key_id).version)
