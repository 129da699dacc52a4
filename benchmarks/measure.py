"""Running a command and measuring what it cost: wall time, CPU seconds, peak memory."""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one run of a command cost.

    Attributes:
        wall_seconds: elapsed time.
        cpu_seconds: user and system time of the process and its waited-for children.
        peak_mib: largest resident set of any one process.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


def run(
    command: Sequence[str | Path],
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Path | None = None,
    stdout: Path | None = None,
) -> Cost:
    """Run a command to its end; a failure raises with its error output."""
    with (
        Path(stdin or os.devnull).open("rb") as source,
        Path(stdout or os.devnull).open("wb") as target,
        subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **(environ or {})},
            cwd=cwd,
            stdin=source,
            stdout=target,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        started = time.perf_counter()
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} failed with {process.returncode}: {errors.decode()[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        statistics.median(cost.wall_seconds for cost in costs),
        statistics.median(cost.cpu_seconds for cost in costs),
        statistics.median(cost.peak_mib for cost in costs),
    )


def tree_bytes(folder: Path) -> int:
    """The sum of the sizes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
