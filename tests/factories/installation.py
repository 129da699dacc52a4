"""A whole installation in a folder of the test, without threads: tasks run when the test says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from lamina.clock import ManualClock
from lamina.control.accounts.create import create_account
from lamina.control.accounts.records import AccountRecord
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.channel import DiskChannel, open_channel
from lamina.control.disks.connect import connect, disconnect
from lamina.control.disks.create import ImportedDisk, NewDisk, create_disk, import_disk
from lamina.control.disks.queries import get_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.reset import reset_disk
from lamina.control.first_start import DEFAULT_REGION, furnish
from lamina.control.images.scratch import FILES
from lamina.control.installation import Installation, open_installation
from lamina.control.kinds import KINDS
from lamina.control.scope import Limits, Scope
from lamina.control.snapshots.create import NewSnapshot, create_snapshot
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.records import SnapshotRecord
from lamina.ids import AccountId, DiskId, RegionId, SnapshotId, ZoneId
from lamina.settings import Settings
from lamina.tasks.runner import Runner
from lamina.tasks.task import BULK, COPY, QUICK
from lamina.units import GIB

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ZONE = ZoneId("cn-hangzhou-h")


@dataclass
class Site:
    """An installation, its clock, and short ways to do what tests do all the time.

    Attributes:
        installation: the real thing.
        clock: stands still until the test moves it.
        account_id: who acts.
        runner: carries out tasks in the test's own thread.
    """

    installation: Installation
    clock: ManualClock
    account_id: AccountId
    runner: Runner[Installation]

    @contextmanager
    def scope(self, *, region_id: RegionId = DEFAULT_REGION.id) -> Iterator[Scope]:
        with self.installation.database.transaction() as session:
            yield self.installation.scope(session, self.account_id, region_id)

    def as_another_account(self) -> "Site":
        """The same installation through the eyes of a new account."""
        with self.installation.database.transaction() as session:
            return replace(self, account_id=create_account(session, self.clock, name="other").id)

    def work(self) -> int:
        """Carry out everything that is due."""
        return self.runner.run_until_idle()

    def make_disk(self, *, size_gib: int = 20, **options) -> DiskId:
        """A new empty disk of any category."""
        with self.scope() as scope:
            new = NewDisk(
                zone_id=ZONE,
                category=options.pop("category", DiskCategory.CLOUD_ESSD),
                size_gib=size_gib,
                **options,
            )
            disk_id = create_disk(scope, new).id
        self.work()
        return disk_id

    def make_imported(self, content: bytes = b"", *, size_bytes: int = GIB, **options) -> DiskId:
        """A disk that may be snapshotted, with `content` at its start."""
        with self.scope() as scope:
            disk_id = import_disk(scope, ImportedDisk(zone_id=ZONE, size_bytes=size_bytes, **options)).id
        self.work()
        if content:
            self.write(disk_id, 0, content)
        return disk_id

    def write(self, disk_id: DiskId, offset: int, content: bytes) -> None:
        with self.connected(disk_id) as channel:
            channel.write(offset, content)

    def read(self, disk_id: DiskId, offset: int, length: int) -> bytes:
        path = self.installation.volumes.raw_path(disk_id)
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    @contextmanager
    def connected(self, disk_id: DiskId) -> Iterator[DiskChannel]:
        with self.scope() as scope:
            connection = connect(scope, disk_id)
            channel = open_channel(scope, self.installation.volumes, connection.id)
        yield channel
        with self.scope() as scope:
            disconnect(scope, connection.id)

    def start_snapshot(self, disk_id: DiskId, **options) -> SnapshotId:
        with self.scope() as scope:
            return create_snapshot(scope, NewSnapshot(disk_id=disk_id, **options)).id

    def make_snapshot(self, disk_id: DiskId, **options) -> SnapshotId:
        snapshot_id = self.start_snapshot(disk_id, **options)
        self.work()
        return snapshot_id

    def delete(self, snapshot_id: SnapshotId, *, force: bool = False) -> None:
        with self.scope() as scope:
            delete_snapshot(scope, snapshot_id, force=force)
        self.work()

    def roll_back(self, disk_id: DiskId, snapshot_id: SnapshotId) -> None:
        with self.scope() as scope:
            reset_disk(scope, disk_id, snapshot_id)
        self.work()

    def disk(self, disk_id: DiskId) -> DiskRecord:
        with self.scope() as scope:
            return get_disk(scope, disk_id)

    def snapshot(self, snapshot_id: SnapshotId) -> SnapshotRecord | None:
        """The row, whatever its state."""
        with self.installation.database.reading() as session:
            return session.get(SnapshotRecord, snapshot_id)

    def list_stored(self, *, account_id: AccountId | None = None) -> list[SnapshotId]:
        """The snapshots that the repository has."""
        repository = self.installation.repositories.find(account_id or self.account_id, DEFAULT_REGION.id)
        return repository.list_snapshots() if repository is not None else []


@contextmanager
def open_site(
    directory: Path,
    *,
    clock: ManualClock | None = None,
    limits: Limits | None = None,
    settings: Settings | None = None,
) -> Iterator[Site]:
    """Open the installation in a folder, also one that an earlier test process left behind."""
    clock = clock or ManualClock(START)
    settings = replace(settings or Settings(), cache_dir=directory / "cache", workers=2)
    with open_installation(directory / "data", settings, clock, limits=limits) as installation:
        furnish(installation, "http://127.0.0.1:1")
        runner = Runner(
            installation.database, clock, installation, KINDS, {QUICK: 1, COPY: 1, BULK: 1, FILES: 1}
        )
        with installation.database.reading() as session:
            account_id = session.scalars(select(AccountRecord.id).order_by(AccountRecord.created_at)).first()
        yield Site(installation=installation, clock=clock, account_id=account_id, runner=runner)
