"""A disk of any size that is made up as it is read, and a store that keeps no data."""

from lamina.blockio.extents import Extent, ExtentKind, clip
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.store import ObjectInfo

_LINE = b"a line of text that is as good as any other. "
_TEXT = (_LINE * (BLOCK_BYTES // len(_LINE) + 1))[: BLOCK_BYTES - 8]


class EndlessDisk:
    """Every block is another one; the data lies in runs that are spread over the whole disk."""

    def __init__(self, size_bytes, data_bytes):
        self.size_bytes = size_bytes
        run = 64 * BLOCK_BYTES
        count = data_bytes // run
        step = size_bytes // count // BLOCK_BYTES * BLOCK_BYTES
        self._extents = [Extent(at * step, run) for at in range(count)]

    def list_extents(self, offset, length):
        position = offset
        for extent in clip(self._extents, offset, length):
            if extent.offset > position:
                yield Extent(position, extent.offset - position, ExtentKind.HOLE)
            yield extent
            position = extent.end
        if position < offset + length:
            yield Extent(position, offset + length - position, ExtentKind.HOLE)

    def read_into(self, offset, buffers):
        for buffer in buffers:
            buffer[:8] = offset.to_bytes(8, "little")
            buffer[8:] = _TEXT
            offset += BLOCK_BYTES


class ForgetfulStore(MemoryStore):
    """Knows the size of every pack and the bytes of everything else."""

    def __init__(self):
        super().__init__()
        self._sizes = {}

    def put(self, key, data):
        if key.startswith("data/"):
            self._sizes[key] = len(data)
        else:
            super().put(key, data)

    def list(self, prefix):
        packs = [
            ObjectInfo(key=key, size_bytes=size)
            for key, size in self._sizes.items()
            if key.startswith(prefix)
        ]
        return iter(sorted([*packs, *super().list(prefix)], key=lambda row: row.key))
