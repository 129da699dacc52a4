"""The control plane under load: 1,000,000 snapshots of 100,000 disks, 20 clients at once, on both kinds of database.

What is measured is the API process: signature, pipeline, SQL, answer, over HTTP on loopback, with the clients on
the same cores. No worker runs beside it, so that `CreateSnapshot` is its bookkeeping: checks, rows, the queued task.

Usage: python -m benchmarks.control [--snapshots N] [--kinds sqlite,postgresql] [--folder DIR]
With --folder, the filled SQLite database is kept there and used again.
"""

import argparse
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine
from uvicorn import Server

from lamina.api.actions.snapshots.describe_snapshots import DescribeSnapshotsRequest
from lamina.api.asgi import server_config
from lamina.api.paging import Pager
from lamina.cli.client import EcsClient, Profile
from lamina.control.first_start import DEFAULT_REGION, furnish
from lamina.control.installation import Installation, open_installation
from lamina.control.paging import PageKey
from lamina.control.snapshots.records import SnapshotRecord
from lamina.failures import LaminaError
from lamina.processes.api import make_app, settle_down
from lamina.settings import Settings
from tests.factories.crowd import Crowd, disk_id, fill, snapshot_id
from tests.servers.postgresql import running

LOAD = "load"
CLIENTS = 20
PROCESSES = 2
SECONDS = 10.0
WARM_UP_SECONDS = 1.0
PAUSE_SECONDS = 0.2
REGION = DEFAULT_REGION.id
ZONE = "cn-hangzhou-h"
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "1GB"}
Parameters = dict[str, str | int]


@dataclass(frozen=True)
class Scenario:
    """One kind of call; `make` gives the parameters of the n-th one."""

    name: str
    action: str
    make: Callable[[int], Parameters]


@dataclass(frozen=True)
class Scene:
    """A filled database.

    Attributes:
        last: the token of the last page.
    """

    crowd: Crowd
    last: str


@dataclass(frozen=True)
class Load:
    """How hard the clients press: each begins a call every `pause` seconds, or as soon as it can."""

    seconds: float
    pause: float = 0.0


@dataclass(frozen=True)
class Figures:
    """What some load came to; latencies in milliseconds, CPU of the API process per call."""

    calls: int
    calls_per_second: float
    p50: float
    p99: float
    cpu: float


def list_scenarios(scene: Scene) -> list[Scenario]:
    """All scenarios, the writing one last."""
    crowd = scene.crowd
    snapshots = crowd.snapshots
    tag = {"Tag.1.Key": "team"}
    return [
        Scenario(
            "by id",
            "DescribeSnapshots",
            lambda n: {"SnapshotIds": json.dumps([snapshot_id(n * 7919 % snapshots)])},
        ),
        Scenario("by disk", "DescribeSnapshots", lambda n: {"DiskId": disk_id(n * 7919 % crowd.disks)}),
        Scenario(
            "by name",
            "DescribeSnapshots",
            lambda n: {"SnapshotName": f"snapshot {n * 7919 % (snapshots // 10)}"},
        ),
        Scenario("by status, rare", "DescribeSnapshots", lambda _: {"Status": "failed"}),
        Scenario(
            "by tag, 1 in 1000",
            "DescribeSnapshots",
            lambda n: {**tag, "Tag.1.Value": f"team {n % crowd.teams}"},
        ),
        Scenario(
            "by tag, every other", "DescribeSnapshots", lambda _: {"Tag.1.Key": "env", "Tag.1.Value": "test"}
        ),
        Scenario("first page", "DescribeSnapshots", lambda _: {}),
        Scenario(
            "last page by token", "DescribeSnapshots", lambda _: {"MaxResults": 10, "NextToken": scene.last}
        ),
        Scenario("last page by number", "DescribeSnapshots", lambda _: {"PageNumber": snapshots // 10}),
        Scenario(
            "disks by id",
            "DescribeDisks",
            lambda n: {"DiskIds": json.dumps([disk_id(n * 7919 % crowd.disks)])},
        ),
        Scenario(
            "CreateSnapshot",
            "CreateSnapshot",
            lambda n: {"DiskId": disk_id(n % crowd.disks), "SnapshotName": LOAD},
        ),
    ]


@contextlib.contextmanager
def opened(folder: Path, url: str | None) -> Iterator[Installation]:
    """The installation of a run, filled if it is new."""
    settings = Settings(cache_dir=folder / "cache", database=url)
    with open_installation(folder / "data", settings) as installation:
        furnish(installation, "http://unused")
        yield installation


def prepare(folder: Path, url: str | None, snapshots: int) -> Scene:
    """Fill the database of a run, if it is empty."""
    with opened(folder, url) as installation:
        credentials = json.loads((folder / "data" / "credentials.json").read_text())
        crowd = Crowd(
            account_id=credentials["account_id"],
            region_id=REGION,
            zone_id=ZONE,
            snapshots=snapshots,
            teams=max(1, snapshots // 1000),
        )
        if not (folder / "filled").exists():
            started = time.perf_counter()
            fill(installation.database, crowd)
            if url is not None:
                tidy(url)
            print(f"filled {snapshots:,} snapshots in {time.perf_counter() - started:.0f} s", flush=True)
            (folder / "filled").touch()
        with installation.database.reading() as session:
            row = session.get(SnapshotRecord, snapshot_id(9))
        pager = Pager(
            key=installation.root_key.derive("paging"),
            account_id=crowd.account_id,
            action="DescribeSnapshots",
        )
        request = DescribeSnapshotsRequest(region_id=REGION, max_results=10)
        last = pager.write(PageKey(created_at=row.created_at, id=row.id), request)
        return Scene(crowd=crowd, last=last)


def tidy(url: str) -> None:
    """What a server of PostgreSQL does by itself, and those of tests leave."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def serve(folder: Path, url: str | None) -> None:
    """The API without a worker, until it is terminated. Says its port on standard output."""
    with opened(folder, url) as installation, socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(listener.getsockname()[1], flush=True)
        app = make_app(installation)
        settle_down()
        Server(server_config(app, "127.0.0.1", 0)).run(sockets=[listener])


def call_for_a_while(profile: Profile, scene: Scene, index: int, first: int, load: Load) -> list[float]:
    """Be some of the clients of a scenario; answers with the latencies in seconds."""
    scenario = list_scenarios(scene)[index]
    numbers = itertools.count(first, PROCESSES)
    client = EcsClient(profile)
    clients = CLIENTS // PROCESSES
    end = time.perf_counter() + load.seconds

    def work(place: int) -> list[float]:
        latencies: list[float] = []
        due = time.perf_counter() + place * load.pause / clients
        while (started := max(due, time.perf_counter())) < end:
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                client.call(scenario.action, {"RegionId": REGION, **scenario.make(next(numbers))})
            except LaminaError as failure:
                raise RuntimeError(str(failure)) from failure  # one that can be sent to the other process
            latencies.append(time.perf_counter() - started)
            due += load.pause
        return latencies

    with ThreadPoolExecutor(clients) as threads:
        latencies = list(itertools.chain.from_iterable(threads.map(work, range(clients))))
    client.close()
    return latencies


def measure(call: tuple[Profile, Scene, int], pid: int, first: int, load: Load) -> Figures:
    """All clients at once."""
    cpu, started = read_cpu(pid), time.perf_counter()
    with ProcessPoolExecutor(PROCESSES) as processes:
        calls = [processes.submit(call_for_a_while, *call, first + at, load) for at in range(PROCESSES)]
        latencies = sorted(itertools.chain.from_iterable(each.result() for each in calls))
    return Figures(
        calls=len(latencies),
        calls_per_second=len(latencies) / (time.perf_counter() - started),
        p50=1000 * latencies[len(latencies) // 2],
        p99=1000 * latencies[len(latencies) * 99 // 100],
        cpu=1000 * (read_cpu(pid) - cpu) / len(latencies),
    )


def read_cpu(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_used(folder: Path) -> int:
    """The number of the first disk that is not being snapshotted since an earlier run."""
    path = folder / "used"
    return int(path.read_text()) if path.exists() else 0


def run(folder: Path, url: str | None, options: argparse.Namespace) -> list[tuple[str, Figures, Figures]]:
    """All scenarios on one database."""
    folder.mkdir(exist_ok=True, parents=True)
    scene = prepare(folder, url, options.snapshots)
    credentials = json.loads((folder / "data" / "credentials.json").read_text())
    command = [
        sys.executable,
        "-m",
        "benchmarks.control",
        "--serve",
        str(folder),
        *(["--url", url] if url else []),
    ]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as server,
    ):
        assert server.stdout is not None
        port = int(server.stdout.readline())
        profile = Profile(
            endpoint=f"http://127.0.0.1:{port}",
            access_key_id=credentials["access_key_id"],
            access_key_secret=credentials["access_key_secret"],
            region_id=REGION,
        )
        figures = []
        used = read_used(folder)
        try:
            for index, scenario in enumerate(list_scenarios(scene)):
                if options.only and options.only not in scenario.name:
                    continue
                call = (profile, scene, index)
                pressed = []
                for load in (
                    Load(WARM_UP_SECONDS),
                    Load(options.seconds, PAUSE_SECONDS),
                    Load(options.seconds),
                ):
                    pressed.append(measure(call, server.pid, used, load))
                    if scenario.action == "CreateSnapshot":  # a disk has one unfinished snapshot at most
                        # the numbers of the processes interleave, and one may be ahead of the other
                        used += 2 * pressed[-1].calls
                        (folder / "used").write_text(str(used))
                _, paced, full = pressed
                figures.append((scenario.name, paced, full))
                print(figures[-1], flush=True)
        finally:
            server.terminate()
    return figures


def show(results: dict[str, list[tuple[str, Figures, Figures]]]) -> None:
    """Print the figures of all kinds side by side."""
    pace = f"{CLIENTS / PAUSE_SECONDS:.0f}/s"
    table = Table(title=f"{CLIENTS} clients over HTTP, milliseconds")
    titles = (
        "database",
        "call",
        f"p50 at {pace}",
        f"p99 at {pace}",
        "API CPU",
        "p50 at most",
        "p99 at most",
        "calls/s at most",
    )
    for title in titles:
        table.add_column(title, justify="left" if title in ("database", "call") else "right")
    for kind, figures in results.items():
        for name, paced, full in figures:
            numbers = (paced.p50, paced.p99, paced.cpu, full.p50, full.p99, full.calls_per_second)
            table.add_row(kind, name, *(f"{number:.1f}" for number in numbers))
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snapshots", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--kinds", default="sqlite,postgresql")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.url)
        return
    results = {}
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="lamina-control-"))
        )
        folder.mkdir(exist_ok=True, parents=True)
        if "sqlite" in options.kinds:
            results["SQLite"] = run(folder / "sqlite", None, options)
        if "postgresql" in options.kinds:
            own = Path(
                stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
            )  # the server's data is not kept
            (own / "server").mkdir()
            server = stack.enter_context(running(own / "server", DURABLE))
            results["PostgreSQL"] = run(own / "postgresql", server.url("template_lamina"), options)
    show(results)


if __name__ == "__main__":
    main()
