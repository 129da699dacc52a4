"""One scenario per kind of task: how it is started, and what is true after its success and after its failure."""

from datetime import timedelta

from lamina.control.disks.build import BUILD_DISK
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.delete import delete_disk
from lamina.control.disks.empty import MAKE_EMPTY_DISK
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.remove import REMOVE_DISK
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.roll_back import ROLL_BACK_DISK
from lamina.control.disks.states import DiskState
from lamina.control.paging import Slice
from lamina.control.policies.apply import apply_policy
from lamina.control.policies.create import NewPolicy, create_policy
from lamina.control.policies.due import run_due_policies
from lamina.control.policies.queries import Coverage, list_runs
from lamina.control.policies.run import RUN_POLICY
from lamina.control.policies.schedule import Timetable
from lamina.control.policies.states import RunOutcome
from lamina.control.snapshots.capture import CAPTURE_SNAPSHOT
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.remove import REMOVE_SNAPSHOT
from lamina.control.snapshots.states import SnapshotState
from lamina.ids import DiskId
from lamina.units import GIB, KIB
from tests.factories.installation import ZONE, Site
from tests.faults.tasks import (
    clock_scenarios,
    image_copy_scenarios,
    image_file_scenarios,
    image_scenarios,
    instance_scenarios,
    key_scenarios,
    snapshot_scenarios,
)
from tests.faults.tasks.scenario import Scenario

CONTENT = bytes(range(1, 129)) * KIB  # two blocks
CHANGED = b"changed!" * 16 * KIB


def find_disk(site: Site, disk_id: DiskId) -> DiskRecord | None:
    with site.installation.database.reading() as session:
        return session.get(DiskRecord, disk_id)


def list_clones(site: Site, disk_id: DiskId) -> list[str]:
    folder = site.installation.volumes.frozen_folder(disk_id)
    return sorted(path.name for path in folder.glob("*")) if folder.exists() else []


def start_disk(site: Site, **options) -> DiskId:
    with site.scope() as scope:
        new = NewDisk(zone_id=ZONE, category=DiskCategory.CLOUD_AUTO, size_gib=1, **options)
        return create_disk(scope, new).id


def _empty_is_made(site: Site, disk_id) -> None:
    assert find_disk(site, disk_id).state is DiskState.AVAILABLE
    path = site.installation.volumes.raw_path(disk_id)
    assert (path.stat().st_size, path.stat().st_blocks) == (GIB, 0)


def _disk_is_gone(site: Site, disk_id) -> None:
    assert find_disk(site, disk_id) is None
    assert not site.installation.volumes.raw_path(disk_id).parent.exists()


def _prepare_build(site: Site) -> DiskId:
    return start_disk(site, snapshot_id=site.make_snapshot(site.make_imported(CONTENT)))


def _build_is_made(site: Site, disk_id) -> None:
    assert find_disk(site, disk_id).state is DiskState.AVAILABLE
    assert site.read(disk_id, 0, len(CONTENT) + 1) == CONTENT + b"\0"


def _build_is_undone(site: Site, disk_id) -> None:
    _disk_is_gone(site, disk_id)
    (snapshot_id,) = site.list_stored()
    site.delete(snapshot_id)  # nothing holds it any more
    assert site.list_stored() == []


def _prepare_roll_back(site: Site) -> DiskId:
    disk_id = site.make_imported(CONTENT)
    snapshot_id = site.make_snapshot(disk_id)
    site.write(disk_id, 0, CHANGED)
    with site.scope() as scope:
        reset_disk(scope, disk_id, snapshot_id)
    return disk_id


def _is_rolled_back(site: Site, disk_id) -> None:
    assert find_disk(site, disk_id).state is DiskState.AVAILABLE
    assert site.read(disk_id, 0, len(CONTENT)) == CONTENT


def _is_untouched_or_locked(site: Site, disk_id) -> None:
    """A disk is usable only if it is wholly what it was; otherwise it waits for another attempt."""
    disk = find_disk(site, disk_id)
    if disk.state is DiskState.AVAILABLE:
        assert site.read(disk_id, 0, len(CHANGED)) == CHANGED
    else:
        assert disk.state is DiskState.REINITING
        assert disk.reset_snapshot_id is not None


def _prepare_removal(site: Site) -> DiskId:
    disk_id = site.make_imported(CONTENT)
    with site.scope() as scope:
        delete_disk(scope, disk_id)
    return disk_id


def _removal_waits(site: Site, disk_id) -> None:
    assert find_disk(site, disk_id).state is DiskState.DELETING


def _prepare_capture(site: Site):
    disk_id = site.make_imported(CONTENT)
    return disk_id, site.start_snapshot(disk_id)


def _capture_is_made(site: Site, made) -> None:
    disk_id, snapshot_id = made
    snapshot = site.snapshot(snapshot_id)
    assert (snapshot.state, snapshot.used_bytes) == (SnapshotState.ACCOMPLISHED, len(CONTENT))
    assert site.list_stored() == [snapshot_id]
    site.write(disk_id, 0, CHANGED)
    site.roll_back(disk_id, snapshot_id)
    assert site.read(disk_id, 0, len(CONTENT)) == CONTENT


def _capture_is_undone(site: Site, made) -> None:
    disk_id, snapshot_id = made
    assert site.snapshot(snapshot_id).state is SnapshotState.FAILED
    assert site.snapshot(snapshot_id).failure
    assert site.list_stored() == []
    assert list_clones(site, disk_id) == []


def _prepare_snapshot_removal(site: Site):
    disk_id = site.make_imported(CONTENT)
    doomed, kept = site.make_snapshot(disk_id), site.make_snapshot(disk_id)
    with site.scope() as scope:
        delete_snapshot(scope, doomed)
    return doomed, kept


def _snapshot_is_removed(site: Site, made) -> None:
    doomed, kept = made
    assert site.snapshot(doomed) is None
    assert site.list_stored() == [kept]


def _snapshot_removal_waits(site: Site, made) -> None:
    doomed, kept = made
    assert site.snapshot(doomed).state is SnapshotState.DELETING
    assert kept in site.list_stored()


def _prepare_policy_run(site: Site) -> DiskId:
    disk_id = site.make_imported(CONTENT)
    with site.scope() as scope:
        new = NewPolicy(timetable=Timetable.of(range(24), range(1, 8)), retention_days=None)
        apply_policy(scope, create_policy(scope, new).id, [disk_id])
    site.clock.advance(timedelta(hours=1))
    run_due_policies(site.installation)
    return disk_id


def _list_outcomes(site: Site) -> list[RunOutcome]:
    with site.scope() as scope:
        runs = list_runs(scope, Coverage(), Slice(limit=10)).items
        return sorted((run.outcome for run in runs), key=lambda outcome: outcome.value)


def _policy_ran_once(site: Site, _disk_id) -> None:
    assert _list_outcomes(site) == [RunOutcome.FINISHED, RunOutcome.STARTED]
    assert len(site.list_stored()) == 1


def _policy_run_is_failed(site: Site, _disk_id) -> None:
    """What was started before the failure stays, and is recorded."""
    started = [RunOutcome.STARTED] * len(site.list_stored())
    assert _list_outcomes(site) == [RunOutcome.FAILED, *started]
    assert len(started) <= 1


SCENARIOS = [
    *clock_scenarios.SCENARIOS,
    *image_file_scenarios.SCENARIOS,
    *instance_scenarios.SCENARIOS,
    *key_scenarios.SCENARIOS,
    *snapshot_scenarios.SCENARIOS,
    *image_copy_scenarios.SCENARIOS,
    *image_scenarios.SCENARIOS,
    Scenario(MAKE_EMPTY_DISK, start_disk, _empty_is_made, _disk_is_gone),
    Scenario(BUILD_DISK, _prepare_build, _build_is_made, _build_is_undone),
    Scenario(ROLL_BACK_DISK, _prepare_roll_back, _is_rolled_back, _is_untouched_or_locked),
    Scenario(REMOVE_DISK, _prepare_removal, _disk_is_gone, _removal_waits),
    Scenario(CAPTURE_SNAPSHOT, _prepare_capture, _capture_is_made, _capture_is_undone),
    Scenario(RUN_POLICY, _prepare_policy_run, _policy_ran_once, _policy_run_is_failed),
    Scenario(REMOVE_SNAPSHOT, _prepare_snapshot_removal, _snapshot_is_removed, _snapshot_removal_waits),
]
EVERY_STEP = [(scenario, index) for scenario in SCENARIOS for index in range(len(scenario.kind.steps))]
EVERY_UNDO = [
    (scenario, index) for scenario, index in EVERY_STEP if scenario.kind.steps[index].undo is not None
]


def name_case(value: object) -> str | None:
    return str(value) if isinstance(value, Scenario) else None
