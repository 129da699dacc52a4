"""Ten years of snapshots, a clock that is set back, restarts, two workers: and every bill is right to the cent.

What is right is counted by somebody who knows the rule and nothing else: hour by hour, snapshot by snapshot.
"""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from itertools import pairwise

from sqlalchemy import select

from lamina.clock import ManualClock
from lamina.control.billing.check import compare_bill, mend_ends
from lamina.control.billing.close import GRACE, _seal, close_months
from lamina.control.billing.records import BillLineRecord, BillRecord
from lamina.control.first_start import DEFAULT_REGION
from lamina.control.metering.log import Holding, Subject, note_size
from lamina.control.metering.records import SizeEventRecord, StorageClass
from lamina.control.tariff.prices import DEFAULT, Price, PriceList
from lamina.control.tariff.tariff import Tariff
from lamina.ids import DiskId, SnapshotId
from tests.factories.installation import open_site

YEARS = 10
START = datetime(2019, 12, 30, 7, 31, 12, tzinfo=UTC)  # three leap days lie ahead
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
GIB = 1 << 30
PRICES = ((date(1970, 1, 1), "0.0200"), (date(2022, 3, 17), "0.0173"), (date(2027, 12, 1), "0.0191"))
ARCHIVE = "0.0062"


@dataclass
class Known:
    """A snapshot as the bookkeeper has it: values from instants on; None is gone."""

    disk_id: str
    values: list[tuple[datetime, StorageClass, int | None]] = field(default_factory=list)


class Bookkeeper:
    """Writes down what happened, and counts it by hand."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.closed_until = datetime(2019, 12, 1, tzinfo=UTC)

    def note(self, snapshot_id, disk_id, storage_class, size, now):
        snapshot = self.known.setdefault(snapshot_id, Known(disk_id))
        earlier = snapshot.values[-1][0] + TICK if snapshot.values else now
        snapshot.values.append((max(now, earlier, self.closed_until), storage_class, size))

    def count(self, start: datetime, end: datetime) -> dict[tuple[str, str], int]:
        """Byte-hours by disk and class: each snapshot, each hour."""
        hours: dict[tuple[str, str], int] = {}
        for snapshot in self.known.values():
            first, last = snapshot.values[0][0], snapshot.values[-1]
            at = max(start, first.replace(minute=0, second=0, microsecond=0))
            stop = end if last[2] is not None else min(end, last[0])
            while at < stop:
                held = self._held(snapshot, at)
                key = snapshot.disk_id, held[0][0].value
                hours[key] = hours.get(key, 0) + min(size for _, size in held)
                at += HOUR
        return hours

    @staticmethod
    def _held(snapshot, hour):
        before = [value for value in snapshot.values if value[0] <= hour][-1:]
        within = [value for value in snapshot.values if hour < value[0] < hour + HOUR]
        return [(kind, size) for _, kind, size in (*before, *within) if size is not None]


def price_of(storage_class: str, at: datetime) -> Decimal:
    if storage_class == "archive":
        return Decimal(ARCHIVE)
    return Decimal([price for day, price in PRICES if datetime(*day.timetuple()[:3], tzinfo=UTC) <= at][-1])


def pay(byte_hours: int, price: Decimal) -> Decimal:
    with localcontext(prec=80):
        exact = Decimal(byte_hours) / GIB * price / 720
        return exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def make_tariff() -> Tariff:
    prices = tuple(
        Price(
            region_id=DEFAULT,
            valid_from=day,
            currency="USD",
            standard=Decimal(standard),
            archive=Decimal(ARCHIVE),
            source="test",
            seen_on=day,
        )
        for day, standard in PRICES
    )
    return Tariff(prices=PriceList.of("test", prices))


class World:
    """An installation in which snapshots come, change and go at random, and a bookkeeper who sees it."""

    def __init__(self, site, clock: ManualClock, books: Bookkeeper, chance: random.Random) -> None:
        self.plant = replace(site.installation, tariff=make_tariff())
        self.account_id = site.account_id
        self.clock, self.books, self.chance = clock, books, chance

    def happen(self) -> None:
        living = [key for key, each in self.books.known.items() if each.values[-1][2] is not None]
        turn = self.chance.random()
        if len(living) < 6 or (turn < 0.3 and len(living) < 14):
            number = len(self.books.known)
            self.change(
                f"s-{number}", f"d-{number % 4}", StorageClass.STANDARD, self.chance.randrange(900 * GIB)
            )
            return
        snapshot_id = self.chance.choice(living)
        _, storage_class, size = self.books.known[snapshot_id].values[-1]
        disk_id = self.books.known[snapshot_id].disk_id
        if turn < 0.55:
            self.change(snapshot_id, disk_id, storage_class, None)
        elif turn < 0.7:
            self.change(snapshot_id, disk_id, StorageClass.ARCHIVE, size)
        else:
            self.change(snapshot_id, disk_id, storage_class, self.chance.randrange(900 * GIB))

    def change(self, snapshot_id, disk_id, storage_class, size) -> None:
        subject = Subject(
            snapshot_id=SnapshotId(snapshot_id),
            disk_id=DiskId(disk_id),
            account_id=self.account_id,
            region_id=DEFAULT_REGION.id,
        )
        holding = None if size is None else Holding(storage_class=storage_class, size_bytes=size)
        now = self.clock.now()
        with self.plant.database.transaction(of=self.account_id) as session:
            is_new = note_size(session, subject, holding, now)
            assert not note_size(session, subject, holding, now + HOUR), "told twice, written once"
        if is_new:
            self.books.note(snapshot_id, disk_id, storage_class, size, now)

    def close(self) -> None:
        """By two workers at once, sometimes behind one that died between its two steps."""
        due = (self.clock.now() - GRACE).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        if self.chance.random() < 0.3:
            _seal(self.plant, self.account_id, due)
        if self.chance.random() < 0.2:
            with ThreadPoolExecutor(2) as workers:
                list(workers.map(close_months, (self.plant, self.plant)))
        else:
            close_months(self.plant)
        self.books.closed_until = max(self.books.closed_until, due)


def test_ten_years_of_bills_are_those_of_the_bookkeeper(tmp_path):
    chance = random.Random(2026)
    clock, books = ManualClock(START), Bookkeeper()
    for _ in range(YEARS):  # each year in a process of its own
        with open_site(tmp_path, clock=clock) as site:
            world = World(site, clock, books, chance)
            end = clock.now() + timedelta(days=365.25)
            while clock.now() < end:
                world.happen()
                step = timedelta(seconds=chance.choice([30, 1200, 4000, 86_400, 9 * 86_400, 40 * 86_400]))
                clock.advance(
                    -timedelta(seconds=chance.randrange(20_000)) if chance.random() < 0.15 else step
                )
                if chance.random() < 0.5:
                    world.close()
    with open_site(tmp_path, clock=clock) as site:
        World(site, clock, books, chance).close()
        check_all(site, books)


def check_all(site, books: Bookkeeper) -> None:
    with site.installation.database.reading() as session:
        bills = session.scalars(select(BillRecord).order_by(BillRecord.number)).all()
        lines = session.scalars(select(BillLineRecord)).all()
        assert [bill.number for bill in bills] == list(range(1, len(bills) + 1))
        assert [bill.month for bill in bills] == sorted({bill.month for bill in bills})
        assert len(bills) >= YEARS * 12 - 1
        for bill in bills:
            of_bill = [line for line in lines if line.bill_id == bill.id]
            check_one(bill, of_bill, books)
            assert compare_bill(session, bill) == ()
    assert len({line.price for line in lines}) == 4
    with site.installation.database.transaction() as session:
        since = datetime(1970, 1, 1, tzinfo=UTC)
        assert mend_ends(session, site.account_id, DEFAULT_REGION.id, since) == 0
        for row in session.scalars(select(SizeEventRecord)):
            row.ends_at = row.at + HOUR
        session.flush()
        assert mend_ends(session, site.account_id, DEFAULT_REGION.id, since) > 100
        session.expire_all()
        assert all(compare_bill(session, bill) == () for bill in bills), "the log alone is enough"


def check_one(bill: BillRecord, lines: list[BillLineRecord], books: Bookkeeper) -> None:
    end = (bill.month + timedelta(days=32)).replace(day=1)
    cuts = [datetime(*day.timetuple()[:3], tzinfo=UTC) for day, _ in PRICES]
    edges = [bill.month, *(cut for cut in cuts if bill.month < cut < end), end]
    total = Decimal(0)
    for start, stop in pairwise(edges):
        expected = {
            key: (count, pay(count, price_of(key[1], start)))
            for key, count in books.count(start, stop).items()
        }
        found = {
            (line.disk_id, line.storage_class.value): (line.byte_hours, line.amount)
            for line in lines
            if line.starts_at == start and line.hours
        }
        assert found == expected, bill.id
        total += sum(amount for _, amount in expected.values())
    assert bill.total == total
