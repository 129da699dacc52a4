"""Filling packs from many threads, and sending them off with back-pressure."""

import mmap
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NamedTuple

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
        self._buffers: queue.SimpleQueue[mmap.mmap | None] = queue.SimpleQueue()
        for _ in range(_BUFFERS):
            self._buffers.put(None)  # made when first needed: a small capture needs two
        self._futures: list[Future[None]] = []
        self._lock = threading.Lock()
        self.stored: list[WrittenPack] = []

    def lend(self) -> mmap.mmap:
        """A buffer of `PACK_BYTES_MAX` bytes; waits while all are in use.

        Anonymous memory: a small pack occupies what it holds, where a `bytearray` costs 40 ms of clearing.
        """
        buffer = self._buffers.get()
        if buffer is not None:
            return buffer
        try:
            return mmap.mmap(-1, PACK_BYTES_MAX, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            self.give_back(None)
            raise Fault(f"no memory for a pack: {error.strerror}", retryable=True) from error

    def give_back(self, buffer: mmap.mmap | None) -> None:
        """Return a lent buffer that will not be sent."""
        self._buffers.put(buffer)

    def send(self, written: WrittenPack, buffer: mmap.mmap) -> None:
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

    def _upload(self, written: WrittenPack, buffer: mmap.mmap) -> None:
        try:
            self._store.put(pack_key(written.kind, written.pack), memoryview(buffer)[: written.size_bytes])
        finally:
            self.give_back(buffer)
        with self._lock:
            self.stored.append(written)
        self._on_stored(written)


@dataclass(slots=True)
class _OpenPack:
    pack: PackId
    cipher: PackCipher
    header: bytes
    buffer: mmap.mmap
    end: int = PACK_HEADER.size
    rows: list[FooterRow] = field(default_factory=list)
    unsealed: int = 0
    closed: bool = False
    spoiled: bool = False


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
        """Seal the records into packs, side by side, and tell where each one lies.

        Raises:
            Fault: an earlier upload failed; the session cannot be committed.
        """
        self._uploads.check()
        places: list[tuple[_OpenPack, Location]] = []
        sealed = False
        try:
            self._reserve(records, places)
            for record, (pack, location) in zip(records, places, strict=True):
                room = memoryview(pack.buffer)[location.offset : location.offset + location.length]
                pack.cipher.seal_into(room, location.offset, record.identity, record.encoding, record.payload)
            sealed = True
        finally:
            self._release(places, sealed=sealed)
        return [location for _, location in places]

    def finish(self) -> None:
        """Close the open pack. `Uploads.wait` tells when it is stored."""
        with self._place_lock:
            if self._open is not None:
                self._close(self._open)
                self._open = None

    def _reserve(self, records: Sequence[Unsealed], places: list[tuple[_OpenPack, Location]]) -> None:
        """Places for all records at once, so that what is read together lies together.

        All records together are shorter than a pack: who has places in several closed packs while it waits
        for a buffer keeps those packs from leaving.
        """
        with self._place_lock:
            for record in records:
                length = len(record.payload) + RECORD_OVERHEAD
                pack = self._open
                if (
                    pack is not None
                    and pack.end + length + footer_bytes(len(pack.rows) + 1) > self._target_bytes
                ):
                    self._close(pack)
                    pack = None
                if pack is None:
                    pack = self._open = self._start()
                places.append((pack, Location(pack.pack, pack.end, length)))
                pack.rows.append(FooterRow(record.identity, pack.end, length))
                pack.end += length
                with self._count_lock:
                    pack.unsealed += 1

    def _release(self, places: Sequence[tuple[_OpenPack, Location]], *, sealed: bool) -> None:
        complete = []
        with self._count_lock:
            for pack, _ in places:
                pack.unsealed -= 1
                pack.spoiled |= not sealed
                if pack.closed and pack.unsealed == 0:
                    complete.append(pack)
        for pack in complete:
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
        if pack.spoiled:  # its footer would promise records that are not there, and others would rely on them
            self._uploads.give_back(pack.buffer)
            return
        footer = encode_footer(pack.cipher, pack.header, pack.rows)
        size = pack.end + len(footer)
        pack.buffer[pack.end : size] = footer
        self._uploads.send(WrittenPack(self._kind, pack.pack, tuple(pack.rows), size), pack.buffer)
