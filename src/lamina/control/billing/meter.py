"""What the log of sizes comes to within a time: pure arithmetic on whole numbers.

Time is counted in units, such as the hours of UTC. A unit in which a snapshot was there at all counts whole, with the
least size that the snapshot had in it, at the class that it had first in it. The least, because blocks move from a
snapshot that is deleted to the next one of its chain: in that hour both would count for them. The first, because what
was begun as standard storage is billed as such, and archived from the next hour on.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, Self

from lamina.control.metering.records import StorageClass
from lamina.ids import DiskId, SnapshotId

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ChainKey = tuple[DiskId, StorageClass]
"""What a line of a bill is about: the chain of a disk in a region, as far as it is of one class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A snapshot came to so many bytes for a while: one event of the log, and the instant of the next.

    Attributes:
        ends_at: excluded, and behind `starts_at`.
    """

    snapshot_id: SnapshotId
    disk_id: DiskId
    storage_class: StorageClass
    size_bytes: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """Snapshots of a chain with which nothing happened in all the time that is measured, added up.

    Attributes:
        snapshot_count: how many.
        size_bytes: all of them together.
    """

    disk_id: DiskId
    storage_class: StorageClass
    snapshot_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time that is measured, in units since 1970.

    Attributes:
        start: the first unit.
        end: the one behind the last.
        unit: how long one is; it divides a day.
    """

    start: int
    end: int
    unit: timedelta

    @classmethod
    def between(cls, starts_at: datetime, ends_at: datetime, counted_hours: int) -> Self:
        """The units from an instant at which one starts until all that were begun before another instant."""
        unit = timedelta(hours=counted_hours)
        return cls(start=(starts_at - _EPOCH) // unit, end=-((_EPOCH - ends_at) // unit), unit=unit)

    @property
    def ends_at(self) -> datetime:
        """The end of the last unit."""
        return _EPOCH + self.end * self.unit

    def cover(self, piece: Piece) -> tuple[int, int]:
        """The units that a piece touches, within the window or not."""
        return (piece.starts_at - _EPOCH) // self.unit, -((_EPOCH - piece.ends_at) // self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A snapshot counts the same in a row of units.

    Attributes:
        end: excluded.
    """

    snapshot_id: SnapshotId
    disk_id: DiskId
    storage_class: StorageClass
    size_bytes: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a chain came to.

    Attributes:
        units: in how many it had a snapshot.
        byte_units: bytes times units, over all snapshots.
        snapshot_count: how many snapshots there were in all.
        end_bytes: bytes that are still there at the end.
    """

    disk_id: DiskId
    storage_class: StorageClass
    units: int
    byte_units: int
    snapshot_count: int
    end_bytes: int


@dataclass(slots=True)
class _Sum:
    byte_units: int = 0
    end_bytes: int = 0
    still_count: int = 0
    snapshots: set[SnapshotId] = field(default_factory=set)
    busy: list[tuple[int, int]] = field(default_factory=list)


def list_runs(pieces: Iterable[Piece], window: Window) -> Iterator[Run]:
    """The pieces as they count within a window.

    Args:
        pieces: those that touch the window, by snapshot and in the order of their time.
        window: what is measured.
    """
    for _, group in groupby(pieces, key=lambda each: each.snapshot_id):
        for run in _join(group, window):
            start, end = max(run.start, window.start), min(run.end, window.end)
            if start < end:
                yield Run(
                    snapshot_id=run.snapshot_id,
                    disk_id=run.disk_id,
                    storage_class=run.storage_class,
                    size_bytes=run.size_bytes,
                    start=start,
                    end=end,
                )


def measure(
    runs: Iterable[Run], still: Iterable[Still], pieces: Iterable[Piece], window: Window
) -> tuple[Measured, ...]:
    """What every chain came to, by disk and class.

    Args:
        runs: as `list_runs` answers them.
        still: everything else.
        pieces: from which the runs were made; they tell what is there at the end.
        window: what is measured.
    """
    sums: defaultdict[ChainKey, _Sum] = defaultdict(_Sum)
    for run in runs:
        found = sums[run.disk_id, run.storage_class]
        found.byte_units += run.size_bytes * (run.end - run.start)
        found.snapshots.add(run.snapshot_id)
        found.busy.append((run.start, run.end))
    for each in still:
        found = sums[each.disk_id, each.storage_class]
        found.byte_units += each.size_bytes * (window.end - window.start)
        found.end_bytes += each.size_bytes
        found.still_count += each.snapshot_count
        found.busy.append((window.start, window.end))
    for piece in pieces:
        if piece.starts_at < window.ends_at <= piece.ends_at:  # also what was archived in the last unit
            sums[piece.disk_id, piece.storage_class].end_bytes += piece.size_bytes
    return tuple(
        Measured(
            disk_id=disk_id,
            storage_class=storage_class,
            units=_count_units(found.busy),
            byte_units=found.byte_units,
            snapshot_count=found.still_count + len(found.snapshots),
            end_bytes=found.end_bytes,
        )
        for (disk_id, storage_class), found in sorted(
            sums.items(), key=lambda item: (item[0][0], item[0][1].value)
        )
    )


def count_free(runs: Iterable[Run], still: Iterable[Still], window: Window, free_bytes: int) -> int:
    """How many byte-units are for nothing: in each unit the first `free_bytes` of all standard storage."""
    changes: defaultdict[int, int] = defaultdict(int)
    for run in runs:
        if run.storage_class is StorageClass.STANDARD:
            changes[run.start] += run.size_bytes
            changes[run.end] -= run.size_bytes
    held = sum(each.size_bytes for each in still if each.storage_class is StorageClass.STANDARD)
    free, place = 0, window.start
    for at in [*sorted(changes), window.end]:
        free += min(held, free_bytes) * (at - place)
        held += changes.get(at, 0)
        place = at
    return free


def _join(pieces: Iterable[Piece], window: Window) -> list[Run]:
    """The pieces of one snapshot as runs that share no unit."""
    runs: list[Run] = []
    for piece in pieces:
        start, end = window.cover(piece)
        if runs and start < runs[-1].end:
            last = runs.pop()
            if last.start < start:
                runs.append(_cut(last, last.size_bytes, last.start, start))
            runs.append(_cut(last, min(last.size_bytes, piece.size_bytes), start, start + 1))
            start += 1
        if start < end:
            runs.append(
                Run(
                    snapshot_id=piece.snapshot_id,
                    disk_id=piece.disk_id,
                    storage_class=piece.storage_class,
                    size_bytes=piece.size_bytes,
                    start=start,
                    end=end,
                )
            )
    return runs


def _cut(run: Run, size_bytes: int, start: int, end: int) -> Run:
    return Run(
        snapshot_id=run.snapshot_id,
        disk_id=run.disk_id,
        storage_class=run.storage_class,
        size_bytes=size_bytes,
        start=start,
        end=end,
    )


def _count_units(busy: list[tuple[int, int]]) -> int:
    units, reached = 0, 0
    for start, end in sorted(busy):
        units += max(0, end - max(start, reached))
        reached = max(reached, end)
    return units
