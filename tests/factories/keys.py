"""Keys, encrypted disks, and what is stored of them."""

from pathlib import Path

from lamina.control.disks.create import ImportedDisk, import_disk
from lamina.control.disks.unlock import open_volume
from lamina.control.encryption.rotate import rotate_key
from lamina.control.keys.choose import Encryption
from lamina.control.keys.create import create_key
from lamina.control.keys.records import KeyRecord
from lamina.ids import DiskId, KeyId, RegionId, SnapshotId
from lamina.units import GIB
from tests.factories.installation import ZONE, Site

NEAR = RegionId("cn-hangzhou")


def make_key(site: Site, *, region_id: RegionId = NEAR) -> KeyId:
    with site.scope(region_id=region_id) as scope:
        return create_key(scope).id


def with_key(key_id: KeyId | None = None) -> Encryption:
    return Encryption(is_encrypted=True, key_id=key_id)


def find_key(site: Site, key_id: KeyId) -> KeyRecord:
    with site.installation.database.reading() as session:
        return session.get_one(KeyRecord, key_id)


def make_encrypted(site: Site, content: bytes, key_id: KeyId | None = None, **options) -> DiskId:
    """An encrypted disk that may be snapshotted, with `content` at its start."""
    with site.scope() as scope:
        new = ImportedDisk(zone_id=ZONE, size_bytes=GIB, encryption=with_key(key_id), **options)
        disk_id = import_disk(scope, new).id
    site.work()
    site.write(disk_id, 0, content)
    return disk_id


def read_clear(site: Site, disk_id: DiskId, length: int, offset: int = 0) -> bytes:
    """What a disk says, in clear."""
    buffer = bytearray(length)
    with open_volume(site.installation, disk_id) as volume:
        volume.read_into(offset, [buffer])
    return bytes(buffer)


def start_rotation(site: Site, key_id: KeyId) -> None:
    with site.scope() as scope:
        rotate_key(scope, key_id)


def list_objects(site: Site, key_id: KeyId | None = None, region_id: RegionId = NEAR) -> dict[str, bytes]:
    """Every object of a repository, by its name."""
    folder = Path(site.installation.repositories.locate(site.account_id, region_id, key_id))
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "lock" not in path.name
    }


def list_stored(site: Site, key_id: KeyId | None = None, region_id: RegionId = NEAR) -> list[SnapshotId]:
    repository = site.installation.repositories.find(site.account_id, region_id, key_id)
    return repository.list_snapshots() if repository is not None else []
