"""A process that kills itself at one call of the store.

Usage: python -m tests.real.engine.doomed DIRECTORY OPERATION CALL EFFECT
"""

import os
import signal
import sys
from pathlib import Path

from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.objects.faulty import Effect, FaultPlan, FaultyStore
from tests.faults.engine.operations import OPERATIONS


def die():
    """Never returns."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


if __name__ == "__main__":
    folder, operation, call, effect = sys.argv[1:]
    plan = FaultPlan(at_call=int(call), effect=Effect(effect), error=die)
    OPERATIONS[operation].run(FaultyStore(DirectoryStore(Path(folder)), plan))
