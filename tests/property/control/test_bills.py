"""Bills agree with somebody who counts hour by hour and snapshot by snapshot, and knows nothing of runs and windows."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from lamina.control.billing.lines import make_lines, round_half_up
from lamina.control.billing.meter import Piece, Still
from lamina.control.billing.records import LineKind
from lamina.control.metering.records import FOREVER, StorageClass
from lamina.control.tariff.prices import DEFAULT, Price, PriceList
from lamina.control.tariff.rules import Rule, RuleBook
from lamina.control.tariff.tariff import Tariff
from lamina.ids import DiskId, RegionId, SnapshotId

REGION = RegionId("cn-hangzhou")
START = datetime(2026, 2, 26, tzinfo=UTC)
END = datetime(2026, 3, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Life:
    """A snapshot: when it came to what, and when it was gone."""

    snapshot_id: str
    disk_id: str
    changes: tuple[tuple[datetime, StorageClass, int], ...]
    gone_at: datetime | None

    def pieces(self) -> list[Piece]:
        ends = [at for at, _, _ in self.changes[1:]] + [self.gone_at or FOREVER]
        return [
            Piece(
                snapshot_id=SnapshotId(self.snapshot_id),
                disk_id=DiskId(self.disk_id),
                storage_class=storage_class,
                size_bytes=size,
                starts_at=at,
                ends_at=end,
            )
            for (at, storage_class, size), end in zip(self.changes, ends, strict=True)
        ]


@st.composite
def lives(draw) -> Life:
    minutes = st.integers(-3 * 24 * 60, 8 * 24 * 60)
    instants = sorted(draw(st.sets(minutes, min_size=2, max_size=7)))
    times = [START + timedelta(minutes=each) for each in instants]
    stays = draw(st.booleans())
    changing = times if stays else times[:-1]
    archived_from = draw(st.integers(0, len(changing)))
    changes = tuple(
        (at, StorageClass.ARCHIVE if place >= archived_from else StorageClass.STANDARD, draw(sizes))
        for place, at in enumerate(changing)
    )
    return Life(
        draw(st.uuids()).hex, draw(st.sampled_from("abc")), changes, gone_at=None if stays else times[-1]
    )


sizes = st.integers(0, 1 << 44)
crowds = st.lists(lives(), max_size=6)


def make_tariff(*, price_day: date, free_gib: str, counted_hours: int) -> Tariff:
    def price(valid_from: date, standard: str, archive: str | None) -> Price:
        return Price(
            region_id=DEFAULT,
            valid_from=valid_from,
            currency="USD",
            standard=Decimal(standard),
            archive=None if archive is None else Decimal(archive),
            source="test",
            seen_on=valid_from,
        )

    rule = Rule(
        valid_from=date(1970, 1, 1),
        hours_per_month=720,
        counted_hours=counted_hours,
        free_gib=Decimal(free_gib),
        decimals=2,
        due_days=14,
        suspension_hours=24,
        purge_days=15,
        source="test",
        seen_on=date(2026, 1, 1),
    )
    prices = (price(date(1970, 1, 1), "0.0200", None), price(price_day, "0.0173", "0.0051"))
    return Tariff(prices=PriceList.of("test", prices), rules=RuleBook.of("test", (rule,)))


def count_by_hand(
    crowd: list[Life], start: datetime, end: datetime, unit: timedelta, free_bytes: int
) -> tuple[dict[tuple[str, StorageClass], int], int]:
    """Byte-units by disk and class, and how many are free: one unit after the other."""
    counted: dict[tuple[str, StorageClass], int] = {}
    free = 0
    unit_start = start
    while unit_start < end:
        unit_end = unit_start + unit
        standard = 0
        for life in crowd:
            held = [
                piece for piece in life.pieces() if piece.starts_at < unit_end and piece.ends_at > unit_start
            ]
            if held:
                key = life.disk_id, held[0].storage_class
                least = min(piece.size_bytes for piece in held)
                counted[key] = counted.get(key, 0) + least
                standard += least if key[1] is StorageClass.STANDARD else 0
        free += min(standard, free_bytes)
        unit_start = unit_end
    return counted, free


def pay(byte_hours: int, price: str) -> Decimal:
    with localcontext(prec=80):
        exact = Decimal(byte_hours) / Decimal(1 << 30) * Decimal(price) / 720
        return exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def storage_of(lines):
    return [line for line in lines if line.kind is LineKind.STORAGE]


def list_touching(crowd: list[Life], start: datetime, end: datetime) -> tuple[list[Piece], list[Still]]:
    """As the database hands them out: what holds all the time apart from the rest."""
    pieces, still = [], []
    for piece in sorted(
        (p for life in crowd for p in life.pieces()), key=lambda p: (p.snapshot_id, p.starts_at)
    ):
        if piece.starts_at <= start and piece.ends_at >= end:
            still.append(
                Still(
                    disk_id=piece.disk_id,
                    storage_class=piece.storage_class,
                    snapshot_count=1,
                    size_bytes=piece.size_bytes,
                )
            )
        elif piece.starts_at < end and piece.ends_at > start:
            pieces.append(piece)
    return pieces, still


@given(crowds, st.sampled_from([1, 6, 24]), st.sampled_from(["0", "5", "2000"]), st.integers(24, 28))
def test_lines_are_what_somebody_counts_by_hand(crowd, counted_hours, free_gib, price_day):
    tariff = make_tariff(price_day=date(2026, 2, price_day), free_gib=free_gib, counted_hours=counted_hours)
    spans = list(tariff.split(REGION, START, END))
    assert [span.price.standard for span in spans] == (
        [Decimal("0.0173")] if price_day <= 26 else [Decimal("0.0200"), Decimal("0.0173")]
    )
    for span in spans:
        lines = list(make_lines(REGION, span, *list_touching(crowd, span.starts_at, span.ends_at)))
        by_hand, free = count_by_hand(
            crowd, span.starts_at, span.ends_at, counted_hours * HOUR, int(free_gib) << 30
        )
        storage = [line for line in lines if line.kind is LineKind.STORAGE and line.hours]
        assert {(line.disk_id, line.storage_class): line.byte_hours for line in storage} == {
            key: units * counted_hours for key, units in by_hand.items()
        }
        for line in storage:
            is_archive = line.storage_class is StorageClass.ARCHIVE
            price = "0.0051" if is_archive and span.price.archive is not None else str(span.price.standard)
            assert line.amount == pay(line.byte_hours, price)
        taken_off = [line.byte_hours for line in lines if line.kind is LineKind.FREE]
        assert taken_off == ([-free * counted_hours] if free else [])
        standard = [line for line in lines if line.storage_class is StorageClass.STANDARD]
        paid = (
            sum(units for (_, kind), units in by_hand.items() if kind is StorageClass.STANDARD) - free
        ) * counted_hours
        to_pay, stored = (sum(line.amount for line in part) for part in (standard, storage_of(standard)))
        assert to_pay == (min(pay(paid, str(span.price.standard)), stored) if free else stored)
        assert to_pay >= 0


@given(crowds)
def test_two_halves_come_to_the_whole(crowd):
    """A cut at any midnight neither loses an hour nor counts one twice."""
    tariff = make_tariff(price_day=date(2026, 2, 1), free_gib="0", counted_hours=1)

    def count(start: datetime, end: datetime) -> int:
        [span] = tariff.split(REGION, start, end)
        return sum(line.byte_hours for line in make_lines(REGION, span, *list_touching(crowd, start, end)))

    middle = START + timedelta(days=2)
    assert count(START, middle) + count(middle, END) == count(START, END)


@given(crowds)
def test_what_is_there_at_the_end_is_what_the_log_says(crowd):
    tariff = make_tariff(price_day=date(2026, 2, 1), free_gib="0", counted_hours=1)
    [span] = tariff.split(REGION, START, END)
    lines = make_lines(REGION, span, *list_touching(crowd, START, END))
    last = END - timedelta(microseconds=1)
    held = [
        piece.size_bytes
        for life in crowd
        for piece in life.pieces()
        if piece.starts_at <= last < piece.ends_at
    ]
    assert sum(line.end_bytes for line in lines) == sum(held)


@given(st.fractions(), st.integers(0, 6))
def test_halves_are_rounded_away_from_zero(number, decimals):
    with localcontext(prec=200):
        exact = Decimal(number.numerator) / Decimal(number.denominator)
        expected = exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    assert round_half_up(number, decimals) == expected
