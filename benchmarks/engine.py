"""Figures of the engine itself: rescan speed, hole map, requests, and a 100 TiB disk without changes.

Each figure is measured in a process of its own, so that its peak memory is its own. Usage: python benchmarks/engine.py
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lamina.blockio.extents import Extent
from lamina.blockio.raw_file import RawFileSource
from lamina.clock import SystemClock
from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.objects.metered import MeteredStore
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import KeyFile
from lamina.transfer.capture import CaptureRequest, CaptureResult, ChangeHint, capture
from lamina.transfer.progress import Progress

KEY = KeyFile(b"benchmark" * 4)
Figures = dict[str, float | int | str]


def measured_capture(folder: Path, disk: Path, request: CaptureRequest) -> tuple[CaptureResult, Figures]:
    """Open the repository, capture once, and count everything."""
    store = MeteredStore(DirectoryStore.create(folder / "store"), clock=SystemClock())
    wall, cpu = time.perf_counter(), time.process_time()
    repository = Repository.open(store, KEY, cache_dir=folder / "cache")
    with RawFileSource(disk) as source:
        result = capture(repository, source, request, Progress())
    figures: Figures = {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "requests": store.snapshot().total.requests,
        "read_bytes": result.read_bytes,
    }
    return result, figures


def new_repository(folder: Path) -> None:
    Repository.create(DirectoryStore.create(folder / "store"), KEY)


def hole_map(folder: Path) -> Figures:
    """The extents of an empty 8 TiB sparse file."""
    disk = folder / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(8 << 40)
    started = time.perf_counter()
    with RawFileSource(disk) as source:
        extents = list(source.list_extents(0, source.size_bytes))
    return {"seconds": time.perf_counter() - started, "extents": len(extents)}


def huge_unchanged(folder: Path) -> Figures:
    """A sparse 100 TiB disk with 4,000 written places all over it; then nothing changes and the hint says so."""
    disk = folder / "disk.raw"
    prepare = subprocess.run(
        [sys.executable, __file__, "--only", "_prepare_huge", "--folder", str(folder)],
        check=True,
        capture_output=True,
    )
    parent = json.loads(prepare.stdout)["snapshot"]
    request = CaptureRequest(parent=parent, hint=ChangeHint(relative_to="t0", extents=()), tracking="t1")
    return measured_capture(folder, disk, request)[1]


def _prepare_huge(folder: Path) -> Figures:
    disk = folder / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(100 << 40)
        for index in range(4000):
            stream.seek(index * ((100 << 40) // 4000) // 65536 * 65536)
            stream.write(os.urandom(65536))
    new_repository(folder)
    result, _ = measured_capture(folder, disk, CaptureRequest(tracking="t0"))
    return {"snapshot": result.snapshot_id}


def rescan(folder: Path) -> Figures:
    """A second capture of 2 GiB without a hint: everything is read and hashed, nothing is stored."""
    disk = folder / "disk.raw"
    with disk.open("wb") as stream:
        for _ in range(2048):
            stream.write(os.urandom(1 << 20))
    new_repository(folder)
    result, _ = measured_capture(folder, disk, CaptureRequest())
    runs = [measured_capture(folder, disk, CaptureRequest(parent=result.snapshot_id))[1] for _ in range(3)]
    seconds = statistics.median(float(run["seconds"]) for run in runs)
    return {
        "seconds": seconds,
        "cpu_seconds": statistics.median(float(run["cpu_seconds"]) for run in runs),
        "gb_per_second": (2 << 30) / seconds / 1e9,
        "requests": runs[0]["requests"],
    }


def small_change(folder: Path) -> Figures:
    """One 4 KiB change on a 2 GiB disk, with a hint."""
    disk = folder / "disk.raw"
    with disk.open("wb") as stream:
        for _ in range(2048):
            stream.write(os.urandom(1 << 20))
    new_repository(folder)
    result, _ = measured_capture(folder, disk, CaptureRequest(tracking="t0"))
    with disk.open("r+b") as stream:
        stream.seek(123 << 20)
        stream.write(os.urandom(4096))
    hint = ChangeHint(relative_to="t0", extents=(Extent(123 << 20, 4096),))
    return measured_capture(folder, disk, CaptureRequest(parent=result.snapshot_id, hint=hint))[1]


FIGURES: dict[str, Callable[[Path], Figures]] = {
    function.__name__: function
    for function in (hole_map, huge_unchanged, rescan, small_change, _prepare_huge)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="a tmpfs with 5 GiB of room")
    parser.add_argument("--only", choices=sorted(FIGURES))
    parser.add_argument("--output", type=Path, default=Path("bench-results/engine.json"))
    arguments = parser.parse_args()
    if arguments.only:
        figures = FIGURES[arguments.only](arguments.folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        json.dump({**figures, "peak_mib": peak}, sys.stdout)
        return
    results = {}
    table = Table("figure", "values", title="engine")
    for name, function in FIGURES.items():
        if name.startswith("_"):
            continue
        with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
            command = [sys.executable, __file__, "--only", name, "--folder", scratch]
            results[name] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        shown = ", ".join(
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in results[name].items()
        )
        table.add_row(f"{name}\n[dim]{function.__doc__}[/dim]", shown)
    Console(width=140).print(table)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
