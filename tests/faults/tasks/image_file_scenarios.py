"""Scenarios of the tasks that export and import images; raw files, which no other program is needed for."""

from lamina.control.images.exporting import EXPORT_IMAGE
from lamina.control.images.importing import IMPORT_IMAGE
from lamina.control.images.states import ImageState
from lamina.units import KIB
from tests.factories.image_files import (
    BUCKET,
    find_service,
    list_objects,
    list_scratch,
    make_bucket,
    make_image,
    put_object,
    read_image,
    read_image_disks,
    start_export,
    start_import,
)
from tests.factories.installation import Site
from tests.faults.tasks.scenario import Scenario

CONTENT = bytes(range(1, 129)) * KIB
MORE = b"more data" * 30 * KIB


def _prepare_export(site: Site):
    make_bucket(site)
    image_id = make_image(site, CONTENT, MORE)
    return image_id, start_export(site, image_id)


def _is_exported(site: Site, made) -> None:
    image_id, task_id = made
    for name, content in ((f"{image_id}_{task_id}.raw", CONTENT), (f"{image_id}_{task_id}_data_1.raw", MORE)):
        with find_service(site).reading(BUCKET, name) as stream:
            assert stream.read(len(content) + 1) == content + b"\0"
    assert len(list_objects(site)) == 2
    assert list_scratch(site) == []


def _nothing_is_exported(site: Site, made) -> None:
    assert list_objects(site) == {}
    assert list_scratch(site) == []
    assert read_image(site, made[0]).state is ImageState.AVAILABLE


def _prepare_import(site: Site):
    make_bucket(site)
    put_object(site, "system.raw", CONTENT)
    put_object(site, "data.raw", MORE)
    return start_import(site, "system.raw", "data.raw")


def _is_imported(site: Site, image_id) -> None:
    assert read_image(site, image_id).state is ImageState.AVAILABLE
    disks = read_image_disks(site, image_id)
    assert sorted(disk.snapshot_id for disk in disks) == sorted(site.list_stored())
    used = [site.snapshot(disk.snapshot_id).used_bytes for disk in disks]
    assert used == [len(CONTENT), -(-len(MORE) // (64 * KIB)) * 64 * KIB]
    assert list_scratch(site) == []


def _nothing_is_imported(site: Site, image_id) -> None:
    image = read_image(site, image_id)
    assert image.state is ImageState.CREATE_FAILED
    assert image.failure
    assert [disk.snapshot_id for disk in read_image_disks(site, image_id)] == [None, None]
    assert site.list_stored() == []
    assert list_scratch(site) == []
    assert len(list_objects(site)) == 2


SCENARIOS = [
    Scenario(EXPORT_IMAGE, _prepare_export, _is_exported, _nothing_is_exported),
    Scenario(IMPORT_IMAGE, _prepare_import, _is_imported, _nothing_is_imported),
]
