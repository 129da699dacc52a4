"""A capture's memory does not grow with the disk: measured from outside, in a process of its own."""

import subprocess
import sys

import pytest

_PEAK_KIB_MAX = 300 * 1024
_PROGRAM = """
from pathlib import Path
from lamina.units import GIB, TIB
from tests.real.engine.endless import EndlessDisk, ForgetfulStore
from tests.factories.repositories import make_repository, take

repository = make_repository(ForgetfulStore())
take(repository, EndlessDisk({size}, {data}), workers=2)
# Not ru_maxrss: that also counts what the parent had when it forked.
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize(("size", "data"), [("2 * GIB", "2 * GIB"), ("100 * TIB", "GIB // 2")])
def test_a_capture_stays_within_its_memory(size, data):
    program = _PROGRAM.format(size=size, data=data)
    outcome = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=240)
    peak = int(outcome.stdout)
    print(f"{size}: {peak // 1024} MiB at most")
    assert peak <= _PEAK_KIB_MAX
