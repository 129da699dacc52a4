"""Importing images from a bucket: the rows, the refusals, and what is left when something is in the way."""

import pytest

from lamina.blockio.qemu.formats import ImageFormat
from lamina.control.buckets.create import create_bucket
from lamina.control.buckets.delete import delete_bucket
from lamina.control.buckets.errors import ObjectNotFoundError
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.states import DiskRole
from lamina.control.images.add import ImageFacts
from lamina.control.images.delete import delete_image
from lamina.control.images.errors import (
    ImageDeviceError,
    ImageDeviceTakenError,
    ImageDiskCountError,
    ImageImportingError,
    ImageNameTakenError,
    ImageQuotaError,
    ImageSourceMissingError,
)
from lamina.control.images.file_errors import ImportSizeError
from lamina.control.images.import_end import restart_imports
from lamina.control.images.import_image import FileToImport, import_image
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.recover import recover
from lamina.control.scope import Limits
from lamina.control.shown_tasks.cancel import cancel_task
from lamina.control.shown_tasks.queries import get_task
from lamina.control.shown_tasks.states import TaskAction, TaskStatus
from lamina.control.snapshots.compare import compare_with_stores
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.errors import SnapshotHeldByImageError
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.tasks.records import TaskRecord
from lamina.units import GIB, KIB, MIB
from tests.factories.image_files import (
    BUCKET,
    find_service,
    list_scratch,
    make_bucket,
    put_object,
    read_image,
    read_image_disks,
    read_task,
    start_import,
)
from tests.factories.installation import ZONE, open_site

CONTENT = bytes(range(1, 129)) * 2 * KIB + bytes(MIB) + b"the end"
MORE = b"more data" * 30 * KIB
FEW = Limits(images_per_region=2, data_disks_per_instance=2, import_disk_gib=8)


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, limits=FEW) as opened:
        make_bucket(opened)
        yield opened


def read_snapshots(site, image_id):
    return [site.snapshot(disk.snapshot_id) for disk in read_image_disks(site, image_id)]


def count(site, record):
    with site.installation.database.reading() as session:
        return session.query(record).filter_by(account_id=site.account_id).count()


def test_raw_files_become_an_image_with_snapshots_of_its_own(site):
    put_object(site, "system.raw", CONTENT)
    put_object(site, "folder/data", MORE)
    image_id = start_import(site, "system.raw", "folder/data", sizes=[None, 3])
    image = read_image(site, image_id)
    assert (image.state, image.origin) == (ImageState.WAITING, ImageOrigin.IMPORTED)
    assert {each.state for each in read_snapshots(site, image_id)} == {SnapshotState.PROGRESSING}
    site.work()
    image = read_image(site, image_id)
    assert (image.state, image.failure) == (ImageState.AVAILABLE, None)
    system, data = read_image_disks(site, image_id)
    assert (system.device, system.role, system.size_gib) == ("/dev/xvda", DiskRole.SYSTEM, 1)
    assert (data.device, data.role, data.size_gib) == ("/dev/xvdb", DiskRole.DATA, 3)
    assert (data.bucket, data.object_key, data.format) == (BUCKET, "folder/data", "RAW")
    first, second = read_snapshots(site, image_id)
    assert (first.state, first.kind, first.name) == (
        SnapshotState.ACCOMPLISHED,
        SnapshotKind.USER,
        "imported",
    )
    assert (first.disk_size_gib, second.disk_size_gib) == (1, 3)
    assert first.disk_id != second.disk_id
    assert first.used_bytes < len(CONTENT)  # the zeros in its middle are none
    assert list_scratch(site) == []


def test_disks_are_made_of_an_imported_images_snapshots(site):
    put_object(site, "system.raw", CONTENT)
    image_id = start_import(site, "system.raw")
    site.work()
    (snapshot,) = read_snapshots(site, image_id)
    with site.scope() as scope:
        new = NewDisk(zone_id=ZONE, category=DiskCategory.CLOUD_AUTO, snapshot_id=snapshot.id)
        disk_id = create_disk(scope, new).id
    site.work()
    assert site.read(disk_id, 0, len(CONTENT) + 9) == CONTENT + bytes(9)


def test_the_image_holds_its_snapshots_and_they_stay_after_it(site):
    put_object(site, "system.raw", CONTENT)
    image_id = start_import(site, "system.raw")
    (snapshot,) = read_snapshots(site, image_id)
    with pytest.raises(SnapshotHeldByImageError), site.scope() as scope:
        delete_snapshot(scope, snapshot.id, force=True)
    with pytest.raises(ImageImportingError), site.scope() as scope:
        delete_image(scope, image_id)
    site.work()
    with site.scope() as scope:
        delete_image(scope, image_id)
    assert site.snapshot(snapshot.id).state is SnapshotState.ACCOMPLISHED
    site.delete(snapshot.id)
    assert site.list_stored() == []


def test_a_cancelled_import_leaves_nothing(site):
    put_object(site, "system.raw", CONTENT)
    image_id = start_import(site, "system.raw")
    task_id = read_image(site, image_id).task_id
    with site.scope() as scope:
        view = get_task(scope, task_id)
        assert (view.shown.action, view.shown.resource_id) == (TaskAction.IMPORT_IMAGE, image_id)
        cancel_task(scope, task_id)
    site.work()
    assert (count(site, ImageRecord), count(site, SnapshotRecord)) == (0, 0)
    assert (site.list_stored(), list_scratch(site)) == ([], [])
    with site.scope() as scope:
        assert get_task(scope, task_id).status is TaskStatus.FAILED
    start_import(site, "system.raw")  # under the same name
    site.work()


def test_a_failed_import_tells_why_and_keeps_nothing_else(site):
    put_object(site, "system.raw", CONTENT)
    put_object(site, "data.vmdk", b'# Disk DescriptorFile\nRW 1 FLAT "/etc/shadow" 0\n' + bytes(1024))
    image_id = start_import(site, "system.raw", "data.vmdk")
    site.work()
    image = read_image(site, image_id)
    assert image.state is ImageState.CREATE_FAILED
    assert "/dev/xvdb" in image.failure
    assert "hold all of their data" in image.failure
    assert [disk.snapshot_id for disk in read_image_disks(site, image_id)] == [None, None]
    assert count(site, SnapshotRecord) == 0
    assert (site.list_stored(), list_scratch(site)) == ([], [])
    with site.scope() as scope:
        delete_image(scope, image_id)


@pytest.mark.parametrize(
    ("size", "declared", "reason"),
    [
        (GIB + 1, 1, "a disk of 2 GiB, and at most 1 GiB"),
        (9 * GIB, None, "a disk of 9 GiB, and at most 8 GiB"),
    ],
)
def test_a_file_larger_than_was_said_is_refused_unread(site, size, declared, reason):
    put_object(site, "system.raw", b"x")
    (path,) = (site.installation.directory / "buckets").rglob("system.raw")
    with path.open("r+b") as file:
        file.truncate(size)
    image_id = start_import(site, "system.raw", sizes=[declared])
    site.work()
    assert reason in read_image(site, image_id).failure


def test_an_object_that_goes_before_it_is_read_fails_the_import(site):
    put_object(site, "system.raw", CONTENT)
    image_id = start_import(site, "system.raw")
    find_service(site).delete(BUCKET, "system.raw")
    site.work()
    assert "no object system.raw" in read_image(site, image_id).failure


def test_the_format_is_found_once_by_the_name_or_else_by_the_first_bytes(site):
    put_object(site, "system.qcow2", CONTENT)
    put_object(site, "system", b"QFI\xfb" + CONTENT)
    with pytest.raises(ObjectNotFoundError):
        start_import(site, "missing")
    for key in ("system.qcow2", "system"):
        image_id = start_import(site, key, name=key)
        assert read_image_disks(site, image_id)[0].format == "QCOW2"
    site.work()
    assert "version 2 or 3" in read_image(site, image_id).failure


def file(**changes):
    return FileToImport(
        **{"bucket": BUCKET, "key": "x", "format": ImageFormat.RAW, "size_bytes": 1} | changes
    )


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ([], ImageSourceMissingError),
        ([file()] * 4, ImageDiskCountError),
        ([file(device="/dev/xvdb")], ImageDeviceError),
        ([file(), file(device="/dev/xvda")], ImageDeviceTakenError),
        ([file(), file(device="/dev/sdb")], ImageDeviceError),
        ([file(), file(device="/dev/xvdc"), file(device="/dev/xvdc")], ImageDeviceTakenError),
        ([file(size_gib=9)], ImportSizeError),
    ],
)
def test_what_cannot_be_an_image_is_refused(site, files, error):
    with pytest.raises(error), site.scope() as scope:
        import_image(scope, ImageFacts(), files)
    assert count(site, ImageRecord) == 0


def test_names_and_quotas_count_from_the_beginning(site):
    put_object(site, "system.raw", CONTENT)
    start_import(site, "system.raw", name="one")
    with pytest.raises(ImageNameTakenError):
        start_import(site, "system.raw", name="one")
    start_import(site, "system.raw", name="two")
    with pytest.raises(ImageQuotaError):
        start_import(site, "system.raw", name="three")


def test_an_import_without_its_task_fails_and_its_data_go(site):
    put_object(site, "system.raw", CONTENT)
    image_id = start_import(site, "system.raw")
    restart_imports(site.installation)
    assert read_image(site, image_id).state is ImageState.WAITING
    with site.installation.database.transaction() as session:
        session.delete(session.get(TaskRecord, read_image(site, image_id).task_id))
    restart_imports(site.installation)
    assert read_image(site, image_id).state is ImageState.CREATE_FAILED
    site.work()
    assert count(site, SnapshotRecord) == 0


def test_imported_snapshots_come_back_from_the_store_alone(site):
    put_object(site, "system.raw", CONTENT)
    image_id = start_import(site, "system.raw")
    compare_with_stores(site.installation)  # a snapshot that is under way is not taken for a lost one
    site.work()
    (before,) = read_snapshots(site, image_id)
    with site.scope() as scope:
        delete_image(scope, image_id)
        scope.session.delete(scope.session.get(SnapshotRecord, before.id))
    recover(site.installation)
    after = site.snapshot(before.id)
    assert (after.disk_id, after.disk_size_gib, after.disk_role) == (before.disk_id, 1, DiskRole.SYSTEM)
    assert (after.name, after.description) == (before.name, before.description)


def test_the_task_is_found_by_the_image(site):
    put_object(site, "system.raw", CONTENT)
    image_id = start_import(site, "system.raw")
    task = read_task(site, read_image(site, image_id).task_id)
    assert task.key == image_id


def test_an_import_never_reads_a_bucket_that_is_another_accounts_by_then(site):
    put_object(site, "system.raw", CONTENT)
    image_id = start_import(site, "system.raw")
    find_service(site).delete(BUCKET, "system.raw")
    delete_bucket(site.scope, find_service(site), BUCKET)
    create_bucket(site.as_another_account().scope, find_service(site), BUCKET)
    put_object(site, "system.raw", MORE)
    site.work()
    image = read_image(site, image_id)
    assert image.state is ImageState.CREATE_FAILED
    assert BUCKET in image.failure
    assert count(site, SnapshotRecord) == 0
