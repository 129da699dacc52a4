"""Replay protection: a signed call is accepted once.

A call is accepted while its time of signing is within 15 minutes of ours, so its nonce has to be remembered
until 15 minutes after that time, in this process and in the next one. Refusing calls signed before the
start of the process does not do: a client whose clock is ahead signs calls that stay valid after a restart.
So every accepted nonce is also appended, as 8 bytes, to a file of its quarter of an hour. Such a write
takes a few microseconds and outlives the process, also a killed one; it is not flushed, so after a power
cut the last half minute may be open to replay. Several API processes behind one address would each need to
see the others' files; today there is one.
"""

import threading
from collections.abc import Iterator
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

_SLICE_SECONDS: Final = int(WINDOW.total_seconds())
_FULL_SECONDS: Final = 60  # room comes back a quarter of an hour at a time
_RECORD_BYTES: Final = 8  # a digest of 64 bits: a false hit among a million costs one in 10^13 calls a retry


class NonceStore:
    """Nonces seen within the window; safe for any number of threads.

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
        self._slices: dict[int, set[bytes]] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._load(folder)

    def accept(self, access_key_id: str, nonce: str, signed_at: datetime) -> None:
        """Remember a call whose signature was verified.

        Raises:
            ApiError: the call is too old or too early, was seen before, or too many calls are remembered.
        """
        now = self._clock.now()
        if abs(now - signed_at) > WINDOW:
            raise ApiError(
                ILLEGAL_TIMESTAMP,
                f"The call was signed at {signed_at:%Y-%m-%dT%H:%M:%SZ} and it is {now:%Y-%m-%dT%H:%M:%SZ}; "
                "set the client's clock, at most 15 minutes off are accepted",
            )
        number = int((signed_at + WINDOW).timestamp()) // _SLICE_SECONDS
        digest = blake2b(f"{access_key_id}\n{nonce}".encode(), digest_size=_RECORD_BYTES).digest()
        with self._lock:
            self._drop_before(int(now.timestamp()) // _SLICE_SECONDS)
            if any(digest in seen for seen in self._slices.values()):
                raise ApiError(
                    NONCE_USED, "The signature nonce was used before; sign every call with a new one"
                )
            if sum(map(len, self._slices.values())) >= self._capacity:
                raise ThrottledError(
                    "Too many calls within the last minutes; slow down and try again",
                    wait_seconds=_FULL_SECONDS,
                )
            self._append(number, digest)
            self._slices.setdefault(number, set()).add(digest)

    def _append(self, number: int, digest: bytes) -> None:
        if self._folder is None:
            return
        try:
            with (self._folder / f"{number}.seen").open("ab", buffering=0) as file:
                file.write(digest)
        except OSError as error:
            raise Fault(
                f"cannot note the signature nonce in {self._folder}: {error}", retryable=True
            ) from error

    def _drop_before(self, number: int) -> None:
        for old in [known for known in self._slices if known < number]:
            del self._slices[old]
            if self._folder is not None:
                (self._folder / f"{old}.seen").unlink(missing_ok=True)

    def _load(self, folder: Path) -> None:
        current = int(self._clock.now().timestamp()) // _SLICE_SECONDS
        for number, path in _list_files(folder):
            if number < current:
                path.unlink(missing_ok=True)
                continue
            raw = path.read_bytes()
            whole = len(raw) - len(raw) % _RECORD_BYTES
            if whole != len(
                raw
            ):  # a write cut short by a full disk: realign, so that later records can be read
                with path.open("r+b") as file:
                    file.truncate(whole)
            self._slices[number] = {raw[at : at + _RECORD_BYTES] for at in range(0, whole, _RECORD_BYTES)}


def _list_files(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob("*.seen"):
        if path.stem.isdecimal():
            yield int(path.stem), path
