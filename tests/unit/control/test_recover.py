"""What comes back when only the stores and the files of disks are left."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.resize import resize_disk
from lamina.control.recover import recover
from lamina.control.scope import Limits
from lamina.control.snapshots.compare import compare_with_stores
from lamina.control.snapshots.copy import NewCopy, copy_snapshot
from lamina.database import Record
from lamina.engine.format import KIND_REVOCATION
from lamina.engine.manifest import first_body_key
from lamina.ids import RegionId, SnapshotId
from tests.factories.damage import flip_file
from tests.factories.installation import open_site
from tests.factories.regions import add_region

NEAR = RegionId("cn-hangzhou")
BEFORE = RegionId("ap-before-1")  # recovered before the region of the disks
BEHIND = RegionId("eu-behind-1")


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, limits=Limits(may_copy_snapshots=True)) as opened:
        for region_id in (BEFORE, BEHIND):
            add_region(opened, region_id)
        yield opened


def lose(site, *kept):
    """Lose all rows but those of some tables."""
    with site.installation.database.transaction() as session:
        for table in reversed(Record.metadata.sorted_tables):
            if table.name not in ("regions", "zones", *kept):
                session.execute(delete(table))


def copy(site, snapshot_id, region_id):
    with site.scope() as scope:
        copy_id = copy_snapshot(scope, NewCopy(snapshot_id=snapshot_id, region_id=region_id)).id
    site.work()
    return copy_id


def damage(site, snapshot_id):
    folder = Path(site.installation.repositories.locate(site.account_id, NEAR)) / "snapshots" / snapshot_id
    [manifest] = [path for path in folder.iterdir() if path.is_file()]
    flip_file(manifest)


@pytest.mark.parametrize("region_id", [BEFORE, BEHIND])
def test_a_disk_comes_back_where_it_was_wherever_its_snapshots_were_copied(site, region_id):
    disk_id = site.make_imported(b"precious")
    first = site.make_snapshot(disk_id)
    site.clock.advance(timedelta(hours=1))
    copy(site, first, region_id)
    before = site.disk(disk_id)
    lose(site)
    assert recover(site.installation).disks == (disk_id,)
    after = site.disk(disk_id)
    assert (after.region_id, after.zone_id) == (before.region_id, before.zone_id)


@pytest.mark.parametrize("region_id", [BEFORE, BEHIND])
def test_a_disk_of_which_only_a_copy_is_left_comes_back_where_it_was(site, region_id):
    disk_id = site.make_imported(b"precious")
    first = site.make_snapshot(disk_id)
    copy(site, first, region_id)
    site.delete(first)
    before = site.disk(disk_id)
    lose(site)
    assert recover(site.installation).disks == (disk_id,)
    assert (site.disk(disk_id).region_id, site.disk(disk_id).zone_id) == (before.region_id, before.zone_id)


def test_a_disk_comes_back_as_large_as_its_file(site):
    disk_id = site.make_imported(b"precious")
    site.make_snapshot(disk_id)
    with site.scope() as scope:
        resize_disk(scope, disk_id, 40)
    site.work()
    lose(site)
    recover(site.installation)
    assert site.disk(disk_id).size_gib == 40


def test_an_interrupted_recovery_is_finished_by_the_next_one(site):
    disk_id = site.make_imported(b"precious")
    snapshot_id = site.make_snapshot(disk_id)
    lose(site)
    recover(site.installation)
    with site.installation.database.transaction() as session:
        session.execute(delete(DiskRecord))  # as if it had been killed before it came to the disks
    again = recover(site.installation)
    assert (again.snapshots, again.disks) == ((), (disk_id,))
    assert site.snapshot(snapshot_id).disk_id == disk_id


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_damaged_manifest_costs_its_own_snapshot_and_no_other(site, place):
    disks = [site.make_imported(b"precious") for _ in range(2)]
    snapshots = [site.make_snapshot(disk_id) for disk_id in (disks[0], disks[0], disks[1])]
    other = site.as_another_account()
    theirs = other.make_snapshot(other.make_imported(b"theirs"))
    damage(site, snapshots[place])
    lose(site)
    report = recover(site.installation)
    kept = [each for number, each in enumerate(snapshots) if number != place]
    assert sorted(report.snapshots) == sorted([*kept, theirs])
    assert report.damaged_snapshots == (snapshots[place],)
    assert recover(site.installation).damaged_snapshots == (snapshots[place],)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_damaged_manifest_does_not_keep_others_from_getting_their_rows_back(site, place, caplog):
    disk_id = site.make_imported(b"precious")
    snapshots = [site.make_snapshot(disk_id) for _ in range(3)]
    damage(site, snapshots[place])
    lose(site, "accounts", "access_keys")
    compare_with_stores(site.installation)
    found = [site.snapshot(each) is not None for each in snapshots]
    assert found == [number != place for number in range(3)]
    [alarm] = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert snapshots[place] in str(alarm.__dict__)


def test_a_capture_that_a_sweep_revoked_half_way_is_no_snapshot(site):
    kept = site.make_snapshot(site.make_imported(b"precious"))
    repository = site.installation.repositories.find(site.account_id, NEAR)
    key = first_body_key(SnapshotId("s-revoked"))
    repository.store.put_new(key, repository.cipher.seal(KIND_REVOCATION, key, b"{}"))
    lose(site)
    report = recover(site.installation)
    assert (report.snapshots, report.damaged_snapshots) == ((kept,), ())
