"""Moving the clock: nothing that is due is passed over, and nothing that goes wrong stops time."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from lamina.clock import SystemClock
from lamina.control.advance import CLOCK, advance_clock
from lamina.control.disks.states import DiskState
from lamina.control.kinds import KINDS
from lamina.control.movable_clock import MovableClock, make_movable
from lamina.tasks.records import TaskRecord
from lamina.tasks.runner import Runner
from lamina.tasks.states import TaskState
from lamina.tasks.task import BULK, COPY, QUICK
from tests.factories.instances import find_disk

SECONDS = 30


@contextmanager
def moving(site):
    """The site with a clock that can be moved, and threads that work."""
    directory, clock = site.installation.directory, SystemClock()
    make_movable(directory)
    plant = replace(site.installation, clock=MovableClock(directory, clock))
    lanes = {QUICK: 2, COPY: 1, BULK: 1, CLOCK: 1}
    runner = Runner(plant.database, plant.clock, plant, KINDS, lanes)
    runner.start()
    try:
        yield plant
    finally:
        assert runner.stop(patience_seconds=SECONDS)


def test_a_disk_that_cannot_be_rolled_back_does_not_stop_time(site):
    disk_id = site.make_imported(b"precious" * 1000)
    snapshot_id = site.make_snapshot(disk_id)
    with site.installation.database.transaction() as session:
        disk = session.merge(find_disk(site, disk_id))  # as a crash in the middle leaves it
        disk.state, disk.reset_snapshot_id = DiskState.REINITING, snapshot_id
    store = site.installation.directory / "store"
    store.rename(store.with_name("away"))
    with moving(site) as plant:
        target = plant.clock.now() + timedelta(days=3)
        with plant.database.transaction() as session:
            task_id = advance_clock(session, plant.clock, target)
        deadline = plant.clock.monotonic() + SECONDS
        while find_task(plant, task_id).state is not TaskState.SUCCEEDED:
            assert plant.clock.monotonic() < deadline, "time stands still"
            plant.clock.sleep(0.02)
        assert plant.clock.now() >= target
    assert find_disk(site, disk_id).state is DiskState.REINITING


def find_task(plant, task_id):
    with plant.database.reading() as session:
        return session.get(TaskRecord, task_id)
