"""A bounded cache of opened blocks: however many threads want a block, it is fetched once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from lamina.engine.blockmap.page import Stored
from lamina.engine.format import BLOCK_BYTES, BlockId
from lamina.engine.packs.reader import Wanted
from lamina.failures import Corruption

Fetch = Callable[[Sequence[Wanted]], list[bytes | Corruption]]
_Content = bytes | Corruption


class BlockCache:
    """Blocks by id, the ones not used for longest dropped first. Thread-safe.

    Equal blocks are one entry, wherever on the disk and wherever in the store they lie. Damage is not
    kept: who asks again later has the store asked again.
    """

    def __init__(self, capacity_bytes: int, fetch: Fetch) -> None:
        """Start empty.

        Args:
            capacity_bytes: how much is kept; what is being read at the moment comes on top.
            fetch: reads many records at once, such as `RecordReader.read`.
        """
        self._capacity_bytes = capacity_bytes
        self._fetch = fetch
        self._lock = threading.Lock()
        self._kept: OrderedDict[BlockId, bytes] = OrderedDict()
        self._coming: dict[BlockId, Future[_Content]] = {}

    def load(self, wanted: Sequence[Stored]) -> dict[BlockId, bytes | Corruption]:
        """The contents of all these blocks, or what is wrong with each.

        What nobody has or fetches yet is fetched in one call, before anybody else's fetch is waited for:
        so no two threads ever wait for each other.

        Raises:
            Fault: the store failed, for this thread or for the one that fetched.
        """
        found: dict[BlockId, _Content] = {}
        mine: dict[BlockId, Stored] = {}
        others: dict[BlockId, Future[_Content]] = {}
        with self._lock:
            for item in wanted:
                block_id = item.block_id
                if block_id in self._kept:
                    self._kept.move_to_end(block_id)
                    found[block_id] = self._kept[block_id]
                elif block_id in self._coming and block_id not in mine:
                    others[block_id] = self._coming[block_id]
                elif block_id not in mine:
                    mine[block_id] = item
                    self._coming[block_id] = Future()
        if mine:
            found |= self._fetch_mine(mine)
        for block_id, future in others.items():
            found[block_id] = future.result()
        return found

    def _fetch_mine(self, mine: dict[BlockId, Stored]) -> dict[BlockId, _Content]:
        try:
            contents = self._fetch([Wanted(*item) for item in mine.values()])
        except BaseException as failure:
            for block_id in mine:
                self._take_coming(block_id).set_exception(failure)
            raise
        found = dict(zip(mine, map(_check_length, contents), strict=True))
        for block_id, content in found.items():
            self._take_coming(block_id, content).set_result(content)
        return found

    def _take_coming(self, block_id: BlockId, content: _Content | None = None) -> Future[_Content]:
        """End the fetch of one block, and keep what it brought."""
        with self._lock:
            if isinstance(content, bytes):
                self._kept[block_id] = content
                while len(self._kept) * BLOCK_BYTES > self._capacity_bytes:
                    self._kept.popitem(last=False)
            return self._coming.pop(block_id)


def _check_length(content: _Content) -> _Content:
    if isinstance(content, bytes) and len(content) != BLOCK_BYTES:
        return Corruption(f"a record holds {len(content)} bytes instead of a block of {BLOCK_BYTES}")
    return content
