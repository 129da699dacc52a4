"""Images: what they are made of, what their names and families may be, what lists show of them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.errors import DiskCategoryError, DiskNeverUsedError
from lamina.control.disks.states import DiskRole
from lamina.control.images import errors
from lamina.control.images.built_in import ensure_built_in_image
from lamina.control.images.modify import ImageChange, modify_image
from lamina.control.images.plan import DiskOfImage
from lamina.control.images.queries import BUILT_IN_ID, find_newest_of_family, find_usable_image
from lamina.control.images.restart import restart_images
from lamina.control.images.states import Architecture, ImageState, OsType
from lamina.control.images.viewing import Ownership
from lamina.control.instances.errors import (
    InstanceNotFoundError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.regions.create import NewRegion, create_region
from lamina.control.regions.records import RegionRecord
from lamina.control.scope import Limits
from lamina.control.snapshots.archive import MIN_AGE, archive_snapshot
from lamina.control.snapshots.errors import (
    SnapshotHeldByImageError,
    SnapshotInProgressError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
)
from lamina.control.snapshots.restart import restart_snapshots
from lamina.control.snapshots.states import SnapshotState
from lamina.ids import RegionId, SnapshotId, ZoneId
from lamina.tasks.records import TaskRecord
from lamina.units import KIB
from tests.factories.images import (
    find_image,
    list_disks_of_image,
    look,
    make_image,
    make_system_snapshot,
    start_image,
    view,
)
from tests.factories.installation import open_site
from tests.factories.instances import (
    data_disk,
    detach,
    list_disks_of,
    make_instance,
    put_into,
    release,
    stop,
)

SYSTEM = b"system" * KIB
DATA = b"data" * KIB


@pytest.fixture
def snapshot_id(site):
    return make_system_snapshot(site, SYSTEM)


@pytest.fixture
def instance_id(site):
    """Stopped, with a data disk; both disks have bytes."""
    made = make_instance(site, data_disk(), is_running=True)
    stop(site, made)
    for disk, content in zip(list_disks_of(site, made), (SYSTEM, DATA), strict=True):
        site.write(disk.id, 0, content)
    return made


def refused(site, error, **options):
    with pytest.raises(error) as caught:
        start_image(site, **options)
    return str(caught.value)


class TestOfAnInstance:
    def test_b41_it_takes_a_snapshot_of_every_disk(self, site, instance_id):
        image_id = start_image(site, instance_id=instance_id, name="golden")
        assert find_image(site, image_id).state is ImageState.CREATING
        assert view(site, image_id).progress_percent == 0
        site.work()
        seen = view(site, image_id)
        assert (seen.image.state, seen.image.name, seen.progress_percent) == (
            ImageState.AVAILABLE,
            "golden",
            100,
        )
        disks = list_disks_of(site, instance_id)
        assert [(each.device, each.role, each.size_gib) for each in seen.disks] == [
            ("/dev/xvda", DiskRole.SYSTEM, disks[0].size_gib),
            ("/dev/xvdb", DiskRole.DATA, 1),
        ]
        snapshots = [site.snapshot(each.snapshot_id) for each in seen.disks]
        assert [each.disk_id for each in snapshots] == [disk.id for disk in disks]
        assert {each.state for each in snapshots} == {SnapshotState.ACCOMPLISHED}
        assert len({each.created_at for each in snapshots}) == 1

    def test_it_holds_the_bytes_of_the_disks(self, site, instance_id):
        image_id = make_image(site, instance_id=instance_id)
        for disk, content in zip(list_disks_of_image(site, image_id), (SYSTEM, DATA), strict=True):
            disk_id = site.make_disk(snapshot_id=disk.snapshot_id)
            assert site.read(disk_id, 0, len(content) + 1) == content + b"\0"

    def test_a_running_instance_goes_on(self, site):
        running = make_instance(site, is_running=True)
        image_id = make_image(site, instance_id=running)
        assert find_image(site, image_id).state is ImageState.AVAILABLE

    def test_local_data_disks_are_left_out(self, site, instance_id):
        with site.installation.database.transaction() as session:
            session.merge(list_disks_of(site, instance_id)[1]).category = DiskCategory.LOCAL_SSD_PRO
        image_id = make_image(site, instance_id=instance_id)
        assert [disk.device for disk in list_disks_of_image(site, image_id)] == ["/dev/xvda"]

    def test_a_local_system_disk_is_refused(self, site, instance_id):
        with site.installation.database.transaction() as session:
            session.merge(list_disks_of(site, instance_id)[0]).category = DiskCategory.LOCAL_SSD_PRO
        refused(site, DiskCategoryError, instance_id=instance_id)

    def test_without_a_system_disk_it_is_refused(self, site, instance_id):
        detach(site, list_disks_of(site, instance_id)[0].id, instance_id)
        assert instance_id in refused(site, errors.ImageWithoutSystemDiskError, instance_id=instance_id)

    def test_states_that_refuse(self, site, instance_id):
        put_into(site, instance_id, InstanceState.STARTING)
        refused(site, InstanceStateError, instance_id=instance_id)
        put_into(site, instance_id, InstanceState.STOPPED)
        with site.installation.database.transaction() as session:
            session.get(InstanceRecord, instance_id).is_security_locked = True
        refused(site, InstanceSecurityLockError, instance_id=instance_id)

    def test_an_instance_that_never_ran_has_nothing_on_its_disks(self, site):
        refused(site, DiskNeverUsedError, instance_id=make_instance(site))

    def test_a_snapshot_in_progress_refuses(self, site, instance_id):
        site.start_snapshot(list_disks_of(site, instance_id)[1].id)
        refused(site, SnapshotInProgressError, instance_id=instance_id)

    def test_the_quota_of_snapshots_counts(self, tmp_path):
        with open_site(tmp_path, limits=Limits(manual_snapshots_per_disk=1)) as site:
            made = make_instance(site, is_running=True)
            make_image(site, instance_id=made)
            assert "1 manual" in refused(site, Exception, instance_id=made)

    def test_an_instance_elsewhere_or_of_somebody_else_is_unknown(self, site, instance_id):
        refused(site.as_another_account(), InstanceNotFoundError, instance_id=instance_id)
        with site.installation.database.transaction() as session:
            new = NewRegion(
                id=RegionId("eu-far-1"),
                local_name="Far",
                store="store/far",
                time_zone="UTC",
                zones={ZoneId("eu-far-1-a"): "A"},
            )
            create_region(session, site.clock, new)
            session.get(InstanceRecord, instance_id).region_id = new.id
        refused(site, InstanceNotFoundError, instance_id=instance_id)

    def test_what_is_not_said_is_as_in_the_image_of_the_instance(self, site, snapshot_id):
        base = make_image(site, snapshot_id=snapshot_id, platform="Windows Server 2022", name="base")
        made = make_instance(site, image_id=base, is_running=True)
        copy = find_image(site, make_image(site, instance_id=made))
        assert (copy.platform, copy.os_type) == ("Windows Server 2022", OsType.WINDOWS)
        other = find_image(site, make_image(site, instance_id=made, platform="Debian"))
        assert (other.platform, other.os_type) == ("Debian", OsType.LINUX)

    def test_releasing_the_instance_meanwhile_ends_it(self, site, instance_id):
        image_id = start_image(site, instance_id=instance_id)
        release(site, instance_id, force=True)
        image = find_image(site, image_id)
        assert (image.state, bool(image.failure)) == (ImageState.CREATE_FAILED, True)
        assert site.list_stored() == []
        assert find_image(site, image_id).state is ImageState.CREATE_FAILED

    def test_its_snapshots_cannot_be_deleted_while_it_is_made(self, site, instance_id):
        image_id = start_image(site, instance_id=instance_id)
        [system, _] = list_disks_of_image(site, image_id)
        with pytest.raises(SnapshotHeldByImageError, match=image_id):
            site.delete(system.snapshot_id, force=True)

    def test_a_stranded_image_is_settled_by_its_snapshots(self, site, instance_id):
        image_id = start_image(site, instance_id=instance_id)
        with site.installation.database.transaction() as session:
            session.delete(session.get(TaskRecord, find_image(site, image_id).task_id))
        restart_images(site.installation)
        assert find_image(site, image_id).state is ImageState.CREATING, "its snapshots are settled first"
        restart_snapshots(site.installation)
        restart_images(site.installation)
        assert find_image(site, image_id).state is ImageState.CREATE_FAILED
        failed = [disk.snapshot_id for disk in list_disks_of_image(site, image_id)]
        for each in failed:
            site.delete(each)  # nothing holds them any more
        assert [disk.snapshot_id for disk in list_disks_of_image(site, image_id)] == [None, None]


class TestOfSnapshots:
    def test_of_a_system_disk_it_is_available_at_once(self, site, snapshot_id):
        image_id = start_image(site, snapshot_id=snapshot_id, description="about it", version="7")
        image = find_image(site, image_id)
        assert (image.state, image.name, image.description) == (ImageState.AVAILABLE, image_id, "about it")
        assert (image.platform, image.os_type, image.architecture.value) == (
            "Others Linux",
            OsType.LINUX,
            "x86_64",
        )
        [disk] = list_disks_of_image(site, image_id)
        assert (disk.device, disk.size_gib, disk.snapshot_id) == ("/dev/xvda", 1, snapshot_id)

    def test_of_nothing_it_is_refused(self, site):
        refused(site, errors.ImageSourceMissingError)

    def test_b42_of_a_data_disk_it_is_refused(self, site):
        data = site.make_snapshot(site.make_imported())
        assert data in refused(site, errors.NotSystemSnapshotError, snapshot_id=data)
        one = [DiskOfImage(snapshot_id=data, role=DiskRole.SYSTEM)]
        refused(site, errors.NotSystemSnapshotError, disks=one)

    def test_a_snapshot_must_be_ready_and_ones_own(self, site, snapshot_id):
        started = site.start_snapshot(site.snapshot(snapshot_id).disk_id)
        refused(site, SnapshotNotReadyError, snapshot_id=started)
        refused(site, SnapshotNotFoundError, snapshot_id=SnapshotId("s-none"))
        refused(site.as_another_account(), SnapshotNotFoundError, snapshot_id=snapshot_id)

    def test_an_archived_snapshot_is_refused(self, site, snapshot_id):
        site.clock.advance(MIN_AGE)
        with site.scope() as scope:
            archive_snapshot(scope, snapshot_id, None)
        site.work()
        refused(site, errors.ArchivedSourceError, snapshot_id=snapshot_id)

    def test_mappings_name_several(self, site, snapshot_id):
        data = site.make_snapshot(site.make_imported(DATA))
        image_id = start_image(
            site,
            disks=[
                DiskOfImage(snapshot_id=data, device="/dev/xvdf", size_gib=30),
                DiskOfImage(size_gib=5),
                DiskOfImage(snapshot_id=snapshot_id),
                DiskOfImage(snapshot_id=data),
            ],
            snapshot_id=data,  # has no say
        )
        assert [
            (each.device, each.size_gib, each.snapshot_id) for each in list_disks_of_image(site, image_id)
        ] == [
            ("/dev/xvda", 1, snapshot_id),
            ("/dev/xvdb", 5, None),
            ("/dev/xvdc", 1, data),
            ("/dev/xvdf", 30, data),
        ]

    def test_e30_exactly_one_of_them_is_the_system_disk(self, site, snapshot_id):
        data = DiskOfImage(snapshot_id=site.make_snapshot(site.make_imported()))
        system = DiskOfImage(snapshot_id=snapshot_id)
        assert refused(site, errors.SystemSnapshotCountError, disks=[data]).startswith("0")
        assert refused(site, errors.SystemSnapshotCountError, disks=[system, system]).startswith("2")
        empty = DiskOfImage(device="/dev/xvda", size_gib=20)
        refused(site, errors.SystemSnapshotMissingError, disks=[empty, data])
        refused(
            site, errors.SystemSnapshotMissingError, disks=[DiskOfImage(role=DiskRole.SYSTEM, size_gib=1)]
        )

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"device": "/dev/sdz"}, errors.ImageDeviceError),
            ({"device": "/dev/xvdb"}, errors.ImageDeviceTakenError),
            ({"size_gib": None}, errors.ImageDiskSizeError),
            ({"size_gib": 0}, errors.ImageDiskSizeError),
            ({"size_gib": 64 * 1024 + 1}, errors.ImageDiskSizeError),
        ],
    )
    def test_mappings_that_cannot_be(self, site, snapshot_id, changes, error):
        disks = [DiskOfImage(snapshot_id=snapshot_id), DiskOfImage(device="/dev/xvdb", size_gib=1)]
        disks.append(replace(DiskOfImage(size_gib=1), **changes))
        refused(site, error, disks=disks)

    def test_a_mapping_says_what_its_snapshot_is(self, site, snapshot_id):
        refused(
            site,
            errors.ImageDiskTypeError,
            disks=[DiskOfImage(snapshot_id=snapshot_id, role=DiskRole.DATA)],
        )
        refused(site, errors.ImageDiskSizeError, disks=[DiskOfImage(snapshot_id=snapshot_id, size_gib=0)])
        refused(
            site, errors.ImageDeviceError, disks=[DiskOfImage(snapshot_id=snapshot_id, device="/dev/xvdb")]
        )

    def test_there_are_sixteen_data_disks_at_most(self, site, snapshot_id):
        disks = [DiskOfImage(snapshot_id=snapshot_id), *([DiskOfImage(size_gib=1)] * 16)]
        assert len(list_disks_of_image(site, start_image(site, disks=disks))) == 17
        refused(site, errors.ImageDiskCountError, disks=[*disks, DiskOfImage(size_gib=1)])


class TestNamesAndQuotas:
    def test_names_are_unique_in_account_and_region(self, site, snapshot_id):
        image_id = start_image(site, snapshot_id=snapshot_id, name="golden")
        assert "golden" in refused(site, errors.ImageNameTakenError, snapshot_id=snapshot_id, name="golden")
        other = site.as_another_account()
        assert start_image(other, snapshot_id=make_system_snapshot(other), name="golden")
        second = start_image(site, snapshot_id=snapshot_id, name="silver")
        with site.scope() as scope:
            modify_image(scope, image_id, ImageChange(name="golden"))  # its own
            with pytest.raises(errors.ImageNameTakenError):
                modify_image(scope, second, ImageChange(name="golden"))

    def test_quotas(self, tmp_path):
        limits = Limits(images_per_region=4, image_families_per_region=2, images_per_family=2)
        with open_site(tmp_path, limits=limits) as site:
            snapshot_id = make_system_snapshot(site)
            for family in ("one", "one", "two"):
                start_image(site, snapshot_id=snapshot_id, family=family)
            refused(site, errors.FamilyImagesQuotaError, snapshot_id=snapshot_id, family="one")
            refused(site, errors.ImageFamilyQuotaError, snapshot_id=snapshot_id, family="three")
            last = start_image(site, snapshot_id=snapshot_id)
            refused(site, errors.ImageQuotaError, snapshot_id=snapshot_id)
            with site.scope() as scope, pytest.raises(errors.FamilyImagesQuotaError):
                modify_image(scope, last, ImageChange(family="one"))

    def test_the_newest_available_image_of_a_family_is_found(self, site, snapshot_id):
        def newest():
            with site.scope() as scope:
                found = find_newest_of_family(scope, "web")
                return found.id if found is not None else None

        assert newest() is None
        first = start_image(site, snapshot_id=snapshot_id, family="web")
        site.clock.advance(timedelta(minutes=1))
        second = start_image(site, snapshot_id=snapshot_id, family="web")
        assert newest() == second
        with site.scope() as scope:
            modify_image(scope, second, ImageChange(state=ImageState.DEPRECATED))
        assert newest() == first
        with site.scope() as scope:
            modify_image(scope, first, ImageChange(family=""))
            modify_image(scope, second, ImageChange(state=ImageState.AVAILABLE))
        assert newest() == second

    def test_an_unfinished_image_is_not_deprecated(self, site, instance_id):
        image_id = start_image(site, instance_id=instance_id)
        with site.scope() as scope, pytest.raises(errors.ImageStateError, match="Creating"):
            modify_image(scope, image_id, ImageChange(state=ImageState.DEPRECATED))


class TestLists:
    def test_every_filter(self, site, snapshot_id):
        site.clock.advance(timedelta(hours=1))
        before = site.clock.now()
        plain = start_image(site, snapshot_id=snapshot_id, name="Web_1", tags={"stage": "test"})
        other = make_system_snapshot(site)
        site.clock.advance(timedelta(hours=1))
        fancy = start_image(
            site,
            snapshot_id=other,
            name="db-1",
            family="db",
            platform="Windows Server 2019",
            architecture=Architecture.ARM64,
        )
        used = make_instance(site, image_id=plain)
        assert used

        def ids(**wanted):
            return [each.image.id for each in look(site, **{"ownership": Ownership.SELF, **wanted})]

        assert ids() == [fancy, plain]
        assert ids(image_ids=[plain, BUILT_IN_ID]) == [plain]
        assert ids(name="web*") == ids(name="*EB_*") == ids(name="Web_1") == [plain]
        assert ids(name="web_1") == ids(name="Web?1") == ids(name="W%") == []
        assert ids(family="db") == ids(snapshot_id=other) == ids(os_type=OsType.WINDOWS) == [fancy]
        assert ids(architectures=[Architecture.ARM64, Architecture.I386]) == [fancy]
        assert ids(is_used=True) == ids(tags={"stage": None}) == ids(tags={"stage": "test"}) == [plain]
        assert ids(is_used=False) == ids(created_from=site.clock.now()) == [fancy]
        assert ids(created_to=before) == [plain]
        assert ids(tags={"stage": "live"}) == ids(states=[ImageState.CREATING]) == ids(is_public=True) == []
        assert ids(owner_id=site.account_id) == ids(is_usable=True) == [fancy, plain]
        assert ids(is_usable=False) == ids(image_ids=[]) == []
        assert [each.is_used for each in look(site, image_ids=[plain, fancy])] == [False, True]

    def test_the_built_in_image_belongs_to_the_region(self, site):
        [found] = look(site)
        assert (found.image.id, found.ownership, found.image.account_id) == (
            BUILT_IN_ID,
            Ownership.SYSTEM,
            None,
        )
        assert look(site, ownership=Ownership.SYSTEM)[0].image.id == BUILT_IN_ID
        assert look(site, ownership=Ownership.OTHERS) == look(site, ownership=Ownership.MARKETPLACE) == []
        [disk] = found.disks
        assert (disk.device, disk.size_gib, disk.snapshot_id) == ("/dev/xvda", 1, None)

    def test_every_region_knows_the_built_in_image_by_its_plain_name(self, site):
        far = RegionId("eu-far-1")
        with site.installation.database.transaction() as session:
            new = NewRegion(
                id=far, local_name="Far", store="far", time_zone="UTC", zones={ZoneId("far-a"): "A"}
            )
            region = session.get(RegionRecord, far) or create_region(session, site.clock, new)
            first = ensure_built_in_image(session, site.clock, region).id
            assert ensure_built_in_image(session, site.clock, region).id == first
        assert first == "lamina_empty_x86_64_eu-far-1.vhd"
        with site.scope(region_id=far) as scope:
            assert find_usable_image(scope, BUILT_IN_ID).id == find_usable_image(scope, first).id == first
        with site.scope() as scope:
            assert find_usable_image(scope, BUILT_IN_ID).id == BUILT_IN_ID
            with pytest.raises(errors.ImageNotFoundError):
                find_usable_image(scope, first)

    def test_only_usable_images_are_used(self, site, instance_id):
        image_id = start_image(site, instance_id=instance_id)
        with site.scope() as scope:
            with pytest.raises(errors.ImageStateError):
                find_usable_image(scope, image_id)
            with pytest.raises(errors.ImageNotFoundError):
                find_usable_image(scope, "m-none")
        site.work()
        with site.scope() as scope:
            modify_image(scope, image_id, ImageChange(state=ImageState.DEPRECATED))
            assert find_usable_image(scope, image_id).id == image_id
