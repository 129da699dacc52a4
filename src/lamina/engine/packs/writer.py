"""Filling packs from many threads, and sending them off with back-pressure."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from lamina.engine.format import (
    PACK_BYTES_MAX,
    PACK_HEADER,
    PACK_TARGET_BYTES,
    RECORD_OVERHEAD,
    Location,
    PackId,
    pack_key,
)
from lamina.engine.objects.store import ObjectStore
from lamina.engine.packs.footer import FooterRow, encode_footer, encode_header, footer_bytes
from lamina.engine.seal.encryption import PackCipher
from lamina.engine.seal.keys import DomainKeys
from lamina.failures import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

# One data pack and one map pack open, two on their way: 4 x 36 MiB is the most that packs occupy.
_BUFFERS: Final = 4
_UPLOAD_THREADS: Final = 2


class Unsealed(NamedTuple):
    """A record before encryption: its id, encoding and payload."""

    identity: bytes
    encoding: int
    payload: bytes | bytearray


class WrittenPack(NamedTuple):
    """A pack that the store has acknowledged: its kind, name, rows and size in bytes."""

    kind: bytes
    pack: PackId
    rows: tuple[FooterRow, ...]
    size_bytes: int


class Uploads:
    """The way from full packs to the store, shared by the writers of one session.

    Buffers are lent from a fixed set: who wants to open a pack waits until an upload has freed one. That bounds
    memory and slows readers down to the speed of the store.
    """

    def __init__(self, store: ObjectStore, on_stored: Callable[[WrittenPack], None]) -> None:
        self._store = store
        self._on_stored = on_stored
        self._executor = ThreadPoolExecutor(_UPLOAD_THREADS, thread_name_prefix="upload")
        self._buffers: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
        for _ in range(_BUFFERS):
            self._buffers.put(None)  # made when first needed: a small capture needs two
        self._futures: list[Future[None]] = []
        self._lock = threading.Lock()
        self.stored: list[WrittenPack] = []

    def lend(self) -> bytearray:
        """A buffer of `PACK_BYTES_MAX` bytes; waits while all are in use."""
        buffer = self._buffers.get()
        return bytearray(PACK_BYTES_MAX) if buffer is None else buffer

    def send(self, written: WrittenPack, buffer: bytearray) -> None:
        """Store a complete pack and take the buffer back, in the background."""
        with self._lock:
            self._futures.append(self._executor.submit(self._upload, written, buffer))

    def check(self) -> None:
        """Raise what an upload that has ended raised."""
        with self._lock:
            ended = [future for future in self._futures if future.done()]
            self._futures = [future for future in self._futures if not future.done()]
        for future in ended:
            future.result()

    def wait(self) -> None:
        """Wait until every pack is stored; raise what an upload raised."""
        with self._lock:
            futures, self._futures = self._futures, []
        for future in futures:
            future.result()

    def confirm(self) -> int:
        """Ask the store whether it holds what it acknowledged: one listing per thousand packs.

        Returns:
            The size of all packs in bytes.

        Raises:
            Fault: a pack is missing or has another size. The store lies; nothing may be committed.
        """
        sent = {pack_key(item.kind, item.pack): item.size_bytes for item in self.stored}
        held: dict[str, int] = {}
        for folder in sorted({key.rpartition("/")[0] + "/" for key in sent}):
            held.update((info.key, info.size_bytes) for info in self._store.list(folder))
        for key, size in sent.items():
            if held.get(key) != size:
                raise Fault(
                    f"the object store acknowledged {key!r} with {size} bytes and now lists {held.get(key, 'nothing')}:"
                    " nothing was committed; do not trust this store before its own checks pass",
                    retryable=False,
                )
        return sum(sent.values())

    def close(self) -> None:
        """Stop; uploads that have not begun are dropped, those under way are waited for."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _upload(self, written: WrittenPack, buffer: bytearray) -> None:
        try:
            self._store.put(pack_key(written.kind, written.pack), memoryview(buffer)[: written.size_bytes])
        finally:
            self._buffers.put(buffer)
        with self._lock:
            self.stored.append(written)
        self._on_stored(written)


@dataclass(slots=True)
class _OpenPack:
    pack: PackId
    cipher: PackCipher
    header: bytes
    buffer: bytearray
    end: int = PACK_HEADER.size
    rows: list[FooterRow] = field(default_factory=list)
    unsealed: int = 0
    closed: bool = False


class PackWriter:
    """Appends records to packs of one kind. Thread-safe.

    A place in the open pack is handed out under a lock; the encryption into it runs outside. A pack leaves when it
    is closed and every place in it is filled.
    """

    def __init__(
        self,
        kind: bytes,
        session: bytes,
        keys: DomainKeys,
        uploads: Uploads,
        *,
        target_bytes: int = PACK_TARGET_BYTES,
    ) -> None:
        self._kind = kind
        self._session = session
        self._keys = keys
        self._uploads = uploads
        self._target_bytes = target_bytes
        self._open: _OpenPack | None = None
        self._number = 0
        self._place_lock = threading.Lock()
        # Not the same lock: a thread that waits for a buffer holds the first one, while the threads that
        # could free a buffer by finishing a pack need this one.
        self._count_lock = threading.Lock()

    def append(self, records: Sequence[Unsealed]) -> list[Location]:
        """Seal the records into packs and tell where each one lies.

        Raises:
            Fault: an earlier upload failed; the session cannot be committed.
        """
        self._uploads.check()
        locations = []
        for record in records:
            with self._place(record) as (pack, location):
                place = memoryview(pack.buffer)[location.offset : location.offset + location.length]
                pack.cipher.seal_into(
                    place, location.offset, record.identity, record.encoding, record.payload
                )
            locations.append(location)
        return locations

    def finish(self) -> None:
        """Close the open pack. `Uploads.wait` tells when it is stored."""
        with self._place_lock:
            if self._open is not None:
                self._close(self._open)
                self._open = None

    @contextmanager
    def _place(self, record: Unsealed) -> "Iterator[tuple[_OpenPack, Location]]":
        length = len(record.payload) + RECORD_OVERHEAD
        with self._place_lock:
            pack = self._open
            if pack is not None and pack.end + length + footer_bytes(len(pack.rows) + 1) > self._target_bytes:
                self._close(pack)
                pack = None
            if pack is None:
                pack = self._open = self._start()
            location = Location(pack.pack, pack.end, length)
            pack.rows.append(FooterRow(record.identity, pack.end, length))
            pack.end += length
            with self._count_lock:
                pack.unsealed += 1
        yield pack, location
        with self._count_lock:
            pack.unsealed -= 1
            complete = pack.closed and pack.unsealed == 0
        if complete:
            self._send(pack)

    def _start(self) -> _OpenPack:
        pack = PackId(self._session, self._number)
        self._number += 1
        header = encode_header(self._kind, self._keys.domain, pack)
        buffer = self._uploads.lend()
        buffer[: len(header)] = header
        return _OpenPack(pack, PackCipher(self._keys.pack_key(self._kind, pack)), header, buffer)

    def _close(self, pack: _OpenPack) -> None:
        with self._count_lock:
            pack.closed = True
            complete = pack.unsealed == 0
        if complete:
            self._send(pack)

    def _send(self, pack: _OpenPack) -> None:
        footer = encode_footer(pack.cipher, pack.header, pack.rows)
        size = pack.end + len(footer)
        pack.buffer[pack.end : size] = footer
        self._uploads.send(WrittenPack(self._kind, pack.pack, tuple(pack.rows), size), pack.buffer)
