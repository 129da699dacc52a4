"""Images of a site: made, shared, and looked at."""

from collections.abc import Sequence

from lamina.control.disks.states import DiskRole
from lamina.control.images.add import ImageFacts
from lamina.control.images.create import NewImage, create_image
from lamina.control.images.delete import delete_image
from lamina.control.images.listing import ImageFilter, list_images
from lamina.control.images.queries import list_image_disks
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.images.share import share_image
from lamina.control.images.viewing import ImageView
from lamina.control.paging import Slice
from lamina.ids import AccountId, ImageId, SnapshotId
from tests.factories.installation import Site


def start_image(site: Site, *, name: str | None = None, **options) -> ImageId:
    """An image whose task has not run yet; facts that `ImageFacts` knows may be among the options."""
    facts = {key: options.pop(key) for key in list(options) if key in ImageFacts.__dataclass_fields__}
    with site.scope() as scope:
        return create_image(scope, NewImage(facts=ImageFacts(name=name, **facts), **options)).id


def make_image(site: Site, **options) -> ImageId:
    image_id = start_image(site, **options)
    site.work()
    return image_id


def make_system_snapshot(site: Site, content: bytes = b"system", **options) -> SnapshotId:
    """A snapshot of a new system disk of 1 GiB."""
    return site.make_snapshot(site.make_imported(content, role=DiskRole.SYSTEM), **options)


def remove_image(site: Site, image_id: ImageId, *, force: bool = False) -> None:
    with site.scope() as scope:
        delete_image(scope, image_id, force=force)


def share(
    site: Site, image_id: ImageId, *, add: Sequence[AccountId] = (), remove: Sequence[AccountId] = ()
) -> None:
    with site.scope() as scope:
        share_image(scope, image_id, add=add, remove=remove)


def find_image(site: Site, image_id: ImageId) -> ImageRecord | None:
    """The row, whatever its state."""
    with site.installation.database.reading() as session:
        return session.get(ImageRecord, image_id)


def list_disks_of_image(site: Site, image_id: ImageId) -> list[ImageDiskRecord]:
    """Its disks, the system disk first."""
    with site.installation.database.reading() as session:
        return list(list_image_disks(session, image_id))


def view(site: Site, image_id: ImageId) -> ImageView | None:
    """The image as the site's account sees it, in any state."""
    found = look(site, image_ids=[image_id])
    return found[0] if found else None


def look(site: Site, **wanted) -> list[ImageView]:
    """The images that the site's account sees, newest first."""
    with site.scope() as scope:
        return list(list_images(scope, ImageFilter(**wanted), Slice(limit=100)).items)
