"""`lamina serve` that kills itself with SIGKILL at steps of one kind of task, and is started again whenever it died.

Reads orders from standard input, a line each: FOLDER INSTANT run|undo KIND. For each it serves the installation in
FOLDER, whose clock stands at INSTANT, until that is stopped with SIGTERM; then it says so.

The service dies once at each point: before and behind every step, and in `undo` before and behind the undoing of
every step, the last step being refused. FOLDER/points says at which points it died already, FOLDER/deaths how many
processes died, FOLDER/pid which one is alive. The points are made here, around the product's own kind, and the product
knows nothing of them. Each process is forked from this one, which has all modules loaded: that saves half a second.
"""

import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lamina.clock import Clock, ManualClock
from lamina.control.kinds import KINDS
from lamina.control.movable_clock import MovableClock, is_movable
from lamina.failures import Refusal
from lamina.processes import worker
from lamina.processes.all_in_one import Address, serve
from lamina.settings import Settings
from lamina.tasks.task import TaskKind
from tests.factories.tasks import change_step, then_raise


@dataclass(frozen=True)
class Order:
    """What to serve, and whose steps are deadly."""

    folder: Path
    instant: datetime
    way: str
    kind_name: str

    @classmethod
    def parse(cls, line: str) -> "Order":
        folder, instant, way, kind_name = line.split()
        return cls(Path(folder), datetime.fromisoformat(instant), way, kind_name)


def die_once(folder: Path, point: str) -> None:
    """Die, unless a process died here before; the point is on disk before this one is gone."""
    with (folder / "points").open("a+") as file:
        file.seek(0)
        if point in file.read().splitlines():
            return
        file.write(point + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.kill(os.getpid(), signal.SIGKILL)


def doom(folder: Path, name: str):
    """Wrapper of a step's function."""

    def wrap(function):
        def run(plant, arguments, context):
            die_once(folder, f"{name} before")
            function(plant, arguments, context)
            die_once(folder, f"{name} behind")

        return run

    return wrap


def doom_kind(folder: Path, kind: TaskKind, way: str) -> TaskKind:
    if way == "undo":
        kind = change_step(kind, len(kind.steps) - 1, run=then_raise(Refusal("refused by the test")))
    for index, step in enumerate(kind.steps):
        if getattr(step, way) is not None:
            kind = change_step(kind, index, **{way: doom(folder, f"{way} {index}")})
    return kind


def list_points(way: str, kind: TaskKind) -> list[str]:
    """All points of a kind, in no order."""
    names = [f"{way} {index}" for index, step in enumerate(kind.steps) if getattr(step, way) is not None]
    return [f"{name} {when}" for name in names for when in ("before", "behind")]


def serve_doomed(order: Order) -> None:
    worker.KINDS = tuple(
        doom_kind(order.folder, kind, order.way) if kind.name == order.kind_name else kind for kind in KINDS
    )
    data = order.folder / "data"
    clock: Clock = ManualClock(order.instant)
    if is_movable(data):
        clock = MovableClock(data, clock)
    settings = Settings(cache_dir=order.folder / "cache", workers=2)
    serve(data, Address(host="127.0.0.1", port=0), settings, say=print, clock=clock)


def carry_out(order: Order) -> int:
    """Start the service again and again, until it ends in another way than by SIGKILL; answers its exit code."""
    while True:
        child = os.fork()
        if child == 0:
            with (order.folder / "log").open("ab") as log:
                os.dup2(log.fileno(), sys.stdout.fileno())
                os.dup2(log.fileno(), sys.stderr.fileno())
                serve_doomed(order)
            os._exit(0)
        (order.folder / "pid").write_text(str(child))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != -signal.SIGKILL:
            return code
        with (order.folder / "deaths").open("a") as file:
            file.write(f"{child}\n")


def main() -> None:
    print("ready", flush=True)
    while line := sys.stdin.readline():
        print(f"ended {carry_out(Order.parse(line))}", flush=True)


if __name__ == "__main__":
    main()
