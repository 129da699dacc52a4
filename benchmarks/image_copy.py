"""What a copy of an image between two regions costs: the first time, the next version, the same one again, in place.

The image's disk holds real files. One hundredth of its blocks change between the two versions, at places drawn with a
fixed seed. Bytes are those that went through the object stores. Usage: python benchmarks/image_copy.py [--gib 1]
"""

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from images import build_image
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from lamina.clock import SystemClock
from lamina.control import repositories
from lamina.control.accounts.records import AccountRecord
from lamina.control.disks.create import ImportedDisk, import_disk
from lamina.control.disks.states import DiskRole
from lamina.control.first_start import DEFAULT_REGION, furnish
from lamina.control.images.add import ImageFacts
from lamina.control.images.copy import NewImageCopy, copy_image
from lamina.control.images.create import NewImage, create_image
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import ImageState
from lamina.control.installation import Installation, open_installation
from lamina.control.kinds import KINDS
from lamina.control.scope import Scope
from lamina.control.snapshots.create import NewSnapshot, create_snapshot
from lamina.engine.objects.metered import MeteredStore
from lamina.ids import AccountId, DiskId, ImageId, RegionId
from lamina.settings import Settings
from lamina.tasks.runner import Runner
from lamina.tasks.task import COPY, QUICK
from lamina.units import GIB, MIB, format_bytes

NEAR, FAR = DEFAULT_REGION.id, RegionId("eu-far-1")
ZONE = next(iter(DEFAULT_REGION.zones))
BLOCK = 64 * 1024
CHANGED_SHARE = 0.01


@dataclass
class Bench:
    """An installation with two regions, and what its stores were asked for."""

    installation: Installation
    account_id: AccountId
    runner: Runner[Installation]
    stores: dict[str, MeteredStore]

    @contextmanager
    def scope(self) -> Iterator[Scope]:
        with self.installation.database.transaction() as session:
            yield self.installation.scope(session, self.account_id, NEAR)

    def work(self) -> None:
        self.runner.run_until_idle()

    def make_image(self, disk_id: DiskId) -> ImageId:
        with self.scope() as scope:
            snapshot_id = create_snapshot(scope, NewSnapshot(disk_id=disk_id)).id
        self.work()
        with self.scope() as scope:
            return create_image(scope, NewImage(facts=ImageFacts(), snapshot_id=snapshot_id)).id

    def count(self) -> tuple[int, int, int]:
        """Bytes read from the stores, bytes written to them, requests."""
        totals = [store.snapshot().total for store in self.stores.values()]
        return (
            sum(each.bytes_received for each in totals),
            sum(each.bytes_sent for each in totals),
            sum(each.requests for each in totals),
        )

    def copy(self, title: str, image_id: ImageId, region_id: RegionId) -> tuple[str, float, int, int, int]:
        before = self.count()
        started = time.perf_counter()
        with self.scope() as scope:
            made = copy_image(scope, NewImageCopy(image_id=image_id, region_id=region_id)).id
        self.work()
        seconds = time.perf_counter() - started
        with self.installation.database.reading() as session:
            assert session.get(ImageRecord, made).state is ImageState.AVAILABLE
        read, stored, requests = (now - then for now, then in zip(self.count(), before, strict=True))
        return title, seconds, read, stored, requests


@contextmanager
def opened(folder: Path) -> Iterator[Bench]:
    data = folder / "data"
    data.mkdir(mode=0o700)
    (data / "lamina.toml").write_text(f"[regions.{FAR}]\n")
    stores: dict[str, MeteredStore] = {}
    plain = repositories.open_store

    def open_metered(location, settings, **options):
        stores[location] = MeteredStore(plain(location, settings, **options), clock=SystemClock())
        return stores[location]

    settings = Settings(cache_dir=folder / "cache", workers=2)
    with (
        patch.object(repositories, "open_store", open_metered),
        open_installation(data, settings) as installation,
    ):
        furnish(installation)
        runner = Runner(installation.database, installation.clock, installation, KINDS, {QUICK: 1, COPY: 1})
        with installation.database.reading() as session:
            account_id = session.scalars(select(AccountRecord.id)).one()
        yield Bench(installation, account_id, runner, stores)


def change(disk: Path, used_bytes: int) -> int:
    """Write new bytes over a share of the blocks that hold data; answers how many bytes."""
    draw = random.Random(1)
    blocks = used_bytes // BLOCK
    chosen = draw.sample(range(blocks), int(blocks * CHANGED_SHARE))
    with disk.open("r+b") as stream:
        for block in chosen:
            stream.seek(block * BLOCK)
            stream.write(draw.randbytes(BLOCK))
    return len(chosen) * BLOCK


def run(folder: Path, data_bytes: int) -> list[tuple[str, float, int, int, int]]:
    source = build_image(folder, data_bytes)
    with opened(folder) as bench:
        size = (source.stat().st_size + GIB - 1) // GIB * GIB
        with bench.scope() as scope:
            new = ImportedDisk(zone_id=ZONE, size_bytes=size, role=DiskRole.SYSTEM)
            disk_id = import_disk(scope, new).id
        bench.work()
        raw = bench.installation.volumes.raw_path(disk_id)
        with source.open("rb") as data, raw.open("r+b") as target:
            shutil.copyfileobj(data, target, 4 * MIB)
        used = source.stat().st_blocks * 512
        source.unlink()
        first = bench.make_image(disk_id)
        rows = [bench.copy(f"first time, {format_bytes(used)} of files", first, FAR)]
        changed = change(raw, used)
        second = bench.make_image(disk_id)
        rows.append(bench.copy(f"next version, {format_bytes(changed)} changed", second, FAR))
        rows.append(bench.copy("the same version again", second, FAR))
        rows.append(bench.copy("within its region", second, NEAR))
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0, help="how much data the image holds")
    parser.add_argument("--folder", type=Path, help="where to work; needs four times the data")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = run(Path(folder), int(options.gib * GIB))
    whole = rows[0]
    table = Table(title="A copy of an image", box=None)
    for head in ("", "seconds", "read", "stored", "requests", "time : first", "read : first"):
        table.add_column(head, justify="left" if not head else "right")
    for title, seconds, read, stored, requests in rows:
        table.add_row(
            title,
            f"{seconds:.2f}",
            format_bytes(read),
            format_bytes(stored),
            str(requests),
            f"{seconds / whole[1]:.3f}",
            f"{read / whole[2]:.4f}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
