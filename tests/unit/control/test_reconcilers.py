"""Reconcilers: they mend either side, and never delete data that a row or a manifest claims."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.delete import delete_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.roll_back import ROLL_BACK_DISK
from lamina.control.disks.start import restart_disks
from lamina.control.disks.states import DiskState
from lamina.control.disks.tidy import forget_leftover_clones, report_unknown_volumes
from lamina.control.reconcilers import forget_old_rows, make_reconcilers, sweep_repositories
from lamina.control.recover import recover
from lamina.control.snapshots.compare import compare_with_stores
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.errors import SnapshotDataMissingError
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.restart import restart_snapshots
from lamina.control.snapshots.states import SnapshotState
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.database import Record
from lamina.failures import Fault
from lamina.ids import DiskId
from lamina.tasks.reconcile import Reconciling
from lamina.tasks.records import TaskRecord
from lamina.tasks.runner import Runner
from lamina.tasks.task import ATTEMPTS_MAX, COPY
from lamina.units import MIB
from tests.factories.tasks import change_step, then_raise


def lose_tasks(site):
    """As if the tasks had ended without anybody settling them."""
    with site.installation.database.transaction() as session:
        session.execute(delete(TaskRecord))


def lose_rows(site, *kept: str):
    """As if the database had been brought back from before everything but some tables."""
    with site.installation.database.transaction() as session:
        for table in reversed(Record.metadata.sorted_tables):
            if table.name not in (*kept, "regions", "zones"):
                session.execute(delete(table))


def test_every_reconciler_runs_on_an_empty_installation_and_on_a_busy_one(site, caplog):
    reconciling = Reconciling(make_reconcilers(site.installation))
    reconciling.run_all()
    disk_id = site.make_imported(b"x")
    site.make_disk(snapshot_id=site.make_snapshot(disk_id))
    site.start_snapshot(disk_id)
    reconciling.run_all()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    site.work()
    assert len(site.list_stored()) == 2


def test_a_row_without_its_manifest_is_marked_and_unmarked_but_stays(site, caplog):
    disk_id = site.make_imported(b"x")
    snapshot_id = site.make_snapshot(disk_id)
    repository = Path(site.installation.repositories.locate(site.account_id, "cn-hangzhou"))
    manifests, away = repository / "snapshots", repository.parent / "away"
    manifests.rename(away)
    compare_with_stores(site.installation)
    assert site.snapshot(snapshot_id).is_data_missing
    assert [record.levelname for record in caplog.records if snapshot_id in str(record.__dict__)] == [
        "CRITICAL"
    ]
    with site.scope() as scope:
        with pytest.raises(SnapshotDataMissingError):
            reset_disk(scope, disk_id, snapshot_id)
        new = NewDisk(zone_id="cn-hangzhou-h", category=DiskCategory.CLOUD_AUTO, snapshot_id=snapshot_id)
        with pytest.raises(SnapshotDataMissingError):
            create_disk(scope, new)
    away.rename(manifests)
    compare_with_stores(site.installation)
    assert not site.snapshot(snapshot_id).is_data_missing
    site.roll_back(disk_id, snapshot_id)


def test_a_store_that_is_away_changes_no_row_and_does_not_keep_others_from_being_compared(site, caplog):
    other = site.as_another_account()
    mine, theirs = (
        site.make_snapshot(site.make_imported(b"x")),
        other.make_snapshot(other.make_imported(b"y")),
    )
    for account in (site, other):
        account.installation.repositories.find(account.account_id, "cn-hangzhou")
    repository = Path(site.installation.repositories.locate(site.account_id, "cn-hangzhou"))
    repository.rename(repository.parent / "away")
    lose_rows(other, "accounts", "access_keys")
    with site.installation.database.transaction() as session:
        assert session.get(SnapshotRecord, mine) is None
    compare_with_stores(site.installation)
    assert site.snapshot(mine) is None
    assert site.snapshot(theirs) is not None
    assert any("could not be compared" in record.message for record in caplog.records)


def test_a_snapshot_whose_data_is_missing_is_not_compared_with(site):
    disk_id = site.make_imported(b"x")
    first = site.make_snapshot(disk_id)
    site.installation.repositories.find(site.account_id, "cn-hangzhou").delete_snapshot(first)
    compare_with_stores(site.installation)
    second = site.make_snapshot(disk_id)
    assert site.snapshot(second).state is SnapshotState.ACCOMPLISHED


def test_a_parent_that_vanished_unnoticed_costs_a_retry_and_is_found_out(site):
    disk_id = site.make_imported(b"x")
    first = site.make_snapshot(disk_id)
    site.installation.repositories.find(site.account_id, "cn-hangzhou").delete_snapshot(first)
    second = site.make_snapshot(disk_id)
    assert site.snapshot(second).state is SnapshotState.PROGRESSING
    compare_with_stores(site.installation)
    site.clock.advance(timedelta(minutes=1))
    site.work()
    assert site.snapshot(second).state is SnapshotState.ACCOMPLISHED


def test_a_manifest_without_a_row_gets_its_row_back(site):
    disk_id = site.make_imported(b"x", name="the disk")
    snapshot_id = site.make_snapshot(
        disk_id, name="named", description="text", retention_days=7, tags={"a": "b"}
    )
    before = site.snapshot(snapshot_id)
    lose_rows(site, "accounts", "access_keys")
    compare_with_stores(site.installation)
    after = site.snapshot(snapshot_id)
    same = ("name", "description", "kind", "state", "disk_id", "disk_name", "disk_size_gib", "disk_role")
    same += ("retention_days", "expires_at", "created_at", "used_bytes", "changed_bytes", "tracking")
    assert {name: getattr(after, name) for name in same} == {name: getattr(before, name) for name in same}
    with site.scope() as scope:
        assert list_tags(scope.session, ResourceType.SNAPSHOT, [snapshot_id]) == {snapshot_id: {"a": "b"}}


def test_comparing_leaves_unfinished_and_dying_snapshots_alone(site):
    disk_id = site.make_imported(b"x")
    dying = site.make_snapshot(disk_id)
    with site.scope() as scope:
        delete_snapshot(scope, dying)
    unfinished = site.start_snapshot(disk_id)
    compare_with_stores(site.installation)
    assert site.snapshot(dying).state is SnapshotState.DELETING
    assert site.snapshot(unfinished).state is SnapshotState.PROGRESSING
    assert not site.snapshot(unfinished).is_data_missing
    site.work()
    assert site.list_stored() == [unfinished]


def test_stranded_snapshots_are_settled_by_what_the_store_has(site):
    disk_id = site.make_imported(b"x")
    stored = site.make_snapshot(disk_id)
    with site.installation.database.transaction() as session:
        session.execute(update(SnapshotRecord).values(state=SnapshotState.PROGRESSING, used_bytes=None))
    lose_tasks(site)
    lost = site.start_snapshot(site.make_imported(b"y"))
    lose_tasks(site)
    restart_snapshots(site.installation)
    assert (site.snapshot(stored).state, site.snapshot(stored).used_bytes) == (
        SnapshotState.ACCOMPLISHED,
        65536,
    )
    assert site.snapshot(lost).state is SnapshotState.FAILED
    with site.scope() as scope:
        delete_snapshot(scope, stored)
    lose_tasks(site)
    restart_snapshots(site.installation)
    site.work()
    assert site.snapshot(stored) is None


def test_snapshots_with_a_task_are_not_stranded(site):
    snapshot_id = site.start_snapshot(site.make_imported(b"x"))
    restart_snapshots(site.installation)
    assert site.snapshot(snapshot_id).state is SnapshotState.PROGRESSING


def test_stranded_disks_get_a_task_again(site):
    source = site.make_imported(b"precious")
    snapshot_id = site.make_snapshot(source)
    with site.scope() as scope:
        options = {"zone_id": "cn-hangzhou-h", "category": DiskCategory.CLOUD_AUTO, "size_gib": 1}
        empty = create_disk(scope, NewDisk(**options)).id
        copy = create_disk(scope, NewDisk(**options, snapshot_id=snapshot_id)).id
    doomed = site.make_imported(b"x")
    site.write(source, 0, b"changed!")
    with site.scope() as scope:
        reset_disk(scope, source, snapshot_id)
        delete_disk(scope, doomed)
    lose_tasks(site)
    restart_disks(site.installation)
    site.work()
    assert {site.disk(each).state for each in (source, empty, copy)} == {DiskState.AVAILABLE}
    assert site.read(copy, 0, 8) == site.read(source, 0, 8) == b"precious"
    assert not site.installation.volumes.raw_path(doomed).exists()
    restart_disks(site.installation)
    assert site.work() == 0


@pytest.mark.parametrize("again", ["reconciler", "owner"])
def test_a_disk_that_is_half_rolled_back_is_not_available_until_it_is_whole(site, again):
    disk_id = site.make_imported(b"precious")
    snapshot_id = site.make_snapshot(disk_id)
    site.write(disk_id, 0, b"changed!")
    with site.scope() as scope:
        reset_disk(scope, disk_id, snapshot_id)
    broken = change_step(ROLL_BACK_DISK, 1, run=then_raise(Fault("the store is away", retryable=False)))
    plant = site.installation
    Runner(plant.database, site.clock, plant, [broken], {COPY: 1}).run_until_idle()
    assert site.disk(disk_id).state is DiskState.REINITING
    store = plant.directory / "store"
    away = store.rename(store.with_name("away"))
    if again == "reconciler":
        restart_disks(plant)
    else:
        with site.scope() as scope:
            reset_disk(scope, disk_id, snapshot_id)
    for _ in range(2 * ATTEMPTS_MAX):
        site.work()
        site.clock.advance(timedelta(minutes=2))
    assert site.disk(disk_id).state is DiskState.REINITING
    away.rename(store)
    restart_disks(plant)
    site.work()
    assert site.disk(disk_id).state is DiskState.AVAILABLE
    assert site.read(disk_id, 0, 8) == b"precious"


def test_leftover_clones_go_and_the_newest_base_stays(site):
    disk_id = site.make_imported(b"x")
    site.make_snapshot(disk_id)
    newest = site.make_snapshot(disk_id)
    folder = site.installation.volumes.frozen_folder(disk_id)
    folder.mkdir(exist_ok=True)
    for token in (newest, "s-leftover"):
        (folder / f"{token}.frozen").write_bytes(b"clone")
    unfinished = site.start_snapshot(disk_id)
    forget_leftover_clones(site.installation)
    assert len(list(folder.iterdir())) == 2, "a capture is under way: hands off"
    with site.scope() as scope:
        delete_snapshot(scope, unfinished)
    site.work()
    forget_leftover_clones(site.installation)
    assert [path.name for path in folder.iterdir()] == [f"{newest}.frozen"]


def test_a_volume_that_no_row_knows_is_reported_and_kept(site, caplog):
    disk_id = site.make_imported(b"precious")
    lose_rows(site, "accounts", "access_keys")
    report_unknown_volumes(site.installation)
    forget_leftover_clones(site.installation)
    assert disk_id in str([record.__dict__ for record in caplog.records])
    assert site.read(disk_id, 0, 8) == b"precious"


def test_what_a_file_system_keeps_beside_the_disks_keeps_no_reconciler_from_its_work(site, monkeypatch):
    """`disks/` may be the root of a file system of its own, and `lost+found` is nobody's but root's."""
    lost = site.installation.volumes.folder / "lost+found"
    lost.mkdir()
    stat = Path.stat

    def deny(path, **options):
        if lost in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", deny)  # root, who may run the tests, is not denied anything
    disk_id = site.make_imported(b"x")
    assert site.installation.volumes.list_disks() == [disk_id]
    report_unknown_volumes(site.installation)
    forget_leftover_clones(site.installation)


def test_old_rows_are_forgotten(site):
    site.make_disk()
    site.clock.advance(timedelta(days=31))
    site.make_disk()
    forget_old_rows(site.installation)
    with site.installation.database.reading() as session:
        assert len(session.scalars(select(TaskRecord.id)).all()) == 1


def test_sweeping_keeps_what_snapshots_reach(site):
    disk_id = site.make_imported(b"a" * MIB)
    first = site.make_snapshot(disk_id)
    site.write(disk_id, 0, b"b" * MIB)
    second = site.make_snapshot(disk_id)
    site.delete(first)
    for _ in range(3):
        sweep_repositories(site.installation)
    site.write(disk_id, 0, b"c" * MIB)
    site.roll_back(disk_id, second)
    assert site.read(disk_id, 0, MIB) == b"b" * MIB


def test_everything_comes_back_from_the_stores_alone(site):
    source = site.make_imported(b"precious", name="the disk", description="its text")
    released = site.make_imported(b"gone")
    snapshots = [site.make_snapshot(source, name="one", tags={"a": "b"}), site.make_snapshot(released)]
    with site.scope() as scope:
        delete_disk(scope, released)
    site.work()
    silent = site.make_imported(b"never snapshotted")
    other = site.as_another_account()
    theirs = other.make_snapshot(other.make_imported(b"theirs"))
    before = site.disk(source)
    lose_rows(site)
    report = recover(site.installation)
    assert sorted(report.accounts) == sorted([site.account_id, other.account_id])
    assert sorted(report.snapshots) == sorted([*snapshots, theirs])
    assert report.unknown_disks == (silent,)
    assert report.foreign_snapshots == ()
    after = site.disk(source)
    same = (
        "name",
        "description",
        "category",
        "performance_level",
        "size_gib",
        "zone_id",
        "created_at",
        "state",
    )
    assert {name: getattr(after, name) for name in same} == {name: getattr(before, name) for name in same}
    assert site.read(source, 0, 8) == b"precious"
    made = site.make_disk(snapshot_id=snapshots[1])
    assert site.read(made, 0, 4) == b"gone"
    with site.installation.database.reading() as session:
        assert session.get(DiskRecord, DiskId(released)) is None
        assert session.get(SnapshotRecord, theirs).account_id == other.account_id
    again = recover(site.installation)
    assert (again.accounts, again.snapshots, again.disks) == ((), (), ())
