"""Copies of snapshots in another region (rows E29 and B40)."""

from datetime import timedelta

import pytest

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.errors import SnapshotMismatchError
from lamina.control.scope import Limits
from lamina.control.snapshots.archive import MIN_AGE, archive_snapshot
from lamina.control.snapshots.copy import NewCopy, copy_snapshot
from lamina.control.snapshots.errors import (
    ArchivedCopyError,
    CopyNotOfferedError,
    CopyRegionError,
    SameRegionError,
    SnapshotBeingCopiedError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SnapshotQuotaError,
)
from lamina.control.snapshots.states import SnapshotState
from lamina.engine.manifest import CaptureMode
from lamina.ids import RegionId
from lamina.units import KIB, MIB
from tests.factories.installation import open_site
from tests.factories.regions import FAR, FAR_ZONE, add_region

LIMITS = Limits(may_copy_snapshots=True, manual_snapshots_per_disk=3)
CONTENT = bytes(range(256)) * 256 * 8  # eight blocks


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, limits=LIMITS) as opened:
        add_region(opened)
        yield opened


def start(site, snapshot_id, *, region_id=FAR, **options):
    with site.scope() as scope:
        return copy_snapshot(scope, NewCopy(snapshot_id=snapshot_id, region_id=region_id, **options)).id


def copy(site, snapshot_id, **options):
    copy_id = start(site, snapshot_id, **options)
    site.work()
    assert site.snapshot(copy_id).state is SnapshotState.ACCOMPLISHED
    return copy_id


def read_far(site, copy_id, length):
    """The first bytes of a disk that is made from a copy where the copy is."""
    with site.scope(region_id=FAR) as scope:
        new = NewDisk(zone_id=FAR_ZONE, category=DiskCategory.CLOUD_AUTO, snapshot_id=copy_id)
        disk_id = create_disk(scope, new).id
    site.work()
    return site.read(disk_id, 0, length)


def far_repository(site):
    return site.installation.repositories.find(site.account_id, FAR)


def test_a_copy_gives_the_same_bytes_and_outlives_the_original(site):
    disk_id = site.make_imported(CONTENT)
    snapshot_id = site.make_snapshot(disk_id, name="near", tags={"k": "v"})
    copy_id = copy(site, snapshot_id, name="far", retention_days=5, tags={"a": "b"})
    made = site.snapshot(copy_id)
    assert (made.source_snapshot_id, made.region_id, made.retention_days) == (snapshot_id, FAR, 5)
    assert (made.used_bytes, made.incremental_bytes) == (len(CONTENT), len(CONTENT))
    with pytest.raises(SnapshotMismatchError):
        site.roll_back(disk_id, copy_id)
    site.delete(snapshot_id)
    assert read_far(site, copy_id, len(CONTENT) + 1) == CONTENT + b"\0"


def test_the_next_copy_reads_and_stores_the_difference_only(site):
    disk_id = site.make_imported(CONTENT * 32)
    copy(site, site.make_snapshot(disk_id))
    site.clock.advance(timedelta(hours=1))
    changed = b"changed!" * 8 * KIB
    site.write(disk_id, 64 * KIB, changed)
    second = copy(site, site.make_snapshot(disk_id))
    manifest = far_repository(site).read_manifest(second)
    assert (manifest.mode, manifest.changed_bytes) == (CaptureMode.HINT, 64 * KIB)
    assert manifest.stored_bytes < MIB
    content = bytearray(CONTENT * 32)
    content[64 * KIB : 128 * KIB] = changed
    assert read_far(site, second, len(content)) == bytes(content)


def test_a_cancelled_copy_leaves_nothing_and_the_original_waits_for_it(site):
    snapshot_id = site.make_snapshot(site.make_imported(CONTENT))
    copy_id = start(site, snapshot_id)
    with pytest.raises(SnapshotBeingCopiedError, match=copy_id):
        site.delete(snapshot_id)
    site.delete(copy_id)
    assert site.snapshot(copy_id) is None
    assert far_repository(site) is None or far_repository(site).list_snapshots() == []
    site.delete(snapshot_id)


def test_a_copy_does_not_keep_the_disk_busy(site):
    disk_id = site.make_imported(CONTENT)
    snapshot_id = site.make_snapshot(disk_id)
    start(site, snapshot_id)
    other = site.start_snapshot(disk_id)
    site.work()
    assert site.snapshot(other).state is SnapshotState.ACCOMPLISHED


def test_what_is_not_copied(site):
    disk_id = site.make_imported(CONTENT)
    snapshot_id = site.make_snapshot(disk_id)
    with pytest.raises(SameRegionError):
        start(site, snapshot_id, region_id=site.snapshot(snapshot_id).region_id)
    with pytest.raises(CopyRegionError):
        start(site, snapshot_id, region_id=RegionId("no-where"))
    with pytest.raises(SnapshotNotFoundError):
        start(site.as_another_account(), snapshot_id)
    with pytest.raises(SnapshotNotFoundError), site.scope(region_id=FAR) as scope:
        copy_snapshot(scope, NewCopy(snapshot_id=snapshot_id, region_id=FAR))
    unfinished = site.start_snapshot(disk_id)
    with pytest.raises(SnapshotNotReadyError):
        start(site, unfinished)
    site.work()
    for _ in range(LIMITS.manual_snapshots_per_disk):
        copy(site, snapshot_id)
    with pytest.raises(SnapshotQuotaError):
        start(site, snapshot_id)
    site.clock.advance(MIN_AGE)
    with site.scope() as scope:
        archive_snapshot(scope, snapshot_id, None)
    with pytest.raises(ArchivedCopyError):
        start(site, snapshot_id)


def test_an_installation_copies_only_when_it_is_told_to(tmp_path):
    with open_site(tmp_path) as site:
        snapshot_id = site.make_snapshot(site.make_imported(CONTENT))
        with pytest.raises(CopyNotOfferedError, match=r"lamina\.toml"):
            start(site, snapshot_id)
