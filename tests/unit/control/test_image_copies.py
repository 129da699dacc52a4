"""Copies of images, in another region and in their own (row B40)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from lamina.control.disks.states import DiskRole
from lamina.control.images.built_in import ensure_built_in_image
from lamina.control.images.cancel_copy import cancel_copy
from lamina.control.images.copy_errors import (
    BuiltInCopyError,
    CommunityImageError,
    CopyEndedError,
    DestinationRegionError,
    NotCopiedError,
    SharedImageRegionError,
)
from lamina.control.images.copying import COPY_IMAGE
from lamina.control.images.delete import delete_image
from lamina.control.images.errors import (
    ImageCopyingError,
    ImageNameTakenError,
    ImageNotFoundError,
    ImageStateError,
)
from lamina.control.images.plan import DiskOfImage
from lamina.control.images.publish import set_public
from lamina.control.images.queries import BUILT_IN_ID, list_image_disks
from lamina.control.images.records import ImageRecord
from lamina.control.images.restart_copies import restart_image_copies
from lamina.control.images.share import share_image
from lamina.control.images.states import ImageState
from lamina.control.kinds import KINDS
from lamina.control.recover import recover
from lamina.control.regions.queries import get_region
from lamina.control.scope import Limits
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotHeldByImageError,
    SnapshotQuotaError,
)
from lamina.control.snapshots.records import ChainRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.manifest import CaptureMode
from lamina.ids import RegionId
from lamina.tasks.queue import request_cancel
from lamina.tasks.records import TaskRecord
from lamina.tasks.runner import Runner
from lamina.tasks.states import TaskState
from lamina.tasks.task import COPY, QUICK
from lamina.units import KIB, MIB
from tests.factories.image_copies import (
    DATA_BYTES,
    SYSTEM_BYTES,
    find_image,
    list_far,
    list_snapshots,
    make_image,
    make_image_of,
    read_snapshot,
    start_copy,
)
from tests.factories.installation import open_site
from tests.factories.regions import FAR, NEAR, add_region
from tests.factories.tasks import change_step


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, limits=Limits(manual_snapshots_per_disk=2)) as opened:
        add_region(opened)
        yield opened


def copy(site, image_id, **options):
    copy_id = start_copy(site, image_id, **options)
    site.work()
    assert find_image(site, copy_id).state is ImageState.AVAILABLE
    return copy_id


def cancel(site, image_id, *, region_id=FAR):
    with site.scope(region_id=region_id) as scope:
        cancel_copy(scope, image_id)


def delete_with_snapshots(site, image_id):
    doomed = list_snapshots(site, image_id)
    with site.scope() as scope:
        delete_image(scope, image_id)
    for snapshot_id in filter(None, doomed):
        site.delete(snapshot_id)


def repository(site, region_id=FAR):
    return site.installation.repositories.ensure(site.account_id, region_id)


def list_packs(site, region_id):
    return {info.key for info in repository(site, region_id).store.list("") if "pack" in info.key}


def test_a_copy_has_disks_and_bytes_of_its_own_in_the_other_region(site):
    image_id = make_image(site, name="near", description="d", version="7", platform="Ubuntu", family="f")
    with site.scope() as scope:
        near = list_image_disks(scope.session, image_id)
    copy_id = copy(site, image_id, name="far", description="a copy", tags={"k": "v"})
    made = find_image(site, copy_id)
    assert (made.region_id, made.name, made.description, made.version) == (FAR, "far", "a copy", "7")
    assert (made.platform, made.family) == ("Ubuntu", None)
    assert (made.source_image_id, made.source_region_id) == (image_id, NEAR)
    with site.scope() as scope:
        assert list_tags(scope.session, ResourceType.IMAGE, [copy_id])[copy_id] == {"k": "v"}
        far = list_image_disks(scope.session, copy_id)
    assert [(each.device, each.role, each.size_gib) for each in far] == [
        (each.device, each.role, each.size_gib) for each in near
    ]
    system_id, data_id, empty = list_snapshots(site, copy_id)
    assert empty is None
    assert {system_id, data_id} == set(list_far(site))
    row, original = site.snapshot(data_id), site.snapshot(near[1].snapshot_id)
    assert (row.region_id, row.state, row.disk_id) == (FAR, SnapshotState.ACCOMPLISHED, original.disk_id)
    assert (row.source_snapshot_id, row.incremental_bytes) == (near[1].snapshot_id, row.used_bytes)
    with pytest.raises(SnapshotHeldByImageError):
        site.delete(data_id)
    delete_with_snapshots(site, image_id)
    assert read_snapshot(site, system_id, len(SYSTEM_BYTES)) == SYSTEM_BYTES
    assert read_snapshot(site, data_id, len(DATA_BYTES) + 1) == DATA_BYTES + b"\0"


def test_a_copy_within_the_region_moves_no_data_and_stands_alone(site):
    image_id = make_image(site)
    packs = list_packs(site, NEAR)
    copy_id = copy(site, image_id, to=NEAR)
    assert list_packs(site, NEAR) == packs
    assert find_image(site, copy_id).name == copy_id
    originals, copies = list_snapshots(site, image_id)[:2], list_snapshots(site, copy_id)[:2]
    for original, made in zip(map(site.snapshot, originals), map(site.snapshot, copies), strict=True):
        assert (made.id, made.disk_id) != (original.id, original.disk_id)
        assert (made.used_bytes, made.stored_bytes) == (original.used_bytes, 0)
        assert made.incremental_bytes == original.used_bytes  # a chain of its own begins with it
        with site.scope() as scope:
            chains = [
                scope.session.get(ChainRecord, (each.disk_id, NEAR)).snapshot_count
                for each in (original, made)
            ]
        assert chains == [1, 1]
    delete_with_snapshots(site, image_id)
    sweep(repository(site, NEAR))
    assert read_snapshot(site, copies[1], len(DATA_BYTES), region_id=NEAR) == DATA_BYTES


def test_the_next_version_is_copied_as_a_difference_and_the_same_one_not_at_all(tmp_path):
    with open_site(tmp_path) as site:
        add_region(site)
        content = bytes(range(256)) * 256 * 64  # 4 MiB
        disk_id = site.make_imported(content, role=DiskRole.SYSTEM)
        first = make_image_of(site, [DiskOfImage(snapshot_id=site.make_snapshot(disk_id))])
        [far_first, *_] = list_snapshots(site, copy(site, first))
        site.clock.advance(timedelta(hours=1))
        changed = b"changed!" * 8 * KIB
        site.write(disk_id, 64 * KIB, changed)
        second = make_image_of(site, [DiskOfImage(snapshot_id=site.make_snapshot(disk_id))])
        [far_second] = list_snapshots(site, copy(site, second))
        manifest = repository(site).read_manifest(far_second)
        assert (manifest.mode, manifest.parent, manifest.changed_bytes) == (
            CaptureMode.HINT,
            far_first,
            64 * KIB,
        )
        assert manifest.stored_bytes < MIB
        packs = list_packs(site, FAR)
        [again] = list_snapshots(site, copy(site, second))
        manifest = repository(site).read_manifest(again)
        assert (manifest.parent, manifest.changed_bytes, manifest.stored_bytes) == (far_second, 0, 0)
        assert list_packs(site, FAR) == packs
        expected = content[: 64 * KIB] + changed + content[128 * KIB :]
        assert read_snapshot(site, far_second, len(content)) == expected
        assert read_snapshot(site, again, len(content)) == expected


def test_a_region_gets_one_copy_of_an_account_at_a_time(site):
    image_id = make_image(site, data=None)
    first, second = start_copy(site, image_id), start_copy(site, image_id, name="second")
    elsewhere = start_copy(site, image_id, to=NEAR)
    assert [find_image(site, each).state for each in (first, second, elsewhere)] == [ImageState.WAITING] * 3
    assert find_image(site, first).task_id is not None
    assert find_image(site, elsewhere).task_id is not None
    assert (find_image(site, second).task_id, list_snapshots(site, second)) == (None, [None])
    seen = []

    def look(function):
        def run(plant, task, context):
            seen.append((task.image_id, find_image(site, first).state, find_image(site, second).state))
            function(plant, task, context)

        return run

    _work(site, change_step(COPY_IMAGE, 1, run=look))
    assert {each for each in seen if each[0] != elsewhere} == {
        (first, ImageState.CREATING, ImageState.WAITING),
        (second, ImageState.AVAILABLE, ImageState.CREATING),
    }
    assert find_image(site, second).state is ImageState.AVAILABLE


def _work(site, changed):
    kinds = [changed if kind.name == changed.name else kind for kind in KINDS]
    runner = Runner(site.installation.database, site.clock, site.installation, kinds, {QUICK: 1, COPY: 1})
    runner.run_until_idle()


def test_a_waiting_copy_is_cancelled_at_once_and_one_under_way_by_its_task(site):
    image_id = make_image(site)
    first, second = start_copy(site, image_id), start_copy(site, image_id)
    cancel(site, second)
    assert find_image(site, second) is None
    half_made = list_snapshots(site, first)[:2]
    cancel(site, first)
    cancel(site, first)
    third = start_copy(site, image_id)
    assert find_image(site, third).task_id is None
    site.work()
    assert find_image(site, first) is None
    assert [site.snapshot(each) for each in half_made] == [None, None]
    assert find_image(site, third).state is ImageState.AVAILABLE
    assert set(list_far(site)) == set(list_snapshots(site, third)[:2])


@pytest.mark.parametrize("index", [0, 1])
def test_whenever_it_is_cancelled_nothing_is_left_in_the_store(site, index):
    copy_id = start_copy(site, make_image(site))
    task_id = find_image(site, copy_id).task_id

    def then_cancel(function):
        def run(plant, task, context):
            function(plant, task, context)
            with site.installation.database.transaction() as session:
                request_cancel(session, task_id)

        return run

    _work(site, change_step(COPY_IMAGE, index, run=then_cancel))
    assert find_image(site, copy_id) is None
    with site.installation.database.reading() as session:
        assert session.query(SnapshotRecord).filter_by(region_id=FAR).count() == 0
    for _ in range(3):
        sweep(repository(site))
    assert list_packs(site, FAR) == set()


def test_what_cannot_be_copied_fails_and_leaves_nothing(site):
    image_id = make_image(site)
    whole = make_image(site, data=None)
    copy_id, next_id = start_copy(site, image_id), start_copy(site, whole)
    data_id = list_snapshots(site, image_id)[1]
    site.installation.repositories.find(site.account_id, NEAR).delete_snapshot(data_id)
    site.work()
    failed = find_image(site, copy_id)
    assert failed.state is ImageState.CREATE_FAILED
    assert data_id in failed.failure
    assert list_snapshots(site, copy_id) == [None, None, None]
    assert find_image(site, next_id).state is ImageState.AVAILABLE
    assert list_far(site) == list_snapshots(site, next_id)
    with site.scope(region_id=FAR) as scope:
        delete_image(scope, copy_id)


def test_a_copy_whose_task_is_gone_is_ended_and_the_next_one_starts(site):
    image_id = make_image(site, data=None)
    first, second = start_copy(site, image_id), start_copy(site, image_id)
    with site.installation.database.transaction() as session:
        session.execute(update(TaskRecord).where(TaskRecord.key == first).values(state=TaskState.FAILED))
    restart_image_copies(site.installation)
    assert find_image(site, first).state is ImageState.CREATE_FAILED
    site.work()
    assert find_image(site, second).state is ImageState.AVAILABLE
    assert list_far(site) == list_snapshots(site, second)
    restart_image_copies(site.installation)
    assert find_image(site, second).state is ImageState.AVAILABLE


def test_a_waiting_copy_that_nobody_started_is_started(site):
    image_id = make_image(site, data=None)
    first, second = start_copy(site, image_id), start_copy(site, image_id)
    with site.installation.database.transaction() as session:
        session.delete(session.query(TaskRecord).filter_by(key=first).one())
        session.execute(update(ImageRecord).where(ImageRecord.id == first).values(state=ImageState.AVAILABLE))
    restart_image_copies(site.installation)
    site.work()
    assert find_image(site, second).state is ImageState.AVAILABLE


def test_a_shared_image_is_copied_within_its_region_only_and_tells_nothing_of_its_owner(site):
    image_id = make_image(site)
    other = site.as_another_account()
    with pytest.raises(ImageNotFoundError):
        start_copy(other, image_id, to=NEAR)
    with site.scope() as scope:
        share_image(scope, image_id, add=[other.account_id])
    with pytest.raises(SharedImageRegionError):
        start_copy(other, image_id)
    copy_id = start_copy(other, image_id, to=NEAR)
    with site.scope() as scope:
        share_image(scope, image_id, remove=[other.account_id])
    with pytest.raises(ImageCopyingError), site.scope() as scope:
        delete_image(scope, image_id)
    site.work()
    system_id, data_id, _ = list_snapshots(site, copy_id)
    for snapshot_id, content in ((system_id, SYSTEM_BYTES), (data_id, DATA_BYTES)):
        made = site.snapshot(snapshot_id)
        assert (made.account_id, made.source_snapshot_id, made.disk_name) == (other.account_id, None, None)
        assert read_snapshot(other, snapshot_id, len(content), region_id=NEAR) == content
    delete_with_snapshots(site, image_id)
    copy(other, copy_id)


def test_a_copy_that_waits_for_its_turn_is_not_made_of_an_image_that_is_unshared_meanwhile(site):
    other = site.as_another_account()
    first_id, image_id = make_image(site, data=None), make_image(site, data=None)
    with site.scope() as scope:
        share_image(scope, first_id, add=[other.account_id])
        share_image(scope, image_id, add=[other.account_id])
    begun, waiting = start_copy(other, first_id, to=NEAR), start_copy(other, image_id, to=NEAR)
    with site.scope() as scope:
        share_image(scope, first_id, remove=[other.account_id])
        share_image(scope, image_id, remove=[other.account_id])
    site.work()
    assert find_image(site, begun).state is ImageState.AVAILABLE
    failed = find_image(site, waiting)
    assert (failed.state, list_snapshots(site, waiting)) == (ImageState.CREATE_FAILED, [None])
    assert "taken away" in failed.failure
    delete_with_snapshots(site, image_id)


def test_a_public_image_is_copied_by_its_owner_only_and_a_built_in_one_by_nobody(site):
    image_id = make_image(site, data=None)
    with site.installation.database.transaction() as session:
        set_public(session, image_id, is_public=True)
        ensure_built_in_image(session, site.clock, get_region(session, NEAR))
    with pytest.raises(CommunityImageError):
        start_copy(site.as_another_account(), image_id, to=NEAR)
    with pytest.raises(BuiltInCopyError):
        start_copy(site, BUILT_IN_ID)
    copy(site, image_id)


def test_what_is_refused(site):
    image_id = make_image(site, name="name", data=None)
    with pytest.raises(DestinationRegionError):
        start_copy(site, image_id, to=RegionId("no-where"))
    with pytest.raises(ImageNotFoundError):
        start_copy(site, image_id, of=FAR)
    with pytest.raises(ImageNameTakenError):
        start_copy(site, image_id, to=NEAR, name="name")
    with pytest.raises(NotCopiedError):
        cancel(site, image_id, region_id=NEAR)
    copy_id = start_copy(site, image_id, name="name")
    with pytest.raises(ImageStateError):
        start_copy(site, copy_id, of=FAR, to=NEAR)
    with pytest.raises(ImageCopyingError), site.scope() as scope:
        delete_image(scope, image_id)
    with pytest.raises(ImageCopyingError), site.scope(region_id=FAR) as scope:
        delete_image(scope, copy_id)
    with pytest.raises(ImageNotFoundError):
        cancel(site, copy_id, region_id=NEAR)
    with pytest.raises(ImageNotFoundError):
        cancel(site.as_another_account(), copy_id)
    site.work()
    with pytest.raises(CopyEndedError):
        cancel(site, copy_id)
    copy(site, image_id)
    with pytest.raises(SnapshotQuotaError):
        start_copy(site, image_id)
    copy(site, image_id, to=NEAR)


def test_an_image_without_its_data_is_refused_and_a_sharer_is_told_no_snapshot(site):
    image_id = make_image(site, data=None)
    other = site.as_another_account()
    [snapshot_id] = list_snapshots(site, image_id)
    with site.scope() as scope:
        share_image(scope, image_id, add=[other.account_id])
        scope.session.get(SnapshotRecord, snapshot_id).is_data_missing = True
    with pytest.raises(SnapshotDataMissingError, match=snapshot_id):
        start_copy(site, image_id)
    with pytest.raises(ImageStateError) as refused:
        start_copy(other, image_id, to=NEAR)
    assert snapshot_id not in str(refused.value)


def test_snapshots_of_copies_come_back_without_the_database(tmp_path):
    with open_site(tmp_path) as site:
        add_region(site)
        image_id = make_image(site)
        copies = [
            each
            for copy_id in (copy(site, image_id), copy(site, image_id, to=NEAR))
            for each in list_snapshots(site, copy_id)[:2]
        ]
        before = {each: site.snapshot(each) for each in copies}
    second = tmp_path / "second" / "data"
    second.mkdir(parents=True)
    for name in ("root.key", "store"):
        (tmp_path / "data" / name).rename(second / name)
    with open_site(second.parent) as site:
        add_region(site)
        recover(site.installation)
        for snapshot_id, row in before.items():
            found = site.snapshot(snapshot_id)
            assert (found.disk_id, found.region_id, found.source_snapshot_id, found.description) == (
                row.disk_id,
                row.region_id,
                row.source_snapshot_id,
                row.description,
            )
        owner = replace(site, account_id=found.account_id)
        again = make_image_of(owner, [DiskOfImage(snapshot_id=copies[2]), DiskOfImage(snapshot_id=copies[3])])
        copy(owner, again)
