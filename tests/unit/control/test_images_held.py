"""What images hold, who sees them, and what keeps them from being deleted."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from lamina.control.disks.states import DiskState
from lamina.control.images import errors
from lamina.control.images.compare import compare_images
from lamina.control.images.modify import ImageChange, modify_image
from lamina.control.images.publish import BuiltInImageError, set_public
from lamina.control.images.queries import BUILT_IN_ID, find_usable_image
from lamina.control.images.records import ImageDiskRecord, ImageRecord, ImageShareRecord
from lamina.control.images.share import list_shares
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.images.viewing import Ownership
from lamina.control.paging import Slice
from lamina.control.scope import Limits
from lamina.control.snapshots.errors import SnapshotHeldByDiskError, SnapshotHeldByImageError
from lamina.control.snapshots.expire import expire_snapshots
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.groups.delete import delete_group
from lamina.control.snapshots.queries import SnapshotFilter, list_snapshots
from lamina.control.snapshots.records import HoldRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind, SnapshotUsage
from lamina.control.tags.records import TagRecord
from lamina.ids import AccountId
from tests.factories.images import (
    find_image,
    look,
    make_image,
    make_system_snapshot,
    remove_image,
    share,
    start_image,
    view,
)
from tests.factories.installation import open_site
from tests.factories.instances import list_disks_of, make_instance, order_instance


@pytest.fixture
def snapshot_id(site):
    return make_system_snapshot(site)


@pytest.fixture
def image_id(site, snapshot_id):
    return start_image(site, snapshot_id=snapshot_id, name="golden", tags={"key": "value"})


@pytest.fixture
def other(site):
    return site.as_another_account()


def usage(site, snapshot_id):
    with site.scope() as scope:
        wanted = SnapshotFilter(snapshot_ids=[snapshot_id])
        [found] = list_snapshots(scope, wanted, Slice(limit=1)).items
        return found.usage


def publish(site, image_id, *, is_public=True):
    with site.installation.database.transaction() as session:
        set_public(session, image_id, is_public=is_public)


def count_rows(site):
    with site.installation.database.reading() as session:
        tables = (ImageRecord, ImageDiskRecord, ImageShareRecord, HoldRecord, TagRecord)
        return {table.__tablename__: len(session.scalars(select(table)).all()) for table in tables}


class TestHolds:
    def test_b15_an_image_holds_its_snapshot_against_any_force(self, site, snapshot_id, image_id):
        second = start_image(site, snapshot_id=snapshot_id)
        for force in (False, True):
            with pytest.raises(SnapshotHeldByImageError) as caught:
                site.delete(snapshot_id, force=force)
            assert caught.value.image_ids == tuple(sorted((image_id, second)))
        remove_image(site, image_id)
        with pytest.raises(SnapshotHeldByImageError, match=second):
            site.delete(snapshot_id)
        remove_image(site, second)
        site.delete(snapshot_id)
        assert site.snapshot(snapshot_id) is None

    def test_an_image_comes_before_a_disk(self, site, snapshot_id, image_id):
        assert usage(site, snapshot_id) is SnapshotUsage.IMAGE
        site.make_disk(snapshot_id=snapshot_id)
        assert usage(site, snapshot_id) is SnapshotUsage.IMAGE_DISK
        with pytest.raises(SnapshotHeldByImageError):
            site.delete(snapshot_id)
        remove_image(site, image_id)
        assert usage(site, snapshot_id) is SnapshotUsage.DISK
        with pytest.raises(SnapshotHeldByDiskError):
            site.delete(snapshot_id)

    def test_b22_an_expired_snapshot_that_an_image_uses_stays(self, site, snapshot_id):
        disk_id = site.snapshot(snapshot_id).disk_id
        used = site.make_snapshot(disk_id, retention_days=1, kind=SnapshotKind.AUTO)
        free = site.make_snapshot(disk_id, retention_days=1, kind=SnapshotKind.AUTO)
        image_id = start_image(site, snapshot_id=used)
        site.clock.advance(timedelta(days=2))
        expire_snapshots(site.installation)
        site.work()
        assert (site.snapshot(used) is None, site.snapshot(free) is None) == (False, True)
        remove_image(site, image_id)
        expire_snapshots(site.installation)
        site.work()
        assert site.snapshot(used) is None

    def test_deleting_a_group_keeps_the_member_that_an_image_uses(self, site, snapshot_id):
        disks = (site.snapshot(snapshot_id).disk_id, site.make_imported())
        with site.scope() as scope:
            group_id = create_group(scope, NewGroup(disk_ids=disks)).id
        site.work()
        with site.scope() as scope:
            everything = list_snapshots(scope, SnapshotFilter(disk_id=disks[0]), Slice(limit=9)).items
        [member] = [each.snapshot.id for each in everything if each.snapshot.group_id == group_id]
        start_image(site, snapshot_id=member)
        with site.scope() as scope:
            outcomes = delete_group(scope, group_id)
        assert {each.snapshot_id for each in outcomes if each.refusal} == {member}
        site.work()
        assert site.snapshot(member).group_id is None


class TestDeletion:
    def test_its_snapshots_stay_and_nothing_else_does(self, site, snapshot_id, other):
        before = count_rows(site)
        image_id = start_image(site, snapshot_id=snapshot_id, tags={"key": "value"})
        share(site, image_id, add=[other.account_id])
        share(site, image_id, remove=[other.account_id])
        remove_image(site, image_id)
        assert count_rows(site) == before
        assert site.list_stored() == [snapshot_id]

    def test_b16_instances_keep_it_unless_forced(self, site, image_id):
        instance_id = make_instance(site, image_id=image_id)
        assert view(site, image_id).is_used
        with pytest.raises(errors.ImageInUseError, match=instance_id):
            remove_image(site, image_id)
        remove_image(site, image_id, force=True)
        assert find_image(site, image_id) is None

    def test_not_while_disks_are_made_from_it(self, site, image_id):
        [disk] = list_disks_of(site, order_instance(site, image_id=image_id))
        with pytest.raises(errors.ImageBusyError, match=disk.id):
            remove_image(site, image_id, force=True)
        site.work()
        remove_image(site, image_id, force=True)

    def test_not_while_it_is_created(self, site):
        instance_id = make_instance(site, is_running=True)
        image_id = start_image(site, instance_id=instance_id)
        with pytest.raises(errors.ImageCreatingError):
            remove_image(site, image_id, force=True)
        site.work()
        remove_image(site, image_id)

    @pytest.mark.parametrize(
        ("origin", "error"),
        [(ImageOrigin.COPIED, errors.ImageCopyingError), (ImageOrigin.IMPORTED, errors.ImageImportingError)],
    )
    def test_not_while_it_arrives(self, site, image_id, origin, error):
        with site.installation.database.transaction() as session:
            image = session.get(ImageRecord, image_id)
            image.origin, image.state = origin, ImageState.WAITING
        with pytest.raises(error):
            remove_image(site, image_id, force=True)

    def test_not_while_it_is_copied(self, site, image_id, snapshot_id):
        copy = start_image(site, snapshot_id=snapshot_id)
        with site.installation.database.transaction() as session:
            row = session.get(ImageRecord, copy)
            row.source_image_id, row.state = image_id, ImageState.CREATING
        with pytest.raises(errors.ImageCopyingError):
            remove_image(site, image_id)

    def test_not_while_it_is_exported(self, site, image_id):
        task_id = site.snapshot(site.start_snapshot(site.make_imported())).task_id
        with site.installation.database.transaction() as session:
            session.get(ImageRecord, image_id).export_task_id = task_id
        with pytest.raises(errors.ImageExportingError):
            remove_image(site, image_id)
        site.work()
        remove_image(site, image_id)

    def test_not_while_it_is_shared_or_public(self, site, image_id, other):
        share(site, image_id, add=[other.account_id])
        with pytest.raises(errors.ImageSharedError, match=other.account_id):
            remove_image(site, image_id, force=True)
        share(site, image_id, remove=[other.account_id])
        publish(site, image_id)
        with pytest.raises(errors.ImagePublicError):
            remove_image(site, image_id, force=True)
        publish(site, image_id, is_public=False)
        remove_image(site, image_id)

    def test_only_its_owner_deletes_it(self, site, image_id, other):
        share(site, image_id, add=[other.account_id])
        for each in (image_id, BUILT_IN_ID):
            with pytest.raises(errors.ImageNotFoundError):
                remove_image(other, each, force=True)


class TestSharing:
    def test_b43_the_other_account_sees_the_image_and_nothing_else(self, site, image_id, other):
        assert view(other, image_id) is None
        share(site, image_id, add=[other.account_id, other.account_id])
        seen = view(other, image_id)
        assert (seen.ownership, seen.is_own, seen.is_shared, seen.tags) == (Ownership.OTHERS, False, None, {})
        assert (view(site, image_id).is_shared, view(site, image_id).tags) == (True, {"key": "value"})
        assert [each.image.id for each in look(other, ownership=Ownership.OTHERS)] == [image_id]
        assert look(other, tags={"key": None}) == look(other, ownership=Ownership.SELF) == []
        with other.scope() as scope:
            assert find_usable_image(scope, image_id).id == image_id
            assert list_snapshots(scope, SnapshotFilter(), Slice(limit=9)).total_count == 0
        share(site, image_id, remove=[other.account_id, other.account_id])
        assert view(other, image_id) is None
        assert view(site, image_id).is_shared is False

    def test_the_snapshot_of_a_shared_image_finds_nothing_for_others(
        self, site, image_id, snapshot_id, other
    ):
        share(site, image_id, add=[other.account_id])
        assert [each.image.id for each in look(site, snapshot_id=snapshot_id)] == [image_id]
        assert look(other, snapshot_id=snapshot_id) == []

    def test_whom_it_is_not_shared_with(self, site, image_id, other):
        with pytest.raises(errors.OwnAccountError):
            share(site, image_id, add=[site.account_id])
        with pytest.raises(errors.ShareAccountError):
            share(site, image_id, add=[AccountId("1234567890123456")])
        with pytest.raises(errors.ImageNotFoundError):
            share(other, image_id, add=[site.account_id])
        share(site, image_id, remove=[AccountId("1234567890123456")])  # what is so already
        with site.scope() as scope:
            assert list_shares(scope, image_id, limit=10, offset=0) == ([], 0)

    def test_the_quota_and_pages(self, tmp_path):
        with open_site(tmp_path, limits=Limits(accounts_per_image=2)) as site:
            image_id = start_image(site, snapshot_id=make_system_snapshot(site))
            accounts = [site.as_another_account().account_id for _ in range(3)]
            with pytest.raises(errors.ShareQuotaError):
                share(site, image_id, add=accounts)
            share(site, image_id, add=accounts[:1])
            site.clock.advance(timedelta(minutes=1))
            share(site, image_id, add=accounts[1:2])
            share(site, image_id, add=accounts[2:], remove=accounts[:1])
            with site.scope() as scope:
                page, total = list_shares(scope, image_id, limit=1, offset=1)
            assert (len(page), total) == (1, 2)

    def test_only_an_available_image_is_shared_and_no_shared_one_deprecated(self, site, image_id, other):
        share(site, image_id, add=[other.account_id])
        with site.scope() as scope, pytest.raises(errors.ImageSharedError):
            modify_image(scope, image_id, ImageChange(state=ImageState.DEPRECATED))
        share(site, image_id, remove=[other.account_id])
        with site.scope() as scope:
            modify_image(scope, image_id, ImageChange(state=ImageState.DEPRECATED))
        with pytest.raises(errors.ImageStateError):
            share(site, image_id, add=[other.account_id])

    def test_another_accounts_instance_keeps_nobody_from_deleting(self, site, image_id, other):
        share(site, image_id, add=[other.account_id])
        instance_id = make_instance(other, image_id=image_id)
        assert view(other, image_id).is_used
        assert not view(site, image_id).is_used
        share(site, image_id, remove=[other.account_id])
        remove_image(site, image_id)
        assert list_disks_of(other, instance_id)[0].state is DiskState.IN_USE


class TestData:
    def test_an_image_follows_its_snapshots(self, site, image_id, snapshot_id):
        def look_at(is_missing):
            with site.installation.database.transaction() as session:
                session.get(SnapshotRecord, snapshot_id).is_data_missing = is_missing
            compare_images(site.installation)
            return find_image(site, image_id).state

        assert look_at(is_missing=False) is ImageState.AVAILABLE
        assert look_at(is_missing=True) is ImageState.UNAVAILABLE
        with site.scope() as scope, pytest.raises(errors.ImageStateError):
            find_usable_image(scope, image_id)
        with site.scope() as scope:
            assert find_usable_image(scope, BUILT_IN_ID).state is ImageState.AVAILABLE
        assert look_at(is_missing=True) is ImageState.UNAVAILABLE
        assert look_at(is_missing=False) is ImageState.AVAILABLE


class TestPublic:
    def test_everybody_sees_it(self, site, image_id, other):
        publish(site, image_id)
        seen = view(other, image_id)
        assert (seen.ownership, seen.image.is_public, seen.tags) == (Ownership.SYSTEM, True, {})
        assert view(site, image_id).ownership is Ownership.SELF
        assert {each.image.id for each in look(other, is_public=True)} == {image_id, BUILT_IN_ID}
        publish(site, image_id, is_public=False)
        assert view(other, image_id) is None

    def test_what_cannot_be_published(self, site):
        with pytest.raises(errors.ImageNotFoundError):
            publish(site, "m-none")
        with pytest.raises(BuiltInImageError):
            publish(site, BUILT_IN_ID, is_public=False)
        image_id = start_image(site, instance_id=make_instance(site, is_running=True))
        with pytest.raises(errors.ImageStateError):
            publish(site, image_id)
        assert make_image(site, instance_id=make_instance(site, is_running=True))
