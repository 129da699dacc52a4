"""Histories of real disks, snapshots, copies, images and losses: the bills are right to the byte-hour and the cent.

What is right is computed by an observer who knows which bytes each snapshot has and when it was there, and nothing of
logs, events and counting: hour by hour, snapshot by snapshot, block by block.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from sqlalchemy import delete, select

from lamina.control.billing.check import compare_bill
from lamina.control.billing.close import close_months
from lamina.control.billing.records import BillLineRecord, BillRecord
from lamina.control.disks.states import DiskRole
from lamina.control.reconcilers import sweep_repositories
from lamina.control.scope import Limits
from lamina.control.snapshots.archive import MIN_AGE, archive_snapshot
from lamina.control.snapshots.compare import compare_with_stores
from lamina.control.snapshots.copy import NewCopy, copy_snapshot
from lamina.control.snapshots.delete import LEAST_ARCHIVED
from lamina.control.snapshots.holds import release_holds
from lamina.control.snapshots.notes import write_notes
from lamina.control.snapshots.records import NoteRecord, SnapshotRecord
from lamina.control.snapshots.sizes import count_sizes
from lamina.control.snapshots.states import HolderKind
from lamina.units import KIB
from tests.factories.image_copies import list_snapshots, start_copy
from tests.factories.images import make_image
from tests.factories.installation import open_site
from tests.factories.keys import make_encrypted, make_key, with_key
from tests.factories.payments import write_terms
from tests.factories.regions import FAR, NEAR, add_region

BLOCK = 64 * KIB
BLOCKS = 6
HOUR = timedelta(hours=1)
PRICE = Decimal(100000)
STEPS = 60
END = datetime(2026, 5, 1, 2, tzinfo=UTC)


@dataclass
class Seen:
    """A snapshot as the observer knows it: its chain, its bytes, and what it came to from instants on."""

    chain: tuple[str, str, str | None]  # region, disk, key
    created_at: datetime
    blocks: list[int]  # numbers of contents; 0 is nothing
    category: str = "standard"
    is_there: bool = True
    paid_until: datetime | None = None  # at least, if it is deleted
    gone_at: datetime | None = None
    values: list[tuple[datetime, str, int | None]] = field(default_factory=list)

    def held_in(self, hour):
        """Categories and sizes within an hour."""
        before = [value for value in self.values if value[0] <= hour][-1:]
        within = [value for value in self.values if hour < value[0] < hour + HOUR]
        return [(category, size) for _, category, size in (*before, *within) if size is not None]


class Story:
    """An installation in which things happen at random, and the observer."""

    def __init__(self, site, chance):
        self.site, self.chance = site, chance
        self.known: dict[str, Seen] = {}
        self.disks: dict[str, list[int]] = {}
        self.number = 0
        add_region(site)
        self.near_key, self.far_key = make_key(site), make_key(site, region_id=FAR)
        for make in (site.make_imported, lambda content: make_encrypted(site, content, self.near_key)):
            disk_id = make(b"")
            self.disks[disk_id] = [0] * BLOCKS
        self.system = site.make_imported(b"", role=DiskRole.SYSTEM)
        self.disks[self.system] = [0] * BLOCKS

    def write(self):
        disk_id, place = self.chance.choice(list(self.disks)), self.chance.randrange(BLOCKS)
        taken = [seen.blocks[place] for seen in self.known.values() if seen.chain[1] == disk_id]
        self.number += 1
        content = self.chance.choice([0, self.number, self.number, *taken])  # also back to what it was
        data = random.Random(content).randbytes(BLOCK) if content else bytes(BLOCK)
        self.site.write(disk_id, place * BLOCK, data)
        self.disks[disk_id][place] = content

    def take(self):
        disk_id = self.chance.choice(list(self.disks))
        self.see(self.site.make_snapshot(disk_id), self.disks[disk_id])

    def delete(self):
        for snapshot_id in self.choose(lambda _: True):
            self.site.delete(snapshot_id, force=True)
            self.known[snapshot_id].is_there = False
            now = self.site.clock.now()
            self.known[snapshot_id].gone_at = max(now, self.known[snapshot_id].paid_until or now)

    def archive(self):
        old = self.site.clock.now() - MIN_AGE
        plain = lambda seen: (seen.chain[2], seen.category) == (None, "standard") and seen.created_at <= old  # noqa: E731
        for snapshot_id in self.choose(plain):
            with self.site.scope(region_id=self.known[snapshot_id].chain[0]) as scope:
                archive_snapshot(scope, snapshot_id, None)
            self.site.work()
            self.known[snapshot_id].category = "archive"
            self.known[snapshot_id].paid_until = self.site.clock.now() + LEAST_ARCHIVED

    def copy(self):
        for snapshot_id in self.choose(lambda seen: (seen.chain[0], seen.category) == (NEAR, "standard")):
            is_encrypted = self.known[snapshot_id].chain[2] is not None or self.chance.random() < 0.3
            options = {"encryption": with_key(self.far_key)} if is_encrypted else {}
            with self.site.scope() as scope:
                new = NewCopy(snapshot_id=snapshot_id, region_id=FAR, **options)
                copy_id = copy_snapshot(scope, new).id
            self.site.work()
            self.see(copy_id, self.known[snapshot_id].blocks)

    def copy_image(self):
        for snapshot_id in self.choose(
            lambda seen: (*seen.chain[:2], seen.category) == (NEAR, self.system, "standard")
        ):
            image_id = make_image(self.site, snapshot_id=snapshot_id)
            copy_id = start_copy(self.site, image_id)
            self.site.work()
            [copied] = list_snapshots(self.site, copy_id)
            self.see(copied, self.known[snapshot_id].blocks)
            with self.site.scope() as scope:  # so that they can be deleted like the others
                release_holds(scope.session, HolderKind.IMAGE, image_id)
                release_holds(scope.session, HolderKind.IMAGE, copy_id)

    def lose_data(self):
        for snapshot_id in self.choose(lambda _: True):
            region_id, _, key_id = self.known[snapshot_id].chain
            repository = self.site.installation.repositories.find(self.site.account_id, region_id, key_id)
            repository.delete_snapshot(snapshot_id)
            compare_with_stores(self.site.installation)
            self.known[snapshot_id].is_there = False
            self.known[snapshot_id].gone_at = self.site.clock.now()

    def lose_row(self):
        """And get it back from the store: the log goes on."""
        write_notes(self.site.installation)
        for snapshot_id in self.choose(lambda seen: seen.chain[1] != self.system):  # images name the others
            with self.site.scope() as scope:
                scope.session.execute(delete(NoteRecord).where(NoteRecord.snapshot_id == snapshot_id))
                scope.session.delete(scope.session.get(SnapshotRecord, snapshot_id))
            compare_with_stores(self.site.installation)
            measured = self.site.snapshot(snapshot_id).incremental_bytes  # by the capture; counted soon after
            category = self.known[snapshot_id].category
            self.known[snapshot_id].values.append((self.site.clock.now(), category, measured))

    def sweep(self):
        sweep_repositories(self.site.installation)

    def choose(self, wanted):
        """One of the snapshots that are there and wanted, or none."""
        found = [each for each, seen in self.known.items() if seen.is_there and wanted(seen)]
        return [self.chance.choice(found)] if found else []

    def see(self, snapshot_id, blocks):
        row = self.site.snapshot(snapshot_id)
        assert row.state.value == "accomplished"
        chain = row.region_id, row.disk_id, row.key_id
        self.known[snapshot_id] = Seen(chain=chain, created_at=row.created_at, blocks=list(blocks))

    def look(self):
        """Write down what each snapshot comes to now."""
        count_sizes(self.site.installation)
        before: dict[tuple[str, str, str | None], list[int]] = {}
        for seen in sorted(self.known.values(), key=lambda each: each.created_at):
            size = None
            if seen.is_there:
                last = before.get(seen.chain, [0] * BLOCKS)
                size = BLOCK * sum(
                    1 for old, new in zip(last, seen.blocks, strict=True) if new not in (0, old)
                )
                before[seen.chain] = seen.blocks
            value = seen.category, size
            if not seen.values or seen.values[-1][1:] != value:
                seen.values.append((seen.gone_at or self.site.clock.now(), *value))

    def live(self):
        happenings = (
            *[self.write] * 6,
            *[self.take] * 5,
            *[self.copy] * 2,
            *[self.archive] * 2,
            *[self.delete] * 3,
            *(self.copy_image, self.lose_data, self.lose_row, self.sweep),
        )
        for _ in range(STEPS):
            self.chance.choice(happenings)()
            self.look()
            if self.chance.random() < 0.2:
                close_months(self.site.installation)
            self.site.clock.advance(timedelta(minutes=self.chance.choice([1, 7, 50, 200, 3000, 8000])))
        self.site.clock.instant = END
        close_months(self.site.installation)

    def expect(self, start, end):
        """Byte-hours by region, disk and category."""
        found: dict[tuple[str, str, str], int] = {}
        for seen in self.known.values():
            hour = start
            while hour < end:
                held = seen.held_in(hour)
                if held:
                    key = seen.chain[0], seen.chain[1], held[0][0]
                    found[key] = found.get(key, 0) + min(size for _, size in held)
                hour += HOUR
        return {key: count for key, count in found.items() if count}


@pytest.mark.parametrize("seed", [108, 109])
def test_bills_are_what_an_observer_of_the_bytes_counts(tmp_path, seed):
    limits = Limits(may_copy_snapshots=True)
    write_terms(tmp_path / "data", price=str(PRICE), due_days=1000)
    with open_site(tmp_path, limits=limits) as site:
        story = Story(site, random.Random(seed))
        story.live()
        with site.installation.database.reading() as session:
            bills = session.scalars(select(BillRecord).order_by(BillRecord.month)).all()
            assert [bill.month.month for bill in bills] == [1, 2, 3, 4]
            for bill in bills:
                lines = session.scalars(select(BillLineRecord).where(BillLineRecord.bill_id == bill.id)).all()
                expected = story.expect(bill.month, (bill.month + timedelta(days=32)).replace(day=1))
                assert {
                    (line.region_id, line.disk_id, line.storage_class.value): line.byte_hours
                    for line in lines
                    if line.byte_hours
                } == expected, bill.id
                assert bill.total == sum(pay(count) for count in expected.values())
                assert compare_bill(session, bill) == ()
    kinds = {(seen.chain[0], seen.chain[2] is not None, seen.category) for seen in story.known.values()}
    assert len(kinds) >= 5, "a story about all of them: choose another seed"


def pay(byte_hours):
    with localcontext(prec=80):
        return (Decimal(byte_hours) / (1 << 30) * PRICE / 720).quantize(Decimal("0.01"), ROUND_HALF_UP)
