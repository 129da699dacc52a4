"""How fast a snapshot becomes a file of each format, beside plain `qemu-img convert` from a raw file of the same bytes.

Both ways make the same file on the same file system, one after the other in each round. The raw format is restored by
Lamina itself. Usage: python benchmarks/image_files.py [--gib 1] [--rounds 3] [--folder /dev/shm]
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from images import build_image
from measure import Cost, median
from rich.console import Console
from rich.table import Table

from lamina.blockio.qemu.formats import ImageFormat
from lamina.blockio.qemu.image_tool import FileSource, ImageTool
from lamina.blockio.raw_file import RawFileSource, RawFileTarget
from lamina.control.images.served import serving
from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import KeyFile
from lamina.ids import SnapshotId
from lamina.transfer.capture import CaptureRequest, capture
from lamina.transfer.progress import Progress
from lamina.transfer.restore import RestoreRequest, restore
from lamina.units import GIB, MIB

KEY = KeyFile(b"benchmark" * 4)
SNAPSHOT = SnapshotId("s-benchmark")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        raw = FileSource(path=build_image(folder, options.gib * GIB), format=ImageFormat.RAW)
        repository = Repository.create(DirectoryStore.create(folder / "store"), KEY)
        with RawFileSource(raw.path) as source:
            capture(repository, source, CaptureRequest(snapshot_id=SNAPSHOT), Progress())
        show(compare(folder, raw, repository, options.rounds), raw.path.stat().st_blocks * 512)


def compare(
    folder: Path, raw: FileSource, repository: Repository, rounds: int
) -> dict[ImageFormat, list[Cost]]:
    """The median cost of both ways, by format: plain, ours."""
    tool = ImageTool(folder)
    size = raw.path.stat().st_size
    found = {}
    for image_format in ImageFormat:
        target = FileSource(path=folder / "out", format=image_format)

        def plain(target: FileSource = target) -> None:
            tool.convert(raw, target, size, lambda _share: None)

        def ours(target: FileSource = target) -> None:
            if target.format is ImageFormat.RAW:
                with RawFileTarget.create(target.path, size) as file:
                    restore(repository, SNAPSHOT, file, RestoreRequest(workers=2), Progress())
                return
            with serving(repository, SNAPSHOT, folder) as disk:
                tool.convert(disk, target, size, lambda _share: None)

        costs = [(measure(plain, target.path), measure(ours, target.path)) for _ in range(rounds)]
        found[image_format] = [median(each) for each in zip(*costs, strict=True)]
    return found


def measure(work: Callable[[], None], made: Path) -> Cost:
    """What one run costs, its programs included; what it made is removed."""
    before, started = read_cpu(), time.perf_counter()
    work()
    cost = Cost(time.perf_counter() - started, read_cpu() - before, 0.0)
    made.unlink()
    return cost


def read_cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def show(found: dict[ImageFormat, list[Cost]], data_bytes: int) -> None:
    table = Table(title=f"snapshot to file, {data_bytes / GIB:.2f} GiB of data, medians")
    for heading in ("format", "plain MB/s", "ours MB/s", "ratio", "plain CPU s", "ours CPU s"):
        table.add_column(heading, justify="right")
    for image_format, (plain, ours) in found.items():
        speeds = [data_bytes / MIB / cost.wall_seconds for cost in (plain, ours)]
        table.add_row(
            image_format.value,
            *(f"{speed:.0f}" for speed in speeds),
            f"{plain.wall_seconds / ours.wall_seconds:.2f}",
            *(f"{cost.cpu_seconds:.2f}" for cost in (plain, ours)),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
