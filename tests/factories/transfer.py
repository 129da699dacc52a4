"""Repositories in memory and disks made of bytes, for tests of the pipelines."""

from lamina.blockio.extents import Extent, ExtentKind, merge_extents
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import KeyFile
from lamina.transfer.capture import CaptureRequest, capture
from lamina.transfer.progress import Progress

SECRET = KeyFile(b"a key file for tests, of 32 byte")


class PlainDisk:
    """A `BlockSource`: bytes where there are any, holes everywhere else.

    Attributes:
        blocks: contents by block index; bytes for data, None for a block that was written with zeros.
    """

    def __init__(self, size_bytes, blocks=()):
        self.size_bytes = size_bytes
        self.blocks = dict(blocks)

    def list_extents(self, offset, length):
        position = offset
        end = offset + length
        for block in sorted(self.blocks):
            start, stop = block * BLOCK_BYTES, min((block + 1) * BLOCK_BYTES, self.size_bytes)
            if stop <= position or start >= end:
                continue
            if start > position:
                yield Extent(position, start - position, ExtentKind.HOLE)
                position = start
            kind = ExtentKind.ZERO if self.blocks[block] is None else ExtentKind.DATA
            yield Extent(position, min(stop, end) - position, kind)
            position = min(stop, end)
        if position < end:
            yield Extent(position, end - position, ExtentKind.HOLE)

    def read_into(self, offset, buffers):
        for buffer in buffers:
            buffer[:] = self.read(offset, len(buffer))
            offset += len(buffer)

    def read(self, offset, length):
        """What a reader of the snapshot must see; zeros past the end."""
        pieces = []
        end = offset + length
        while offset < end:
            block, within = divmod(offset, BLOCK_BYTES)
            content = (self.blocks.get(block) or b"").ljust(BLOCK_BYTES, b"\0")
            piece = content[within : within + end - offset]
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def runs(self, offset, length):
        """What `base:allocation` must say."""
        flags = {ExtentKind.DATA: 0, ExtentKind.ZERO: 2, ExtentKind.HOLE: 3}
        return [(item.length, flags[item.kind]) for item in merge_extents(self.list_extents(offset, length))]


def content(seed, length=BLOCK_BYTES):
    """A block unlike that of any other seed, that compresses like text."""
    return (f"block {seed} " * (length // 8 + 1)).encode()[:length]


def make_repository(store=None, **options):
    return Repository.create(store if store is not None else MemoryStore(), SECRET, **options)


def open_cold(store, **options):
    """The same repository as another host sees it."""
    return Repository.open(store, SECRET, **options)


def take(repository, disk, **request):
    """Capture a disk; returns the snapshot's id."""
    return capture(repository, disk, CaptureRequest(**request), Progress()).snapshot_id
