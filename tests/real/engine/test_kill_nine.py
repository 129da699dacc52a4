"""Processes that are really killed, on a directory: what the crash tests in memory cannot show."""

import signal
import subprocess
import sys

import pytest

from lamina.engine.objects.directory import DirectoryStore
from tests.faults.engine.operations import Trial

# Which calls: the session, the first pack, the commit and what is around them; the crash tests in memory try them all.
_MOMENTS = {
    "init": (2,),
    "full capture": (3, 6, 7, 10),
    "capture": (5, 10),
    "delete": (3,),
    "sweep": (12, 20, 30),
    "compact": (20, 30),
    "change secret": (3, 5),
}


@pytest.mark.parametrize("effect", ["nothing", "all"])
@pytest.mark.parametrize(
    ("operation", "call"), [(name, call) for name, calls in _MOMENTS.items() for call in calls]
)
def test_nothing_is_lost_when_the_process_is_killed(operation, call, effect, tmp_path):
    trial = Trial(operation, DirectoryStore(tmp_path))
    command = [sys.executable, "-m", "tests.real.engine.doomed", str(tmp_path), operation, str(call), effect]
    outcome = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert outcome.returncode == -signal.SIGKILL, outcome.stderr.decode()
    trial.check(was_really_killed=True)
