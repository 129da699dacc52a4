"""A served process is killed with SIGKILL at every step of every kind of task, and at every undoing of one.

The service is killed at the first point of a task, started again, killed at the next point, and so on. Then the rows,
the volumes and the repositories have to be what the scenarios of `tests/faults/tasks` say.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from lamina.clock import SystemClock
from lamina.control.installation import open_metadata
from lamina.control.kinds import KINDS
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import ACTIVE
from lamina.tasks.task import TaskKind
from tests.factories.installation import open_site
from tests.faults.tasks.scenario import Scenario
from tests.faults.tasks.scenarios import SCENARIOS
from tests.real.tasks.doomed_service import list_points

ROOT = Path(__file__).parents[3]
SERVICE = Path(__file__).with_name("doomed_service.py")
SECONDS = 60
UNDOABLE = [kind for kind in KINDS if any(step.undo is not None for step in kind.steps)]


@dataclass
class Launcher:
    """Starts doomed services."""

    process: subprocess.Popen

    def kill_everywhere(self, folder: Path, way: str, kind: TaskKind, instant: str) -> None:
        """Serve until the task has ended, with a death at each of its points."""
        self.process.stdin.write(f"{folder} {instant} {way} {kind.name}\n")
        wait_until_idle(folder)
        os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
        # the last one has finished its task, perhaps before it came to listen to signals
        assert self.process.stdout.readline() in ("ended 0\n", "ended -15\n"), read_log(folder)


def wait_until_idle(folder: Path) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + SECONDS
    with open_metadata(folder / "data") as (database, _):
        while True:
            with database.reading() as session:
                if session.scalar(select(func.count()).where(TaskRecord.state.in_(ACTIVE))) == 0:
                    return
            assert clock.monotonic() < deadline, read_log(folder)
            clock.sleep(0.02)


def read_log(folder: Path) -> str:
    return (folder / "log").read_text()[-2000:]


@pytest.fixture(scope="module")
def launcher():
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, str(SERVICE)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield Launcher(process)
        process.stdin.close()


def find_scenario(kind: TaskKind) -> Scenario:
    for scenario in SCENARIOS:
        if scenario.kind.name == kind.name:
            return scenario
    pytest.fail(f"tests/faults/tasks has no scenario for tasks of the kind {kind.name}: add one")


def check(launcher: Launcher, folder: Path, way: str, kind: TaskKind) -> None:
    scenario = find_scenario(kind)
    with open_site(folder) as site:
        made = scenario.prepare(site)
        instant = site.clock.instant
    launcher.kill_everywhere(folder, way, kind, instant.isoformat())
    points, deaths = ((folder / name).read_text().splitlines() for name in ("points", "deaths"))
    assert sorted(points) == sorted(list_points(way, kind))
    assert len(deaths) == len(points)
    with open_site(folder) as site:
        site.clock.instant = instant
        (scenario.check_success if way == "run" else scenario.check_failure)(site, made)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_killed_at_every_step_and_finished(tmp_path, launcher, kind):
    check(launcher, tmp_path, "run", kind)


@pytest.mark.parametrize("kind", UNDOABLE, ids=lambda kind: kind.name)
def test_killed_at_every_undoing_and_undone(tmp_path, launcher, kind):
    check(launcher, tmp_path, "undo", kind)
