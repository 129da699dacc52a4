"""A worker in a process of its own that kills itself with SIGKILL before or after a step of a task.

Usage: python doomed_worker.py FOLDER KIND STEP before|after|never
"""

import os
import signal
import sys
from pathlib import Path

from lamina.control.kinds import KINDS
from lamina.tasks.runner import Runner
from lamina.tasks.task import COPY, QUICK
from tests.factories.installation import open_site
from tests.factories.tasks import change_step


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def doom(when: str):
    def wrap(function):
        def run(plant, arguments, context):
            if when == "before":
                die()
            function(plant, arguments, context)
            if when == "after":
                die()

        return run

    return wrap


def main(folder: str, kind_name: str, index: str, when: str) -> None:
    kinds = [
        change_step(kind, int(index), run=doom(when)) if kind.name == kind_name else kind for kind in KINDS
    ]
    with open_site(Path(folder)) as site:
        print("started", flush=True)
        Runner(
            site.installation.database, site.clock, site.installation, kinds, {QUICK: 1, COPY: 1}
        ).run_until_idle()


if __name__ == "__main__":
    main(*sys.argv[1:])
