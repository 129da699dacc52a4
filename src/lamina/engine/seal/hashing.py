"""Identity: keyed BLAKE3 of blocks and pages (docs/format.md §3.6)."""

from collections.abc import Iterable
from typing import Final

from blake3 import blake3

from lamina.engine.format import BLOCK_BYTES, DISK_SIZE, ROOT_INDEX, BlockId, PageId
from lamina.engine.seal.keys import DomainKeys

ZERO_BLOCK: Final = bytes(BLOCK_BYTES)


class Identity:
    """Computes ids within one domain. Thread-safe; BLAKE3 runs outside the interpreter lock (5 GB/s a core)."""

    def __init__(self, keys: DomainKeys) -> None:
        self._block_key = keys.block_identity()
        self._page_key = keys.page_identity()

    def block(self, block: bytes | bytearray | memoryview) -> BlockId:
        """The id of one whole block."""
        return BlockId(blake3(block, key=self._block_key).digest())

    def leaf(self, data_bits: bytes, zero_bits: bytes, ids: Iterable[BlockId]) -> PageId:
        """The id of a leaf: which blocks are data, which written zero, and the ids of the data blocks in order."""
        return self._page(b"leaf" + data_bits + zero_bits + b"".join(ids))

    def branch(self, present_bits: bytes, page_ids: Iterable[PageId]) -> PageId:
        """The id of a branch: which leaves it has, and their page ids in order."""
        return self._page(b"branch" + present_bits + b"".join(page_ids))

    def content(self, size_bytes: int, branches: Iterable[tuple[int, PageId]]) -> PageId:
        """The id of a disk's whole content: its size, and index and page id of every branch in order."""
        rows = b"".join(ROOT_INDEX.pack(index) + page_id for index, page_id in branches)
        return self._page(b"root" + DISK_SIZE.pack(size_bytes) + rows)

    def _page(self, content: bytes) -> PageId:
        return PageId(blake3(content, key=self._page_key).digest())
