"""The API while a policy takes snapshots: all disks of an account are due in the same minute.

The whole service runs in one process, with its workers. The disks are real and empty, so that a capture is what it
costs besides the bytes: a point in time, a manifest, the steps and the rows of a task. Clients change and look at
disks at a steady pace meanwhile; then a disk is made from a snapshot, as a restore that must not wait for the rest.

Usage: python -m benchmarks.burst [--disks N] [--seconds S] [--kinds sqlite,postgresql]
"""

import argparse
import contextlib
import itertools
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select, text, update
from uvicorn import Server

from benchmarks.control import DURABLE, LOAD, REGION, ZONE, opened, read_cpu
from lamina.api.asgi import server_config
from lamina.cli.client import EcsClient, Profile
from lamina.clock import SystemClock
from lamina.control.disks.records import DiskRecord
from lamina.control.installation import open_metadata
from lamina.control.policies.records import PolicyRecord
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.processes.api import make_app, settle_down
from lamina.processes.worker import working
from lamina.tasks.records import TaskRecord
from lamina.units import GIB
from tests.factories.crowd import Crowd, disk_id, fill, policy_id
from tests.servers.postgresql import running

CLIENTS = 10
PAUSE_SECONDS = 0.2
BEFORE_SECONDS = 20
SETTLE_SECONDS = 15  # the service mends what looks strange to it in the rows of a crowd


@dataclass(frozen=True)
class Spread:
    """Latencies of one kind of call, in milliseconds."""

    calls: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Spread":
        found = sorted(1000 * each for each in seconds)
        return cls(len(found), found[len(found) // 2], found[len(found) * 99 // 100], found[-1])


def prepare(folder: Path, url: str | None, disks: int) -> None:
    """Disks that one policy can be applied to."""
    with opened(folder, url) as installation:
        account_id = json.loads((folder / "data" / "credentials.json").read_text())["account_id"]
        crowd = Crowd(account_id=account_id, region_id=REGION, zone_id=ZONE, snapshots=10 * disks, teams=10)
        fill(installation.database, crowd)
        for number in range(disks):
            path = installation.volumes.raw_path(disk_id(number))
            path.parent.mkdir(parents=True)
            with path.open("wb") as file:
                file.truncate(40 * GIB)
        with installation.database.transaction() as session:
            # those of the crowd have no data, so nothing is compared with them
            session.execute(update(SnapshotRecord).values(kind=SnapshotKind.USER, state=SnapshotState.FAILED))


def make_due(folder: Path) -> None:
    """The policy of all disks is due as soon as the service looks again."""
    now = SystemClock().now()
    long_ago = now - timedelta(days=1)
    with open_metadata(folder / "data") as (database, _), database.transaction() as session:
        session.execute(update(DiskRecord).values(policy_id=policy_id(0), policy_applied_at=long_ago))
        hour = now.replace(minute=0, second=0, microsecond=0)
        session.execute(
            update(PolicyRecord)
            .where(PolicyRecord.id == policy_id(0))
            .values(
                hours=",".join(map(str, range(24))),
                weekdays="1,2,3,4,5,6,7",
                next_run_at=hour,
                planned_at=long_ago,
            )
        )
        session.execute(text("ANALYZE"))  # as the databases do by themselves after a while


def serve(folder: Path, url: str | None) -> None:
    """The whole service, until it is terminated."""
    with (
        opened(folder, url) as installation,
        socket.create_server(("127.0.0.1", 0), backlog=256) as listener,
        working(installation),
    ):
        app = make_app(installation)
        settle_down()
        print(listener.getsockname()[1], flush=True)
        Server(server_config(app, "127.0.0.1", 0)).run(sockets=[listener])


def call_steadily(client: EcsClient, seconds: float, disks: int) -> dict[str, Spread]:
    """Change and look at disks, in turns; each client begins a call every `PAUSE_SECONDS`."""
    numbers = itertools.count()
    found: dict[str, list[float]] = {"ModifyDiskAttribute": [], "DescribeDisks": []}
    end = time.perf_counter() + seconds

    def work(place: int) -> None:
        due = time.perf_counter() + place * PAUSE_SECONDS / CLIENTS
        while due < end:
            time.sleep(max(0.0, due - time.perf_counter()))
            number = next(numbers)
            action = list(found)[number % len(found)]
            disk = disk_id(number * 7919 % disks)
            named = {"DiskId": disk, "DiskName": LOAD} if number % 2 == 0 else {"DiskIds": json.dumps([disk])}
            started = time.perf_counter()
            client.call(action, {"RegionId": REGION, **named})
            found[action].append(time.perf_counter() - started)
            due = max(due + PAUSE_SECONDS, time.perf_counter())

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(work, range(CLIENTS)))
    return {action: Spread.of(latencies) for action, latencies in found.items()}


def restore(client: EcsClient) -> float:
    """Seconds until a disk that is made from a snapshot is there."""
    wanted = {"RegionId": REGION, "Status": "accomplished", "MaxResults": 10}
    [snapshot, *_] = client.call("DescribeSnapshots", wanted)["Snapshots"]["Snapshot"]
    started = time.perf_counter()
    made = {"RegionId": REGION, "ZoneId": ZONE, "SnapshotId": snapshot["SnapshotId"], "Size": 40}
    found = client.call("CreateDisk", {**made, "DiskCategory": "cloud_auto"})["DiskId"]
    while True:
        looked = {"RegionId": REGION, "DiskIds": json.dumps([found])}
        [disk] = client.call("DescribeDisks", looked)["Disks"]["Disk"]
        if disk["Status"] == "Available":
            return time.perf_counter() - started
        time.sleep(0.05)


def count(folder: Path) -> dict[str, int]:
    """How far the burst is."""
    automatic = SnapshotRecord.kind == SnapshotKind.AUTO
    with open_metadata(folder / "data") as (database, _), database.reading() as session:
        started = session.scalar(select(func.count()).where(automatic)) or 0
        done = select(func.count()).where(automatic, SnapshotRecord.state == SnapshotState.ACCOMPLISHED)
        queued = select(func.count()).where(
            TaskRecord.is_background.is_(True), TaskRecord.finished_at.is_(None)
        )
        return {
            "started": started,
            "accomplished": session.scalar(done) or 0,
            "waiting": session.scalar(queued) or 0,
        }


@contextlib.contextmanager
def started(folder: Path, url: str | None) -> Iterator[tuple[EcsClient, int]]:
    known = json.loads((folder / "data" / "credentials.json").read_text())
    command = [sys.executable, "-m", "benchmarks.burst", "--serve", str(folder)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [*command, *(["--url", url] if url else [])], stdout=subprocess.PIPE, stderr=log
        ) as server,
    ):
        assert server.stdout is not None
        try:
            port = int(re.sub(rb"\D", b"", server.stdout.readline()))
            profile = Profile(
                endpoint=f"http://127.0.0.1:{port}",
                access_key_id=known["access_key_id"],
                access_key_secret=known["access_key_secret"],
                region_id=REGION,
            )
            with contextlib.closing(EcsClient(profile)) as client:
                yield client, server.pid
        finally:
            server.terminate()


def show(title: str, spreads: dict[str, Spread]) -> None:
    print(f"{title}:")
    for action, spread in spreads.items():
        print(
            f"  {action}: {spread.calls} calls, p50 {spread.p50:.1f} ms, p99 {spread.p99:.1f} ms, "
            f"longest {spread.longest:.0f} ms",
            flush=True,
        )


def run(name: str, folder: Path, url: str | None, options: argparse.Namespace) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    prepare(folder, url, options.disks)
    with started(folder, url) as (client, pid):
        time.sleep(SETTLE_SECONDS)
        show(f"{name}, before", call_steadily(client, BEFORE_SECONDS, options.disks))
        make_due(folder)
        cpu, began = read_cpu(pid), time.perf_counter()
        spreads = call_steadily(client, options.seconds, options.disks)
        used = 100 * (read_cpu(pid) - cpu) / (time.perf_counter() - began)
        show(
            f"{name}, {options.seconds:.0f} s into it, with {used:.0f}% of a core and {count(folder)}",
            spreads,
        )
        print(f"  a disk from a snapshot: {restore(client):.2f} s, with {count(folder)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--disks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kinds", default="sqlite,postgresql")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.url)
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lamina-burst-")))
        if "sqlite" in options.kinds:
            run("SQLite", folder / "sqlite", None, options)
        if "postgresql" in options.kinds:
            (folder / "server").mkdir()
            server = stack.enter_context(running(folder / "server", DURABLE))
            run("PostgreSQL", folder / "postgresql", server.url("template_lamina"), options)


if __name__ == "__main__":
    main()
