"""The worker: carries out the tasks of an installation and keeps it in order. Runs inside `all_in_one`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lamina.control.advance import CLOCK
from lamina.control.images.scratch import FILES
from lamina.control.installation import Installation
from lamina.control.kinds import KINDS
from lamina.control.reconcilers import make_reconcilers
from lamina.tasks.alone import TaskLocks
from lamina.tasks.reconcile import Reconciling
from lamina.tasks.runner import Runner
from lamina.tasks.task import BULK, COPY, QUICK

# A copy keeps `settings.workers` threads busy by itself; two at once let one compress while the other waits for
# its store. Quick tasks wait for the file system most of the time. One thread of each lane that has several is for
# what somebody waits for, so there is one more than that. Of policies that are due at once, two start snapshots.
# Files of images are read and written two at a time: one by another program, one by ourselves keep two cores busy.
_LANES: Final = {QUICK: 3, COPY: max(2, (os.cpu_count() or 1) // 2) + 1, BULK: 2, FILES: 3, CLOCK: 1}
_PATIENCE_SECONDS: Final = 5.0


def make_runner(installation: Installation) -> Runner[Installation]:
    """Who carries out all kinds of tasks of an installation; not started yet."""
    locks = TaskLocks(installation.directory / "tasks.lock")
    return Runner(installation.database, installation.clock, installation, KINDS, _LANES, locks=locks)


@contextmanager
def working(installation: Installation) -> Iterator[None]:
    """Work as long as this lasts. What is not finished at its end goes on with the next start."""
    runner = make_runner(installation)
    reconciling = Reconciling(make_reconcilers(installation))
    runner.start()
    reconciling.start()
    try:
        yield
    finally:
        reconciling.stop()
        runner.stop(patience_seconds=_PATIENCE_SECONDS)
