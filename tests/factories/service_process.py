"""`lamina serve` as a process of its own, and the commands beside it."""

import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime
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
    code, shown, said = _give(data_dir, *arguments)
    assert code == 0, said
    return json.loads(shown)


def _give(data_dir: Path, *arguments: str) -> tuple[int, str, str]:
    shown, said = io.StringIO(), io.StringIO()
    with redirect_stdout(shown), redirect_stderr(said):
        code = main([*arguments, "--data", str(data_dir), "--json"])
    return code, shown.getvalue(), said.getvalue()


def read_clock(data_dir: Path) -> datetime:
    """The installation's time."""
    return datetime.fromisoformat(run_here(data_dir, "clock", "show")["now"])


def advance_to(data_dir: Path, instant: datetime) -> None:
    """Move an installation's clock to an instant, or a moment behind it; all that was due by then is done.

    A movement that is under way, such as one that a kill interrupted, is waited for.
    """
    real = SystemClock()
    deadline = real.monotonic() + SECONDS
    while True:
        rest = instant - read_clock(data_dir)
        # The last step waits for what is due, so there is always one, though the clock runs on between two looks. It
        # ends a second later: what is shown has lost its fraction.
        step = f"{rest.days}d" if rest.days > 0 else f"{max(0, int(rest.total_seconds())) + 1}s"
        code, _, said = _give(data_dir, "clock", "advance", step)
        if code == 0 and rest.days <= 0:
            return
        assert code == 0 or "being moved already" in said, said
        assert real.monotonic() < deadline, f"{instant} is not reached: {said}"


def wait_for(client: EcsClient, noun: str, field: str, wanted: str) -> dict:
    clock = SystemClock()
    deadline = clock.monotonic() + SECONDS
    while True:
        (found,) = client.call(f"Describe{noun}s", {"RegionId": "cn-hangzhou"})[f"{noun}s"][noun]
        if found[field] == wanted:
            return found
        assert clock.monotonic() < deadline, found
        clock.sleep(0.05)
