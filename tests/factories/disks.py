"""Disks in memory: sources and targets for the pipelines, and the naive model of what a snapshot must hold."""

import threading
from collections import Counter

from lamina.blockio.extents import Extent, ExtentKind, clip, merge_extents, normalise, subtract
from lamina.engine.format import BLOCK_BYTES

ZERO = bytes(BLOCK_BYTES)
# What the map must say about a block that was written with zeros only; None is one that was never written.
WRITTEN_ZERO = "zero"


class SparseDisk:
    """A disk of any size that occupies memory only where it holds bytes. A `BlockSource` that can be written.

    Attributes:
        size_bytes: its size.
        read_blocks: how often each block was read since `forget_reads`.
    """

    def __init__(self, size_bytes=0):
        self.size_bytes = size_bytes
        self.read_blocks = Counter()
        self._blocks = {}
        self._written = ()
        self._lock = threading.Lock()

    def write(self, offset, data):
        """Write bytes; zeros count as data of which nobody knows that it is zero."""
        self._check(offset, len(data))
        self._put(offset, data)
        self._mark(offset, len(data), ExtentKind.DATA)

    def zero(self, offset, length):
        """Write zeros in a way that the disk remembers."""
        self._check(offset, length)
        self._clear(offset, length)
        self._mark(offset, length, ExtentKind.ZERO)

    def punch(self, offset, length):
        """Discard: the range counts as never written."""
        self._check(offset, length)
        self._clear(offset, length)
        self._mark(offset, length, ExtentKind.HOLE)

    def resize(self, size_bytes):
        """Grow by a hole, or cut off the end."""
        if size_bytes < self.size_bytes:
            self.punch(size_bytes, self.size_bytes - size_bytes)
        self.size_bytes = size_bytes

    def copy(self):
        """Another disk with the same contents and holes."""
        twin = SparseDisk(self.size_bytes)
        twin._blocks = dict(self._blocks)
        twin._written = self._written
        return twin

    def list_extents(self, offset, length):
        """As every `BlockSource`."""
        inside = list(clip(self._written, offset, length))
        holes = subtract([Extent(offset, length, ExtentKind.HOLE)] if length else [], inside)
        yield from merge_extents(sorted([*inside, *holes], key=lambda item: item.offset))

    def read_into(self, offset, buffers):
        """As every `BlockSource`; counts what it reads."""
        for buffer in buffers:
            with self._lock:
                self.read_blocks[offset // BLOCK_BYTES] += 1
            buffer[:] = self.read(offset, len(buffer))
            offset += len(buffer)

    def forget_reads(self):
        """Start counting again."""
        self.read_blocks.clear()

    def read(self, offset, length):
        """Bytes of the disk; zeros behind its end."""
        pieces = []
        end = offset + length
        while offset < end:
            block, within = divmod(offset, BLOCK_BYTES)
            piece = self._blocks.get(block, ZERO)[within : within + end - offset]
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    @property
    def contents(self):
        """The blocks that are not all zero: two disks of one size are equal where these are."""
        return {block: data for block, data in self._blocks.items() if data != ZERO}

    def describe(self):
        """What a block map must say, block by block: the bytes, `WRITTEN_ZERO`, or nothing for a hole."""
        model = {}
        for extent in self._written:
            for block in range(extent.offset // BLOCK_BYTES, -(-extent.end // BLOCK_BYTES)):
                data = self._blocks.get(block, ZERO)
                model[block] = WRITTEN_ZERO if data == ZERO else data
        return model

    def _check(self, offset, length):
        if offset < 0 or length < 0 or offset + length > self.size_bytes:
            raise ValueError(f"{offset}+{length} is outside a disk of {self.size_bytes} bytes")

    def _put(self, offset, data):
        at = 0
        while at < len(data):
            block, within = divmod(offset + at, BLOCK_BYTES)
            piece = data[at : at + BLOCK_BYTES - within]
            old = self._blocks.get(block, ZERO)
            self._blocks[block] = old[:within] + piece + old[within + len(piece) :]
            at += len(piece)

    def _clear(self, offset, length):
        end = offset + length
        for block in [
            block
            for block in self._blocks
            if offset < (block + 1) * BLOCK_BYTES and block * BLOCK_BYTES < end
        ]:
            start = max(offset, block * BLOCK_BYTES)
            self._put(start, bytes(min(end, (block + 1) * BLOCK_BYTES) - start))

    def _mark(self, offset, length, kind):
        if not length:
            return
        extent = Extent(offset, length, kind)
        others = list(subtract(self._written, [extent]))
        self._written = normalise(others if kind is ExtentKind.HOLE else [*others, extent])


class SparseTarget:
    """A `BlockTarget` in memory that notes what was done to it.

    Attributes:
        disk: its contents; extents of data are what is allocated.
        is_blank: whether it says of itself that it reads as zero.
        calls: name, offset and length of every changing call.
    """

    def __init__(self, size_bytes, *, is_blank=True, disk=None):
        self.disk = disk if disk is not None else SparseDisk(size_bytes)
        self.is_blank = is_blank
        self.calls = []
        self._lock = threading.Lock()

    @property
    def size_bytes(self):
        return self.disk.size_bytes

    def list_extents(self, offset, length):
        with self._lock:
            return self.disk.list_extents(offset, length)

    def read_into(self, offset, buffers):
        self.disk.read_into(offset, buffers)

    def write(self, offset, buffers):
        data = b"".join(buffers)
        with self._lock:
            self.calls.append(("write", offset, len(data)))
            self.disk.write(offset, data)

    def punch(self, offset, length):
        with self._lock:
            self.calls.append(("punch", offset, length))
            self.disk.punch(offset, length)

    def zero(self, offset, length):
        with self._lock:
            self.calls.append(("zero", offset, length))
            self.disk.zero(offset, length)

    def flush(self):
        with self._lock:
            self.calls.append(("flush", 0, 0))

    @property
    def touched(self):
        """Indexes of the blocks that were changed in any way."""
        return {
            block
            for _, offset, length in self.calls
            for block in range(offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES))
        }


def fill(seed, length=BLOCK_BYTES):
    """Bytes unlike those of any other seed, which compress like text."""
    return (f"{seed} lamina " * (length // 8 + 1)).encode()[:length]


def make_disk(size_bytes, writes=()):
    """A disk with these writes: offset and bytes each."""
    disk = SparseDisk(size_bytes)
    for offset, data in writes:
        disk.write(offset, data)
    return disk


def make_block_disk(blocks, size_bytes=None):
    """A disk from text by block index: `{0: "boot", 7: "data"}`."""
    size = size_bytes if size_bytes is not None else (max(blocks, default=-1) + 1) * BLOCK_BYTES
    return make_disk(
        size,
        [(block * BLOCK_BYTES, fill(text)[: size - block * BLOCK_BYTES]) for block, text in blocks.items()],
    )
