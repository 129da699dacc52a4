"""`lamina serve` as a process of its own, and the commands beside it."""

import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from lamina.cli.client import EcsClient
from lamina.cli.main import main
from lamina.clock import SystemClock

LAMINA = [sys.executable, "-c", "import sys; from lamina.cli.main import main; sys.exit(main())"]
SECONDS = 60
MIB = 1024 * 1024


@contextmanager
def serving(folder: Path, *options: str):
    """The service as a process; answers it and what it printed until it answered calls."""
    command = [*LAMINA, "serve", "--data", str(folder / "data"), "--listen", "127.0.0.1:0", *options]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(folder)},
        ) as service,
    ):
        try:
            lines = []
            while not (lines and lines[-1].startswith("lamina answers at")):
                line = service.stdout.readline()
                assert line, (folder / "log").read_text()
                lines.append(line.rstrip())
            yield service, lines
        finally:
            service.kill()


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [*LAMINA, *arguments, "--data", str(folder / "data")]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False
    )


def run_here(data_dir: Path, *arguments: str):
    """What a command prints with `--json`; in this process, for tests that give many."""
    shown, said = io.StringIO(), io.StringIO()
    with redirect_stdout(shown), redirect_stderr(said):
        code = main([*arguments, "--data", str(data_dir), "--json"])
    assert code == 0, said.getvalue()
    return json.loads(shown.getvalue())


def wait_for(client: EcsClient, noun: str, field: str, wanted: str) -> dict:
    clock = SystemClock()
    deadline = clock.monotonic() + SECONDS
    while True:
        (found,) = client.call(f"Describe{noun}s", {"RegionId": "cn-hangzhou"})[f"{noun}s"][noun]
        if found[field] == wanted:
            return found
        assert clock.monotonic() < deadline, found
        clock.sleep(0.05)
