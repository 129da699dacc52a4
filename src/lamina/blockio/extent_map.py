"""Where a file's bytes lie on its device (FIEMAP), and what differs between two such maps.

Two files that share storage by reflink hold the same bytes wherever a logical offset has the same physical
offset in both, since shared storage is never overwritten in place. The flags are explained in
https://docs.kernel.org/filesystems/fiemap.html.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from lamina.blockio import kernel
from lamina.blockio.extents import Extent, ExtentKind, clip, normalise, subtract

_HEADER: Final = struct.Struct("=QQIIII")  # start, length, flags, mapped extents, room for extents, reserved
_EXTENT: Final = struct.Struct("=QQQ16xI12x")  # logical, physical, length, flags
_ROOM: Final = 8192  # extents per call: 448 KiB

_SYNC: Final = 0x1  # FIEMAP_FLAG_SYNC: write dirty pages first, so that they have a place

_WHOLE_FILE: Final = 2**64 - 1  # FIEMAP_MAX_OFFSET

_LAST: Final = 0x1
_UNWRITTEN: Final = 0x800  # allocated, reads as zero
# UNKNOWN, DELALLOC, ENCODED (compressed), DATA_ENCRYPTED, NOT_ALIGNED, DATA_INLINE, DATA_TAIL: the physical
# offset is missing, shared by different bytes, or overwritten in place
_UNCERTAIN: Final = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400

_Run = tuple[int, int, int]  # logical, physical, length


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtentMap:
    """What a file holds and where; what it does not mention reads as zero.

    Attributes:
        size_bytes: the size of the file.
        placed: written runs with a place of their own, as (logical, physical, length), in order.
        uncertain: written runs whose place says nothing about their bytes, in the same shape.
    """

    size_bytes: int
    placed: tuple[_Run, ...]
    uncertain: tuple[_Run, ...]


def read_extent_map(fd: int, size_bytes: int) -> ExtentMap:
    """Ask the file system for the map of an open file.

    Raises:
        OSError: EOPNOTSUPP or ENOTTY where the file system has none.
    """
    placed: list[_Run] = []
    uncertain: list[_Run] = []
    for logical, physical, length, flags in _list_raw(fd):
        if flags & _UNCERTAIN:
            uncertain.append((logical, physical, length))
        elif not flags & _UNWRITTEN:
            placed.append((logical, physical, length))
    return ExtentMap(size_bytes=size_bytes, placed=tuple(placed), uncertain=tuple(uncertain))


def find_changed(old: ExtentMap, new: ExtentMap) -> tuple[Extent, ...]:
    """What may differ between two files that share storage, as normal extents of the new one.

    Data in the new file is `DATA`; what became zero is `HOLE`. Nothing that differs is left out; a run with
    an uncertain place counts as different. Costs one set difference, and then time for what differs only.
    """
    # Runs that are in both maps word for word are the same bytes, and disjoint from all others in either map.
    gone = sorted(set(old.placed) - set(new.placed))
    came = sorted(set(new.placed) - set(old.placed))
    kept = tuple(_list_kept(gone, came))
    came_data = _data(came)
    uncertain = _data(new.uncertain)
    written = normalise([*came_data, *uncertain])
    lost = normalise([*_data(gone), *_data(old.uncertain)])
    became_zero = (Extent(e.offset, e.length, ExtentKind.HOLE) for e in subtract(lost, written))
    differing = chain(subtract(came_data, kept), uncertain, became_zero)
    return normalise(clip(differing, 0, new.size_bytes))


def _list_kept(gone: list[_Run], came: list[_Run]) -> Iterator[Extent]:
    """Where runs of both lists overlap with the same distance between logical and physical."""
    index = 0
    for logical, physical, length in came:
        end = logical + length
        while index < len(gone) and gone[index][0] + gone[index][2] <= logical:
            index += 1
        ahead = index
        while ahead < len(gone) and gone[ahead][0] < end:
            old_logical, old_physical, old_length = gone[ahead]
            if old_physical - old_logical == physical - logical:
                first, last = max(logical, old_logical), min(end, old_logical + old_length)
                yield Extent(first, last - first)
            ahead += 1


def _data(runs: Iterable[_Run]) -> list[Extent]:
    return [Extent(logical, length) for logical, _, length in runs]


def _list_raw(fd: int) -> Iterator[tuple[int, int, int, int]]:
    """Every extent of the file as (logical, physical, length, flags), in order."""
    start = 0
    while True:
        request = bytearray(_HEADER.size + _ROOM * _EXTENT.size)
        _HEADER.pack_into(request, 0, start, _WHOLE_FILE - start, _SYNC, 0, _ROOM, 0)
        kernel.query_extent_map(fd, request)
        mapped = _HEADER.unpack_from(request)[3]
        if mapped == 0:
            return
        runs = _EXTENT.iter_unpack(memoryview(request)[_HEADER.size : _HEADER.size + mapped * _EXTENT.size])
        for run in runs:
            yield run
        logical, _, length, flags = run
        if flags & _LAST:
            return
        start = logical + length
