"""A worker in a process of its own, which says when it starts to work.

Usage: python worker_process.py FOLDER
"""

import sys
from pathlib import Path

from lamina.control.kinds import KINDS
from lamina.tasks.runner import Runner
from lamina.tasks.task import COPY, QUICK
from tests.factories.installation import open_site


def main(folder: str) -> None:
    with open_site(Path(folder)) as site:
        print("started", flush=True)
        Runner(
            site.installation.database, site.clock, site.installation, KINDS, {QUICK: 1, COPY: 1}
        ).run_until_idle()


if __name__ == "__main__":
    main(*sys.argv[1:])
