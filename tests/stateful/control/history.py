"""The bytes that histories are told with, and what they say about the sizes of snapshots."""

import random
from dataclasses import dataclass, field
from typing import TypeAlias

from lamina.control.snapshots.records import SnapshotRecord
from lamina.engine.repository import Repository
from lamina.ids import SnapshotId
from lamina.transfer.snapshot_source import SnapshotSource
from lamina.units import GIB, KIB

BLOCK = 64 * KIB
# The ends of the disk, and both sides of the border of a leaf (128 blocks).
PLACES = (0, 1, 2, 127, 128, GIB // BLOCK - 1)
VALUES = range(1, 9)
# Noise does not shrink, so that the stored size of a block is known: 64 KiB and its seal.
_BLOCKS = {0: bytes(BLOCK)} | {value: random.Random(value).randbytes(BLOCK) for value in VALUES}
_NAMES = {content: value for value, content in _BLOCKS.items()}

Content: TypeAlias = tuple[int, ...]
"""What lies at each of the `PLACES`: the number of a block, 0 for nothing."""
EMPTY: Content = (0,) * len(PLACES)


def block(value: int) -> bytes:
    return _BLOCKS[value]


def change(content: Content, place: int, value: int) -> Content:
    return (*content[:place], value, *content[place + 1 :])


def read_content(read) -> Content:
    """What `read(offset, length)` finds at the places; a block that nobody wrote so is torn or strange."""
    found = [read(place * BLOCK, BLOCK) for place in PLACES]
    assert all(each in _NAMES for each in found), "a block holds bytes that were never written there"
    return tuple(_NAMES[each] for each in found)


def read_snapshot(repository: Repository, snapshot_id: SnapshotId) -> Content:
    with SnapshotSource(repository, snapshot_id) as source:

        def read(offset, length):
            buffer = bytearray(length)
            source.read_into(offset, [buffer])
            return bytes(buffer)

        return read_content(read)


@dataclass
class Taken:
    """What the model knows of a snapshot.

    Attributes:
        disk: of which disk it was taken.
        content: None while it is being taken.
        group: what it was taken with.
        is_automatic: a policy took it.
        is_asked_away: somebody deleted it, or the disk that it goes with.
    """

    disk: str
    content: Content | None = None
    group: str | None = None
    is_automatic: bool = False
    is_asked_away: bool = False


@dataclass
class ModelDisk:
    """What the model knows of a disk.

    Attributes:
        content: as of now; None while it is being cloned.
        origin: the snapshot that it was made from.
        source: the disk that it is being cloned from.
        target: the snapshot that it is being rolled back to.
    """

    content: Content | None = EMPTY
    origin: str | None = None
    source: str | None = None
    target: str | None = None


@dataclass
class Counted:
    """What the sizes of one chain have to be, in blocks."""

    incremental: list[int] = field(default_factory=list)
    exclusive: list[int] = field(default_factory=list)


def count_chain(chain: list[Content], others: list[Content]) -> Counted:
    """Count as the FAQ tells it: what each adds to the one before, and what nobody else has."""
    counted = Counted()
    before = EMPTY
    for index, content in enumerate(chain):
        pairs = zip(content, before, strict=True)
        counted.incremental.append(sum(1 for value, old in pairs if value not in (0, old)))
        rest = {value for each in (*others, *chain[:index], *chain[index + 1 :]) for value in each}
        counted.exclusive.append(len(set(content) - rest - {0}))
        before = content
    return counted


def check_sizes(rows: list[SnapshotRecord], counted: Counted) -> None:
    """Compare the rows of a chain, in its order, with what was counted."""
    assert [row.incremental_bytes for row in rows] == [blocks * BLOCK for blocks in counted.incremental]
    for row, blocks in zip(rows, counted.exclusive, strict=True):
        # every stored block carries an encoding and a tag: 17 bytes
        assert row.exclusive_bytes == blocks * (BLOCK + 17), row.id
