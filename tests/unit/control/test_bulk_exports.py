"""Bulk exports: what becomes of each item, how many at once, what is left behind, and what is refused."""

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from lamina.control.accounts.records import AccountRecord
from lamina.control.accounts.states import AccountStanding
from lamina.control.buckets.errors import BucketNotFoundError
from lamina.control.bulk_exports.cancel import cancel_bulk_export
from lamina.control.bulk_exports.errors import (
    BulkConcurrencyError,
    BulkExportEndedError,
    BulkExportNotFoundError,
    BulkExportQuotaError,
    BulkItemQuotaError,
    BulkSourceMissingError,
)
from lamina.control.bulk_exports.queries import (
    list_bulk_exports,
    measure_all,
    view_items,
)
from lamina.control.bulk_exports.records import BulkExportRecord, BulkItemRecord
from lamina.control.bulk_exports.states import BulkState, ItemState
from lamina.control.disks.states import DiskRole
from lamina.control.images.errors import ImageNotFoundError, NotSystemSnapshotError
from lamina.control.images.file_errors import ForeignImageError
from lamina.control.images.queries import BUILT_IN_ID
from lamina.control.images.records import ImageRecord
from lamina.control.instances.errors import InstanceNotFoundError
from lamina.control.paging import Slice
from lamina.control.reconcilers import forget_old_rows
from lamina.control.scope import Limits
from lamina.control.shown_tasks.cancel import cancel_task
from lamina.control.snapshots.errors import SnapshotNotFoundError
from lamina.control.snapshots.records import SnapshotRecord
from lamina.units import KIB
from tests.factories.bulk_exports import (
    drive,
    finish_bulk,
    read_bulk,
    read_items,
    read_states,
    start_bulk,
)
from tests.factories.image_files import (
    BUCKET,
    find_service,
    list_objects,
    make_bucket,
    make_image,
    start_export,
)
from tests.factories.images import make_system_snapshot, remove_image, share
from tests.factories.installation import open_site
from tests.factories.instances import data_disk, list_disks_of, make_instance

CONTENT = bytes(range(1, 129)) * KIB


@pytest.fixture
def site(tmp_path):
    limits = Limits(concurrent_exports=2, bulk_exports=2, bulk_export_items=4, bulk_export_concurrency=3)
    with open_site(tmp_path, limits=limits) as opened:
        make_bucket(opened)
        yield opened


def count(site, record):
    with site.installation.database.reading() as session:
        query = select(record.id).where(record.account_id == site.account_id)
        return len(session.scalars(query).all())


def refuse(site, error, **options):
    with pytest.raises(error):
        start_bulk(site, **options)
    assert count(site, BulkExportRecord) == 0


def test_instances_snapshots_and_images_are_exported(site):
    instance = make_instance(site, data_disk(), is_running=True)
    snapshot, image = make_system_snapshot(site, CONTENT), make_image(site, CONTENT)
    sources = {"instance_ids": [instance], "snapshot_ids": [snapshot], "image_ids": [image]}
    bulk_id = start_bulk(site, **sources, prefix="all")
    bulk = finish_bulk(site, bulk_id)
    assert (bulk.state, bulk.finished_at) == (BulkState.FINISHED, site.clock.now())
    items = read_items(site, bulk_id)
    assert {item.state for item in items} == {ItemState.FINISHED}
    assert items[2].image_id == image
    assert [len(item.objects) for item in items] == [2, 1, 1]
    told = {each.key: each.size_bytes for item in items for each in item.objects}
    assert told == list_objects(site)
    assert all(key.startswith("all_m-") for key in told)
    assert all(each.etag for item in items for each in item.objects)
    with find_service(site).reading(BUCKET, items[1].objects[0].key) as stream:
        assert stream.read(len(CONTENT)) == CONTENT
    assert count(site, ImageRecord) == 3


def test_a_source_that_is_named_twice_is_exported_once(site):
    snapshot = make_system_snapshot(site)
    bulk_id = start_bulk(site, snapshot_ids=[snapshot, snapshot])
    finish_bulk(site, bulk_id)
    assert len(read_items(site, bulk_id)) == len(list_objects(site)) == 1


def test_what_only_the_operator_should_know_is_not_told_with_an_item(site):
    instance = make_instance(site, is_running=True)
    [disk] = list_disks_of(site, instance)
    shutil.rmtree(site.installation.volumes.raw_path(disk.id).parent)
    bulk_id = start_bulk(site, instance_ids=[instance])
    finish_bulk(site, bulk_id)
    [failed] = read_items(site, bulk_id)
    assert (failed.state, failed.failure) == (ItemState.FAILED, "an internal failure")
    with site.scope() as scope:
        assert str(site.installation.directory) in scope.session.get(ImageRecord, failed.image_id).failure


def test_a_failed_item_stops_no_other(site):
    running = make_instance(site, is_running=True)
    doomed, snapshot = make_image(site, CONTENT, name="doomed"), make_system_snapshot(site)
    bulk_id = start_bulk(site, instance_ids=[running], image_ids=[doomed], snapshot_ids=[snapshot])
    remove_image(site, doomed)
    finish_bulk(site, bulk_id)
    assert read_states(site, bulk_id) == ["Finished", "Finished", "Failed"]
    failed = read_items(site, bulk_id)[2]
    assert doomed in failed.failure
    assert failed.finished_at is not None
    assert len(list_objects(site)) == 2


def test_no_more_items_at_once_than_wanted(site):
    images = [make_image(site, CONTENT, name=f"image{n}") for n in range(3)]
    bulk_id = start_bulk(site, image_ids=images, concurrency=1)
    drive(site)
    assert read_states(site, bulk_id) == ["Exporting", "Waiting", "Waiting"]
    drive(site)
    assert read_states(site, bulk_id) == ["Exporting", "Waiting", "Waiting"]
    site.work()
    drive(site)
    assert read_states(site, bulk_id) == ["Finished", "Exporting", "Waiting"]
    finish_bulk(site, bulk_id)


def test_e35a_items_wait_while_too_many_images_are_exported(site):
    images = [make_image(site, CONTENT, name=f"image{n}") for n in range(3)]
    other = make_image(site, CONTENT, name="other")
    start_export(site, other)
    bulk_id = start_bulk(site, image_ids=images, concurrency=3)
    drive(site)
    assert read_states(site, bulk_id) == ["Exporting", "Ready", "Ready"]
    site.work()
    drive(site)
    assert read_states(site, bulk_id) == ["Finished", "Exporting", "Exporting"]
    finish_bulk(site, bulk_id)
    assert len(list_objects(site)) == 4


def test_an_item_waits_for_a_snapshot_of_its_disk_that_somebody_else_takes(site):
    instance = make_instance(site, is_running=True)
    site.start_snapshot(list_disks_of(site, instance)[0].id)
    bulk_id = start_bulk(site, instance_ids=[instance])
    drive(site)
    assert read_states(site, bulk_id) == ["Waiting"]
    finish_bulk(site, bulk_id)
    assert read_states(site, bulk_id) == ["Finished"]


def test_images_go_when_they_are_exported_with_what_was_taken_for_them(site):
    instance = make_instance(site, is_running=True)
    snapshot, image = make_system_snapshot(site, CONTENT), make_image(site, CONTENT)
    before = count(site, SnapshotRecord)
    bulk_id = start_bulk(
        site, instance_ids=[instance], snapshot_ids=[snapshot], image_ids=[image], deletes_images=True
    )
    finish_bulk(site, bulk_id)
    site.work()
    assert read_states(site, bulk_id) == ["Finished"] * 3
    assert len(list_objects(site)) == 3
    assert count(site, ImageRecord) == 1
    assert count(site, SnapshotRecord) == before
    assert [item.note for item in read_items(site, bulk_id)] == [None] * 3


def test_an_image_that_somebody_needs_stays_and_that_is_noted(site):
    snapshot = make_system_snapshot(site, CONTENT)
    bulk_id = start_bulk(site, snapshot_ids=[snapshot], deletes_images=True)
    drive(site)
    (item,) = read_items(site, bulk_id)
    share(site, item.image_id, add=[site.as_another_account().account_id])
    finish_bulk(site, bulk_id)
    (item,) = read_items(site, bulk_id)
    assert item.state is ItemState.FINISHED
    assert "unshare" in item.note
    assert count(site, ImageRecord) == 1


def test_room_for_images_comes_back_from_those_that_go(tmp_path):
    with open_site(tmp_path, limits=Limits(images_per_region=1)) as site:
        make_bucket(site)
        snapshots = [make_system_snapshot(site, CONTENT) for _ in range(3)]
        bulk_id = start_bulk(site, snapshot_ids=snapshots, deletes_images=True)
        finish_bulk(site, bulk_id)
        assert read_states(site, bulk_id) == ["Finished"] * 3
        kept = start_bulk(site, snapshot_ids=snapshots)
        finish_bulk(site, kept)
        assert read_states(site, kept) == ["Finished", "Failed", "Failed"]


def test_cancelling_undoes_what_is_under_way_and_keeps_what_is_finished(site):
    instance = make_instance(site, is_running=True)
    images = [make_image(site, CONTENT, name=f"image{n}") for n in range(3)]
    bulk_id = start_bulk(site, image_ids=images[:1], concurrency=1)
    finish_bulk(site, bulk_id)
    second = start_bulk(site, instance_ids=[instance], image_ids=images, concurrency=2)
    before = count(site, ImageRecord), count(site, SnapshotRecord)
    drive(site)
    assert read_states(site, second) == ["CreatingImage", "Exporting", "Waiting", "Waiting"]
    with site.scope() as scope:
        cancel_bulk_export(scope, second)
        with pytest.raises(BulkExportEndedError):
            cancel_bulk_export(scope, second)
    assert read_bulk(site, second).state is BulkState.CANCELLING
    assert finish_bulk(site, second).state is BulkState.CANCELLED
    assert read_states(site, second) == ["Cancelled"] * 4
    site.work()
    assert (count(site, ImageRecord), count(site, SnapshotRecord)) == before
    assert len(list_objects(site)) == 1
    with site.scope() as scope, pytest.raises(BulkExportEndedError):
        cancel_bulk_export(scope, bulk_id)


def test_cancelling_that_comes_too_late_leaves_what_is_finished(site):
    image = make_image(site, CONTENT)
    bulk_id = start_bulk(site, image_ids=[image])
    drive(site)
    site.work()
    with site.scope() as scope:
        cancel_bulk_export(scope, bulk_id)
    assert finish_bulk(site, bulk_id).state is BulkState.FINISHED
    assert read_states(site, bulk_id) == ["Finished"]
    assert len(list_objects(site)) == 1


def test_an_export_that_is_cancelled_by_itself_fails_its_item(site):
    bulk_id = start_bulk(site, image_ids=[make_image(site, CONTENT)])
    drive(site)
    with site.scope() as scope:
        cancel_task(scope, read_items(site, bulk_id)[0].export_task_id)
    assert finish_bulk(site, bulk_id).state is BulkState.FINISHED
    (item,) = read_items(site, bulk_id)
    assert (item.state, item.failure) == (ItemState.FAILED, "cancelled on request")


def test_nothing_is_begun_while_the_account_is_suspended(site):
    bulk_id = start_bulk(site, image_ids=[make_image(site, CONTENT)])
    set_standing(site, AccountStanding.SUSPENDED)
    drive(site)
    assert read_states(site, bulk_id) == ["Waiting"]
    set_standing(site, AccountStanding.NORMAL)
    finish_bulk(site, bulk_id)
    assert read_states(site, bulk_id) == ["Finished"]


def set_standing(site, standing):
    with site.installation.database.transaction() as session:
        session.execute(update(AccountRecord).values(standing=standing))


def test_progress_is_measured(site):
    images = [make_image(site, CONTENT, name=f"image{n}") for n in range(2)]
    bulk_id = start_bulk(site, image_ids=images, concurrency=1)

    def measure():
        bulk = read_bulk(site, bulk_id)
        with site.scope() as scope:
            views = view_items(scope, bulk)
            return [view.progress_percent for view in views], measure_all(views)

    assert measure() == ([0, 0], 0)
    drive(site)
    assert measure() == ([0, 0], 0)
    site.work()
    assert measure() == ([99, 0], 49)
    drive(site)
    assert measure() == ([100, 0], 50)
    finish_bulk(site, bulk_id)
    assert measure() == ([100, 100], 100)


def test_objects_that_are_gone_are_not_reported(site):
    bulk_id = start_bulk(site, image_ids=[make_image(site, CONTENT)])
    drive(site)
    site.work()
    for key in list_objects(site):
        find_service(site).delete(BUCKET, key)
    finish_bulk(site, bulk_id)
    (item,) = read_items(site, bulk_id)
    assert (item.state, item.objects) == (ItemState.FINISHED, ())


def test_what_is_refused_at_once(site):
    foreign = site.as_another_account()
    theirs = make_system_snapshot(foreign)
    mine = make_system_snapshot(site)
    data = site.make_snapshot(site.make_imported(b"x", role=DiskRole.DATA))
    refuse(site, BulkSourceMissingError)
    refuse(site, BulkItemQuotaError, image_ids=["m-1", "m-2", "m-3", "m-4", "m-5"])
    refuse(site, BulkConcurrencyError, snapshot_ids=[mine], concurrency=4)
    refuse(site, BulkConcurrencyError, snapshot_ids=[mine], concurrency=0)
    refuse(site, SnapshotNotFoundError, snapshot_ids=[mine, theirs])
    refuse(site, NotSystemSnapshotError, snapshot_ids=[data])
    refuse(site, InstanceNotFoundError, instance_ids=["i-none"])
    refuse(site, ImageNotFoundError, image_ids=["m-none"])
    refuse(site, ForeignImageError, image_ids=[BUILT_IN_ID])
    refuse(foreign, BucketNotFoundError, snapshot_ids=[theirs])
    for _ in range(2):
        start_bulk(site, snapshot_ids=[mine])
    with pytest.raises(BulkExportQuotaError):
        start_bulk(site, snapshot_ids=[mine])


def test_another_account_sees_none_of_it(site):
    bulk_id = start_bulk(site, snapshot_ids=[make_system_snapshot(site)])
    stranger = site.as_another_account()
    with stranger.scope() as scope:
        with pytest.raises(BulkExportNotFoundError):
            cancel_bulk_export(scope, bulk_id)
        assert list_bulk_exports(scope, Slice(limit=10)).items == ()
    with site.scope() as scope:
        (view,) = list_bulk_exports(scope, Slice(limit=10)).items
        assert (view.bulk.id, view.item_count, view.ended_count) == (bulk_id, 1, 0)
        assert list_bulk_exports(scope, Slice(limit=10), BulkState.FINISHED).items == ()


def test_they_are_forgotten_after_a_month_and_their_objects_stay(site):
    old = start_bulk(site, snapshot_ids=[make_system_snapshot(site)])
    finish_bulk(site, old)
    site.clock.advance(timedelta(days=31))
    new = start_bulk(site, snapshot_ids=[make_system_snapshot(site)])
    forget_old_rows(site.installation)
    with site.installation.database.reading() as session:
        assert session.scalars(select(BulkExportRecord.id)).all() == [new]
        assert session.scalars(select(BulkItemRecord.bulk_export_id)).all() == [new]
    assert len(list_objects(site)) == 1
