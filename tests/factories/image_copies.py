"""Images of real bytes, and copies of them in a second region."""

from lamina.control.disks.states import DiskRole
from lamina.control.images.add import ImageFacts
from lamina.control.images.copy import NewImageCopy, copy_image
from lamina.control.images.create import NewImage, create_image
from lamina.control.images.plan import DiskOfImage
from lamina.control.images.queries import list_image_disks
from lamina.control.images.records import ImageRecord
from lamina.ids import ImageId, RegionId, SnapshotId
from lamina.transfer.snapshot_source import SnapshotSource
from lamina.units import KIB
from tests.factories.installation import Site
from tests.factories.regions import FAR, NEAR

SYSTEM_BYTES = bytes(range(1, 129)) * KIB  # two blocks
DATA_BYTES = b"more data" * 16 * KIB


def make_image(
    site: Site, *, system: bytes = SYSTEM_BYTES, data: bytes | None = DATA_BYTES, **facts
) -> ImageId:
    """An image of a system disk, a data disk and an empty one; without `data` of a system disk alone."""
    system_id = site.make_snapshot(site.make_imported(system, role=DiskRole.SYSTEM))
    disks = [DiskOfImage(snapshot_id=system_id)]
    if data is not None:
        data_id = site.make_snapshot(site.make_imported(data, name="data"))
        disks += [DiskOfImage(snapshot_id=data_id), DiskOfImage(size_gib=2)]
    return make_image_of(site, disks, **facts)


def make_image_of(site: Site, disks: list[DiskOfImage], **facts) -> ImageId:
    with site.scope() as scope:
        return create_image(scope, NewImage(facts=ImageFacts(**facts), disks=disks)).id


def start_copy(
    site: Site, image_id: ImageId, *, to: RegionId = FAR, of: RegionId = NEAR, **options
) -> ImageId:
    with site.scope(region_id=of) as scope:
        return copy_image(scope, NewImageCopy(image_id=image_id, region_id=to, **options)).id


def find_image(site: Site, image_id: ImageId) -> ImageRecord | None:
    with site.installation.database.reading() as session:
        return session.get(ImageRecord, image_id)


def list_snapshots(site: Site, image_id: ImageId) -> list[SnapshotId | None]:
    """The snapshots of an image's disks, that of the system disk first."""
    with site.installation.database.reading() as session:
        return [disk.snapshot_id for disk in list_image_disks(session, image_id)]


def list_far(site: Site) -> list[SnapshotId]:
    """What the repository of the far region has."""
    repository = site.installation.repositories.find(site.account_id, FAR)
    return [] if repository is None else repository.list_snapshots()


def read_snapshot(site: Site, snapshot_id: SnapshotId, length: int, *, region_id: RegionId = FAR) -> bytes:
    """The first bytes of a snapshot, from its repository."""
    repository = site.installation.repositories.find(site.account_id, region_id)
    buffer = bytearray(length)
    with SnapshotSource(repository, snapshot_id) as source:
        source.read_into(0, [buffer])
    return bytes(buffer)
