"""A worker on an installation that exists, to be killed while it works: `doomed_worker.py FOLDER`."""

import sys
from pathlib import Path

from lamina.clock import SystemClock
from tests.factories.installation import open_site

if __name__ == "__main__":
    with open_site(Path(sys.argv[1]), clock=SystemClock()) as site:
        print("ready", flush=True)
        site.work()
