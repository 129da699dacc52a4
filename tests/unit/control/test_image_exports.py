"""Exporting images to a bucket: who may, what is refused, what becomes of it when something is in the way."""

from functools import partial

import pytest

from lamina.control.buckets.create import create_bucket
from lamina.control.buckets.delete import delete_bucket
from lamina.control.buckets.errors import BucketNotFoundError
from lamina.control.disks.states import DiskRole
from lamina.control.images import exporting, scratch
from lamina.control.images.add import ImageFacts
from lamina.control.images.create import NewImage, create_image
from lamina.control.images.delete import delete_image
from lamina.control.images.errors import ImageExportingError, ImageNotFoundError, ImageStateError
from lamina.control.images.file_errors import ExportQuotaError, ExportSizeError, ForeignImageError
from lamina.control.images.plan import DiskOfImage
from lamina.control.images.queries import BUILT_IN_ID
from lamina.control.images.records import ImageRecord
from lamina.control.images.scratch import forget_leftover_scratch
from lamina.control.images.states import ImageState
from lamina.control.paging import Slice
from lamina.control.regions.records import RegionRecord
from lamina.control.scope import Limits
from lamina.control.shown_tasks.cancel import cancel_task
from lamina.control.shown_tasks.queries import TaskFilter, get_task, list_tasks
from lamina.control.shown_tasks.states import TaskAction, TaskStatus
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import TaskState
from lamina.units import GIB, KIB
from tests.factories.image_files import (
    BUCKET,
    find_service,
    list_objects,
    list_scratch,
    make_bucket,
    make_image,
    put_object,
    read_image,
    read_task,
    start_export,
)
from tests.factories.installation import open_site

CONTENT = bytes(range(1, 129)) * 2 * KIB
MORE = b"more data" * 30 * KIB


@pytest.fixture
def site(tmp_path):
    limits = Limits(export_data_disks=1, export_data_disk_gib=2, concurrent_exports=2)
    with open_site(tmp_path, limits=limits) as opened:
        yield opened


def test_a_raw_export_is_one_sparse_object_per_disk_named_by_task(site, tmp_path):
    make_bucket(site)
    image = make_image(site, CONTENT, MORE)
    task_id = start_export(site, image, prefix="backup1")
    assert list_objects(site) == {}
    site.work()
    base = f"backup1_{image}_{task_id}"
    assert list_objects(site) == {f"{base}.raw": GIB, f"{base}_data_1.raw": GIB}
    for key, content in ((f"{base}.raw", CONTENT), (f"{base}_data_1.raw", MORE)):
        with find_service(site).reading(BUCKET, key) as stream:
            assert stream.read(len(content)) == content
        (path,) = (site.installation.directory / "buckets").rglob(key)
        assert path.stat().st_blocks * 512 < 2 << 20
    assert list_scratch(site) == []


def test_an_export_without_a_prefix_begins_with_the_image(site):
    make_bucket(site)
    image = make_image(site, CONTENT)
    task_id = start_export(site, image)
    site.work()
    assert list(list_objects(site)) == [f"{image}_{task_id}.raw"]


def test_an_empty_data_disk_is_exported_as_an_empty_disk(site, tmp_path):
    make_bucket(site)
    snapshot = site.make_snapshot(site.make_imported(CONTENT, role=DiskRole.SYSTEM))
    with site.scope() as scope:
        disks = [DiskOfImage(snapshot_id=snapshot), DiskOfImage(size_gib=2)]
        image = create_image(scope, NewImage(facts=ImageFacts(), disks=disks)).id
    task_id = start_export(site, image)
    site.work()
    key = f"{image}_{task_id}_data_1.raw"
    assert list_objects(site)[key] == 2 * GIB


def test_the_task_is_shown_with_measured_progress_and_can_be_cancelled(site):
    make_bucket(site)
    image = make_image(site, CONTENT)
    task_id = start_export(site, image)
    with site.scope() as scope:
        view = get_task(scope, task_id)
        assert (view.shown.action, view.shown.resource_id) == (TaskAction.EXPORT_IMAGE, image)
        assert (view.status, view.can_be_cancelled) == (TaskStatus.PROCESSING, True)
        cancel_task(scope, task_id)
    site.work()
    with site.scope() as scope:
        assert get_task(scope, task_id).status is TaskStatus.FAILED
        assert list_tasks(scope, TaskFilter(resource_ids=[image]), Slice(limit=5)).total_count == 1
    assert list_objects(site) == {}
    again = start_export(site, image)
    site.work()
    with site.scope() as scope:
        assert (get_task(scope, again).status, get_task(scope, again).progress_percent) == (
            TaskStatus.FINISHED,
            100,
        )
    assert read_image(site, image).export_task_id == again


def test_every_disk_is_a_part_of_the_task_with_its_file(site):
    make_bucket(site)
    image = make_image(site, CONTENT, MORE)
    task_id = start_export(site, image, "qcow2")
    with site.scope() as scope:
        before = get_task(scope, task_id)
        task = scope.session.get(TaskRecord, task_id)
        task.progress_done, task.progress_known = 1500, 2000
        halfway = get_task(scope, task_id)
        task.is_undoing = True
        undoing = get_task(scope, task_id)
        task.progress_done, task.progress_known, task.is_undoing = 0, 0, False
    site.work()
    with site.scope() as scope:
        after = get_task(scope, task_id)
    assert [file.key for file in after.files] == sorted(list_objects(site), key=len)
    assert {(file.bucket, file.format) for file in after.files} == {(BUCKET, "qcow2")}
    assert before.files == after.files
    assert [view.files_done for view in (before, halfway, undoing, after)] == [0, 1, 0, 2]


def test_an_image_is_exported_once_at_a_time_and_not_deleted_meanwhile(site):
    make_bucket(site)
    image = make_image(site, CONTENT)
    start_export(site, image)
    with pytest.raises(ImageExportingError):
        start_export(site, image)
    with pytest.raises(ImageExportingError), site.scope() as scope:
        delete_image(scope, image)
    site.work()
    start_export(site, image)
    site.work()
    assert len(list_objects(site)) == 2


def test_e35a_an_account_exports_a_few_images_at_a_time(site):
    make_bucket(site)
    images = [make_image(site, CONTENT, name=f"image-{index}") for index in range(3)]
    for image in images[:2]:
        start_export(site, image)
    with pytest.raises(ExportQuotaError, match="2 images"):
        start_export(site, images[2])
    site.work()
    start_export(site, images[2])


def test_what_cannot_be_exported_is_refused_before_anything_begins(site):
    make_bucket(site)
    image = make_image(site, CONTENT)
    with pytest.raises(BucketNotFoundError):
        start_export(site, image, bucket="nobodys")
    with pytest.raises(ImageNotFoundError):
        start_export(site, "m-unknown")
    with pytest.raises(ForeignImageError):
        start_export(site, BUILT_IN_ID)
    with site.scope() as scope:
        scope.session.get(ImageRecord, image).move_to(ImageState.DEPRECATED)
    with pytest.raises(ImageStateError):
        start_export(site, image)
    with site.scope() as scope:
        assert list_tasks(scope, TaskFilter(), Slice(limit=5)).total_count == 0


def test_too_many_and_too_large_data_disks_are_refused(site):
    make_bucket(site)
    with pytest.raises(ExportSizeError, match="2 data disks"):
        start_export(site, make_image(site, CONTENT, MORE, MORE, name="many"))
    large = make_image(site, CONTENT, MORE, size_bytes=3 * GIB, name="large")
    with pytest.raises(ExportSizeError, match="3 GiB"):
        start_export(site, large)


def test_a_vhd_has_a_limit_of_its_own(site):
    make_bucket(site)
    image = make_image(site, CONTENT, size_bytes=2041 * GIB)
    with pytest.raises(ExportSizeError, match="2040"):
        start_export(site, image, "vhd")


def test_another_account_has_neither_the_image_nor_the_bucket(site):
    make_bucket(site)
    image = make_image(site, CONTENT)
    other = site.as_another_account()
    with pytest.raises(ImageNotFoundError):
        start_export(other, image)
    make_bucket(other, "other-files")
    with pytest.raises(BucketNotFoundError):
        start_export(site, image, bucket="other-files")


def test_a_bucket_that_goes_meanwhile_fails_the_task_with_the_reason(site):
    make_bucket(site)
    task_id = start_export(site, make_image(site, CONTENT))
    find_service(site).remove(BUCKET)
    site.work()
    with site.scope() as scope:
        view = get_task(scope, task_id)
    assert view.status is TaskStatus.FAILED
    assert "no bucket my-files" in view.failure.message
    assert (len(view.files), view.files_done) == (1, 0)
    assert list_scratch(site) == []


def test_a_failed_second_disk_takes_the_first_one_with_it(site):
    make_bucket(site)
    image = make_image(site, CONTENT, MORE)
    task_id = start_export(site, image)
    put_object(site, "kept", b"of somebody else")
    # an object can be no folder of another one, so that this name is not free
    put_object(site, f"{image}_{task_id}_data_1.raw/taken", b"x")
    site.work()
    assert read_task(site, task_id).state.value == "failed"
    assert set(list_objects(site)) == {"kept", f"{image}_{task_id}_data_1.raw/taken"}


def test_damaged_data_fail_the_task_and_leave_nothing(site):
    make_bucket(site)
    image = make_image(site, CONTENT)
    task_id = start_export(site, image)
    for pack in (site.installation.directory / "store").rglob("data/**/*"):
        if pack.is_file():
            pack.write_bytes(bytes(pack.stat().st_size))
    site.work()
    with site.scope() as scope:
        view = get_task(scope, task_id)
    assert (view.status, view.failure.kind.value) == (TaskStatus.FAILED, "corruption")
    assert list_objects(site) == {}


def test_scratch_of_tasks_that_ended_is_removed(site):
    make_bucket(site)
    task_id = start_export(site, make_image(site, CONTENT))
    of_buckets = find_service(site).scratch()
    for folder in (
        of_buckets / task_id,
        of_buckets / "t-gone",
        site.installation.directory / "scratch/t-old",
    ):
        (folder / "more").mkdir(parents=True)
    forget_leftover_scratch(site.installation)
    assert list_scratch(site) == [task_id]
    site.work()
    assert list_scratch(site) == []


def test_a_region_whose_buckets_cannot_be_opened_keeps_no_scratch_of_others(site, caplog):
    leftover = site.installation.directory / "scratch/t-gone"
    leftover.mkdir(parents=True)
    with site.scope() as scope:
        scope.session.get(RegionRecord, scope.region_id).buckets = "s3+nowhere"
    forget_leftover_scratch(site.installation)
    assert not leftover.exists()
    assert "a bucket service cannot be opened" in caplog.text


@pytest.mark.parametrize("is_late", [False, True])
def test_an_export_never_goes_into_a_bucket_that_is_another_accounts_by_then(site, monkeypatch, is_late):
    make_bucket(site)
    image = make_image(site, CONTENT)
    task_id = start_export(site, image)
    other = site.as_another_account()

    def hand_the_name_over():
        delete_bucket(site.scope, find_service(site), BUCKET)
        create_bucket(other.scope, find_service(site), BUCKET)

    if is_late:  # when the file has been made, and is about to be put
        monkeypatch.setattr(exporting, "_open", _then(exporting._open, hand_the_name_over))
    else:
        hand_the_name_over()
    site.work()
    assert list_objects(site) == {}
    assert read_task(site, task_id).state is TaskState.FAILED
    with site.scope() as scope:
        assert BUCKET in get_task(scope, task_id).failure.message
    assert list_scratch(site) == []


def test_a_raw_export_stops_when_others_take_the_room_meanwhile(site, monkeypatch):
    make_bucket(site)
    task_id = start_export(site, make_image(site, CONTENT))
    fill = partial(monkeypatch.setattr, scratch, "RESERVE_BYTES", 1 << 60)
    monkeypatch.setattr(exporting, "require_room", _then(exporting.require_room, fill))
    site.work()
    with site.scope() as scope:
        assert "no room to convert" in get_task(scope, task_id).failure.message
    assert (list_objects(site), list_scratch(site)) == ({}, [])


def _then(function, act):
    def run(*arguments):
        found = function(*arguments)
        act()
        return found

    return run
