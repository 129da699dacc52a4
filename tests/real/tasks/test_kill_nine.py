"""A worker process that is killed with SIGKILL in the middle of its copies: the next one goes on at once."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lamina.clock import SystemClock
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.states import DiskState
from lamina.control.snapshots.states import SnapshotState
from lamina.tasks.lease import requeue_orphans
from lamina.units import MIB
from tests.factories.installation import open_site
from tests.faults.tasks.scenarios import start_disk

ROOT = Path(__file__).parents[3]
WORKER = Path(__file__).with_name("worker_process.py")
SIZE = 24 * MIB


def start_worker(folder):
    command = [sys.executable, str(WORKER), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)


def take_over(site) -> None:
    """What a service does at its start; the clock stands still, so no lease has run out."""
    with site.installation.database.transaction() as session:
        requeue_orphans(session)
    site.work()


@pytest.mark.parametrize("milliseconds", [5, 60, 250])
def test_killed_in_the_middle_of_copies(tmp_path, milliseconds):
    """One disk is captured, built and rolled back, and the worker is killed again and again while it copies."""
    content = random.Random(milliseconds).randbytes(SIZE)
    with open_site(tmp_path) as site:
        disk_id = site.make_imported(content)
        snapshot_id = site.start_snapshot(disk_id)
    kill_until_idle(tmp_path, milliseconds)
    with open_site(tmp_path) as site:
        assert site.snapshot(snapshot_id).state is SnapshotState.ACCOMPLISHED
        site.write(disk_id, 0, bytes(SIZE // 2))
        site.write(disk_id, SIZE, b"far away")
        built = start_disk(site, snapshot_id=snapshot_id)
        start_reset(site, disk_id, snapshot_id)
    kill_until_idle(tmp_path, milliseconds)
    with open_site(tmp_path) as site:
        for each in (built, disk_id):
            assert site.disk(each).state is DiskState.AVAILABLE
            assert site.read(each, 0, SIZE + MIB) == content + bytes(MIB)


def kill_until_idle(folder, milliseconds) -> None:
    """Kill workers after a while that grows each time, until one comes to its end."""
    for attempt in range(5):
        with start_worker(folder) as worker:
            assert worker.stdout.readline() == b"started\n"
            SystemClock().sleep(milliseconds * 2**attempt / 1000)
            worker.kill()
            if worker.wait(timeout=60) == 0:
                break
        with open_site(folder) as site, site.installation.database.transaction() as session:
            requeue_orphans(session)
    with open_site(folder) as site:
        take_over(site)


def start_reset(site, disk_id, snapshot_id) -> None:
    with site.scope() as scope:
        reset_disk(scope, disk_id, snapshot_id)
