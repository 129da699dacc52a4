"""Replay protection: a signed call is accepted once.

A call is accepted while its time of signing is within 15 minutes of ours, so its nonce has to be remembered
until 15 minutes after that time, in this process, in the next one, and in those that serve the same folder.
Refusing calls signed before the start of the process does not do: a client whose clock is ahead signs calls that
stay valid after a restart. So every accepted nonce is also appended, as 8 bytes, to a file of its quarter of an
hour; whoever looks has first read what others appended, under a lock of that file. This takes ten microseconds
and outlives the process, also a killed one; it is not flushed, so after a power cut the last half minute may be
open to replay.
"""

import errno
import fcntl
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Final

from lamina.api.codes import ILLEGAL_TIMESTAMP, NONCE_USED, ApiError, ThrottledError
from lamina.clock import Clock
from lamina.failures import Fault

WINDOW: Final = timedelta(minutes=15)
"""How far a client's clock may be off, in either direction."""

MAX_NONCES: Final = 1_000_000
"""About 80 MB of memory at most, and more than 500 calls per second for half an hour."""

_QUARTER_SECONDS: Final = int(WINDOW.total_seconds())
_FULL_SECONDS: Final = 60  # room comes back a quarter of an hour at a time
_RECORD_BYTES: Final = 8  # a digest of 64 bits: a false hit among a million costs one in 10^13 calls a retry


class _Quarter:
    """The nonces of a quarter of an hour: in memory, and in a file if the store has a folder.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._fd: int | None = None
        if path is not None:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._close = weakref.finalize(self, os.close, self._fd)
        self._read = 0
        self.seen: set[bytes] = set()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else appends; a record that somebody's full disk cut short is taken away."""
        if self._fd is None:
            yield
            return
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            surplus = os.fstat(self._fd).st_size % _RECORD_BYTES
            if surplus:
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - surplus)
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def catch_up(self) -> None:
        """Read what other processes appended."""
        if self._fd is None:
            return
        whole = os.fstat(self._fd).st_size // _RECORD_BYTES * _RECORD_BYTES
        if whole > self._read:
            raw = os.pread(self._fd, whole - self._read, self._read)
            self.seen.update(raw[at : at + _RECORD_BYTES] for at in range(0, len(raw), _RECORD_BYTES))
            self._read = whole

    def add(self, digest: bytes) -> None:
        """Remember one more."""
        if self._fd is not None:
            if os.write(self._fd, digest) != _RECORD_BYTES:  # whoever comes next takes the piece away
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._read += _RECORD_BYTES
        self.seen.add(digest)

    def drop(self) -> None:
        """Forget all of them."""
        if self._path is not None:
            self._close()
            self._path.unlink(missing_ok=True)


class NonceStore:
    """Nonces seen within the window; safe for any number of threads, and of processes that share the folder.

    Nothing is forgotten early: when the store is full, calls are refused instead.

    Args:
        clock: real time, also in an installation whose resource clock can be moved.
        folder: where the files live; `None` keeps nonces in memory only.
        capacity: how many nonces are remembered at most.
    """

    def __init__(self, clock: Clock, folder: Path | None, *, capacity: int = MAX_NONCES) -> None:
        self._clock = clock
        self._folder = folder
        self._capacity = capacity
        self._lock = threading.Lock()
        self._quarters: dict[int, _Quarter] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._load(folder)

    def accept(self, access_key_id: str, nonce: str, signed_at: datetime) -> None:
        """Remember a call whose signature was verified.

        Raises:
            ApiError: the call is too old or too early, was seen before, or too many calls are remembered.
            Fault: the nonce could not be written down.
        """
        now = self._clock.now()
        if abs(now - signed_at) > WINDOW:
            raise ApiError(
                ILLEGAL_TIMESTAMP,
                f"The call was signed at {signed_at:%Y-%m-%dT%H:%M:%SZ} and it is {now:%Y-%m-%dT%H:%M:%SZ}; "
                "set the client's clock, at most 15 minutes off are accepted",
            )
        number = int((signed_at + WINDOW).timestamp()) // _QUARTER_SECONDS
        digest = blake2b(f"{access_key_id}\n{nonce}".encode(), digest_size=_RECORD_BYTES).digest()
        with self._lock:
            try:
                self._drop_before(int(now.timestamp()) // _QUARTER_SECONDS)
                with self._open(number).alone():
                    self._accept(number, digest)
            except OSError as error:
                raise Fault(
                    f"cannot note the signature nonce in {self._folder}: {error}", retryable=True
                ) from error

    def _accept(self, number: int, digest: bytes) -> None:
        for quarter in self._quarters.values():
            quarter.catch_up()
            if digest in quarter.seen:
                raise ApiError(
                    NONCE_USED, "The signature nonce was used before; sign every call with a new one"
                )
        if sum(len(quarter.seen) for quarter in self._quarters.values()) >= self._capacity:
            raise ThrottledError(
                "Too many calls within the last minutes; slow down and try again",
                wait_seconds=_FULL_SECONDS,
            )
        self._quarters[number].add(digest)

    def _open(self, number: int) -> _Quarter:
        found = self._quarters.get(number)
        if found is None:
            path = None if self._folder is None else self._folder / f"{number}.seen"
            found = self._quarters[number] = _Quarter(path)
        return found

    def _drop_before(self, number: int) -> None:
        for old in [known for known in self._quarters if known < number]:
            self._quarters.pop(old).drop()

    def _load(self, folder: Path) -> None:
        current = int(self._clock.now().timestamp()) // _QUARTER_SECONDS
        for number, path in _list_files(folder):
            if number < current:
                path.unlink(missing_ok=True)
            else:
                quarter = self._open(number)
                with quarter.alone():
                    quarter.catch_up()


def _list_files(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob("*.seen"):
        if path.stem.isdecimal():
            yield int(path.stem), path
