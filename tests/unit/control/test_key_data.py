"""What a key protects: disks, their snapshots, images and copies, each in the key's repository (row B60)."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.channel import open_channel
from lamina.control.disks.clone import DiskClone, clone_disk
from lamina.control.disks.connect import connect
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.resize import resize_disk
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.images.copy import NewImageCopy, copy_image
from lamina.control.images.encrypted import (
    EncryptedImageCopyError,
    EncryptedImageError,
    EncryptedSystemSnapshotError,
)
from lamina.control.images.plan import DiskOfImage
from lamina.control.images.publish import set_public
from lamina.control.images.states import ImageState
from lamina.control.keys.choose import Encryption
from lamina.control.keys.create import ensure_service_key
from lamina.control.keys.errors import (
    DecryptionError,
    InheritedKeyError,
    KeyNotEnabledError,
    KeyNotFoundError,
    KeyWithoutEncryptionError,
)
from lamina.control.keys.modify import disable_key, enable_key
from lamina.control.keys.states import KeyState
from lamina.control.preferences import Compatibility
from lamina.control.reconcilers import sweep_repositories
from lamina.control.recover import recover
from lamina.control.scope import Limits
from lamina.control.snapshots.archive import archive_snapshot
from lamina.control.snapshots.compare import compare_with_stores
from lamina.control.snapshots.copy import NewCopy, copy_snapshot
from lamina.control.snapshots.errors import EncryptedArchiveError, EncryptedCopyError
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.sizes import count_sizes
from lamina.control.snapshots.states import SnapshotState
from lamina.database import Record
from lamina.units import GIB, KIB
from tests.factories.image_copies import find_image, list_snapshots, make_image_of, start_copy
from tests.factories.images import make_system_snapshot, share
from tests.factories.installation import ZONE, open_site
from tests.factories.keys import (
    find_key,
    list_stored,
    make_encrypted,
    make_key,
    read_clear,
    with_key,
)
from tests.factories.regions import FAR, add_region

CONTENT = os.urandom(96 * KIB)


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, limits=Limits(may_copy_snapshots=True)) as opened:
        add_region(opened)
        yield opened


def make_disk_of(site, snapshot_id, encryption=None):
    options = {} if encryption is None else {"encryption": encryption}
    return site.make_disk(category=DiskCategory.CLOUD_ESSD, snapshot_id=snapshot_id, **options)


def set_enabled(site, key_id, *, to):
    with site.scope() as scope:
        (enable_key if to else disable_key)(scope, key_id)


def test_snapshots_and_disks_inherit_the_key_and_the_bytes(site):
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENT, key_id)
    assert site.disk(disk_id).key_id == key_id
    assert CONTENT[:4096] not in site.read(disk_id, 0, GIB)[: len(CONTENT)]
    snapshot_id = site.make_snapshot(disk_id)
    assert site.snapshot(snapshot_id).key_id == key_id
    assert (list_stored(site), list_stored(site, key_id)) == ([], [snapshot_id])
    made = make_disk_of(site, snapshot_id)
    assert (site.disk(made).key_id, read_clear(site, made, len(CONTENT))) == (key_id, CONTENT)
    site.write(disk_id, 0, b"changed")
    second = site.make_snapshot(disk_id)
    site.roll_back(disk_id, snapshot_id)
    assert read_clear(site, disk_id, len(CONTENT)) == CONTENT
    site.delete(snapshot_id, force=True)
    assert list_stored(site, key_id) == [second]


def test_without_a_key_the_service_has_one_per_region(site):
    first, second = make_encrypted(site, b"one"), make_encrypted(site, b"two")
    with site.scope() as scope:
        service = ensure_service_key(scope).id
    assert {site.disk(each).key_id for each in (first, second)} == {service}
    assert read_clear(site, second, 3) == b"two"


def test_a_disk_may_be_encrypted_that_its_snapshot_is_not(site):
    snapshot_id = site.make_snapshot(site.make_imported(CONTENT))
    key_id = make_key(site)
    made = make_disk_of(site, snapshot_id, with_key(key_id))
    assert (site.disk(made).key_id, read_clear(site, made, len(CONTENT))) == (key_id, CONTENT)


def test_what_is_refused_of_a_new_disk(site):
    key_id, other, far = make_key(site), make_key(site), make_key(site, region_id=FAR)
    snapshot_id = site.make_snapshot(make_encrypted(site, CONTENT, key_id))
    cases = (
        (None, Encryption(key_id=key_id), KeyWithoutEncryptionError),
        (None, with_key(far), KeyNotFoundError),
        (snapshot_id, Encryption(is_encrypted=False), DecryptionError),
        (snapshot_id, with_key(other), InheritedKeyError),
    )
    for source, encryption, error in cases:
        new = NewDisk(
            zone_id=ZONE,
            category=DiskCategory.CLOUD_ESSD,
            size_gib=20,
            snapshot_id=source,
            encryption=encryption,
        )
        with site.scope() as scope, pytest.raises(error):
            create_disk(scope, new)


def test_clones_have_the_key_of_their_source(site):
    disk_id = make_encrypted(site, CONTENT)
    with site.scope() as scope:
        new = DiskClone(source_id=disk_id, category=DiskCategory.CLOUD_ESSD, size_gib=20)
        clone_id = clone_disk(scope, new).id
    site.work()
    assert site.disk(clone_id).key_id == site.disk(disk_id).key_id
    assert read_clear(site, clone_id, len(CONTENT)) == CONTENT


def test_a_group_may_have_disks_of_several_keys(site):
    keys = [make_key(site), make_key(site)]
    disks = [make_encrypted(site, CONTENT, key_id) for key_id in keys] + [site.make_imported(CONTENT)]
    with site.scope() as scope:
        group_id = create_group(scope, NewGroup(disk_ids=tuple(disks))).id
    site.work()
    with site.scope() as scope:
        for key_id in (*keys, None):
            [snapshot_id] = list_stored(site, key_id)
            row = site.snapshot(snapshot_id)
            assert (row.group_id, row.key_id, row.state) == (group_id, key_id, SnapshotState.ACCOMPLISHED)


def test_a_disabled_key_stops_everything_and_loses_nothing(site):
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENT, key_id)
    snapshot_id = site.make_snapshot(disk_id)
    started = site.start_snapshot(disk_id)
    set_enabled(site, key_id, to=False)
    site.work()
    assert site.snapshot(started).state is SnapshotState.FAILED
    assert "enable it first" in site.snapshot(started).failure
    refused = (
        lambda scope: reset_disk(scope, disk_id, snapshot_id),
        lambda scope: resize_disk(scope, disk_id, 30),
        lambda scope: connect(scope, disk_id),
        lambda scope: create_disk(
            scope, NewDisk(zone_id=ZONE, category=DiskCategory.CLOUD_ESSD, snapshot_id=snapshot_id)
        ),
    )
    for call in refused:
        with site.scope() as scope, pytest.raises(KeyNotEnabledError):
            call(scope)
    with pytest.raises(KeyNotEnabledError):
        site.start_snapshot(disk_id)
    compare_with_stores(site.installation)
    sweep_repositories(site.installation)
    count_sizes(site.installation)
    assert not site.snapshot(snapshot_id).is_data_missing
    set_enabled(site, key_id, to=True)
    site.roll_back(disk_id, snapshot_id)
    assert site.disk(disk_id).state is DiskState.AVAILABLE
    assert read_clear(site, disk_id, len(CONTENT)) == CONTENT


def test_a_key_that_is_disabled_ends_reading_and_writing_through_connections(site):
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENT, key_id)
    with site.scope() as scope:
        connection = connect(scope, disk_id)
    set_enabled(site, key_id, to=False)
    with site.scope() as scope, pytest.raises(KeyNotEnabledError):
        open_channel(scope, site.installation.volumes, connection.id)
    set_enabled(site, key_id, to=True)
    with site.scope() as scope:
        channel = open_channel(scope, site.installation.volumes, connection.id)
    assert channel.read(0, 5) == CONTENT[:5]


def test_a_roll_back_whose_key_is_disabled_meanwhile_goes_on_later(site):
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENT, key_id)
    snapshot_id = site.make_snapshot(disk_id)
    site.write(disk_id, 0, b"changed")
    with site.scope() as scope:
        reset_disk(scope, disk_id, snapshot_id)
    set_enabled(site, key_id, to=False)
    site.work()
    assert site.disk(disk_id).state is DiskState.AVAILABLE  # not a byte was touched
    set_enabled(site, key_id, to=True)
    assert read_clear(site, disk_id, 7) == b"changed"


def test_copies_of_encrypted_snapshots_are_encrypted_there(site):
    snapshot_id = site.make_snapshot(make_encrypted(site, CONTENT))
    with site.scope() as scope, pytest.raises(EncryptedCopyError):
        copy_snapshot(scope, NewCopy(snapshot_id=snapshot_id, region_id=FAR))
    far_key = make_key(site, region_id=FAR)
    with site.scope() as scope:
        copy = copy_snapshot(
            scope, NewCopy(snapshot_id=snapshot_id, region_id=FAR, encryption=with_key(far_key))
        )
        copy_id = copy.id
    site.work()
    assert (site.snapshot(copy_id).key_id, site.snapshot(copy_id).state) == (
        far_key,
        SnapshotState.ACCOMPLISHED,
    )
    assert list_stored(site, far_key, FAR) == [copy_id]
    repository = site.installation.repositories.find(site.account_id, FAR, far_key)
    assert repository.read_manifest(copy_id).used_bytes == 128 * KIB


def test_the_same_snapshot_is_copied_with_several_keys(site):
    disk_id = site.make_imported(CONTENT)
    snapshot_id = site.make_snapshot(disk_id)
    keys = [make_key(site, region_id=FAR), make_key(site, region_id=FAR), None]
    for key_id in keys:
        with site.scope() as scope:
            options = {} if key_id is None else {"encryption": with_key(key_id)}
            copy_snapshot(scope, NewCopy(snapshot_id=snapshot_id, region_id=FAR, **options))
        site.work()
        [copy_id] = list_stored(site, key_id, FAR)
        assert site.snapshot(copy_id).state is SnapshotState.ACCOMPLISHED
    count_sizes(site.installation)
    assert all(
        site.snapshot(list_stored(site, key_id, FAR)[0]).exclusive_bytes >= len(CONTENT) for key_id in keys
    )


def test_images_of_encrypted_snapshots(site):
    key_id = make_key(site)
    data_id = site.make_snapshot(make_encrypted(site, CONTENT, key_id))
    disks = [DiskOfImage(snapshot_id=make_system_snapshot(site)), DiskOfImage(snapshot_id=data_id)]
    image_id = make_image_of(site, disks)
    other = site.as_another_account().account_id
    with pytest.raises(EncryptedImageError):
        share(site, image_id, add=[other])
    with site.scope() as scope, pytest.raises(EncryptedImageError):
        set_public(scope.session, image_id, is_public=True)
    with site.scope() as scope, pytest.raises(EncryptedImageCopyError):
        copy_image(scope, NewImageCopy(image_id=image_id, region_id=FAR))
    far_key = make_key(site, region_id=FAR)
    copy_id = start_copy(site, image_id, encryption=with_key(far_key))
    again_id = start_copy(site, image_id, to=site.snapshot(data_id).region_id, encryption=with_key(key_id))
    site.work()
    for each, key in ((copy_id, far_key), (again_id, key_id)):
        assert find_image(site, each).state is ImageState.AVAILABLE
        assert {site.snapshot(made).key_id for made in list_snapshots(site, each)} == {key}
    assert set(list_snapshots(site, again_id)) <= set(list_stored(site, key_id))


def test_an_encrypted_system_snapshot_is_no_image_until_the_api_of_today_counts(site):
    snapshot_id = site.make_snapshot(make_encrypted(site, CONTENT, role=DiskRole.SYSTEM))
    with pytest.raises(EncryptedSystemSnapshotError):
        make_image_of(site, [DiskOfImage(snapshot_id=snapshot_id)])
    today = replace(site.installation.limits, compatibility=Compatibility.API_2026)
    later = replace(site, installation=replace(site.installation, limits=today))
    assert make_image_of(later, [DiskOfImage(snapshot_id=snapshot_id)])


def test_an_encrypted_snapshot_is_not_archived(site):
    snapshot_id = site.make_snapshot(make_encrypted(site, CONTENT))
    site.clock.advance(timedelta(days=20))
    with site.scope() as scope, pytest.raises(EncryptedArchiveError):
        archive_snapshot(scope, snapshot_id, None)


def test_a_lost_database_comes_back_with_keys_and_disks(site):
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENT, key_id)
    snapshot_id = site.make_snapshot(disk_id)
    destroyed = make_key(site)
    site.make_snapshot(make_encrypted(site, CONTENT, destroyed))
    site.installation.keys.destroy(destroyed)
    lose_rows(site)
    report = recover(site.installation)
    assert (report.snapshots, report.disks, report.lost_keys) == ((snapshot_id,), (disk_id,), (destroyed,))
    assert (find_key(site, key_id).version, find_key(site, key_id).state) == (1, KeyState.ENABLED)
    assert (site.snapshot(snapshot_id).key_id, site.disk(disk_id).key_id) == (key_id, key_id)
    assert read_clear(site, disk_id, len(CONTENT)) == CONTENT
    site.roll_back(disk_id, snapshot_id)
    assert site.disk(disk_id).state is DiskState.AVAILABLE


def lose_rows(site):
    with site.installation.database.transaction() as session:
        for table in reversed(Record.metadata.sorted_tables):
            if table.name not in {"regions", "zones"}:
                session.execute(table.delete())
