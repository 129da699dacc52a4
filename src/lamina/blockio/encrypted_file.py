"""Encrypted raw disks: a raw file whose sectors are sealed one by one, so that it is still read and written in place.

AES-256-XTS (IEEE 1619) with data units of 4 KiB; the tweak is the number of the unit. XTS hides, it does not
authenticate: whoever can write to the file can destroy it unnoticed, as with any encrypted disk. A unit whose
ciphertext is all zero stands for zeros that were never written: holes stay holes, and a disk of 32 TiB is made in an
instant. Encryption gives such a unit by chance once in 2^32768 writes.
"""

import fcntl
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Protocol, Self

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import XTS

from lamina.blockio.extents import Extent
from lamina.blockio.raw_file import RawFileTarget
from lamina.blockio.source import OpenSource
from lamina.units import KIB, MIB, round_down, round_up

KEY_BYTES: Final = 64
"""Two AES-256 keys, as XTS needs them."""

UNIT_BYTES: Final = 4 * KIB
"""One data unit: smaller ones cost 4 µs each as well, larger ones make small writes read more before."""

_ZEROS: Final = bytes(UNIT_BYTES)
_BATCH_BYTES: Final = MIB  # of one lock and one call; bounds the copy that is made of what is written
_TWEAK_BYTES: Final = 16
_FLOCK: Final = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, process


class _Readable(Protocol):
    def read_into(self, offset: int, buffers: Sequence[bytearray]) -> None: ...


class UnitCipher:
    """Seals and opens whole data units of one disk. Safe for any number of threads.

    Args:
        key: 64 random bytes of this disk alone.
    """

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES, "XTS takes two AES-256 keys"
        self._algorithm = AES(key)

    def seal(self, offset: int, data: bytes | bytearray | memoryview) -> bytearray:
        """The ciphertext of whole units from `offset` on."""
        sealed = bytearray(len(data))
        plain = memoryview(data)
        for at in range(0, len(data), UNIT_BYTES):
            context = self._cipher(offset + at).encryptor()
            sealed[at : at + UNIT_BYTES] = context.update(plain[at : at + UNIT_BYTES])
        return sealed

    def open(self, offset: int, view: memoryview) -> None:
        """Replace the ciphertext of whole units from `offset` on by what it says."""
        for at in range(0, len(view), UNIT_BYTES):
            unit = view[at : at + UNIT_BYTES]
            if unit != _ZEROS:
                unit[:] = self._cipher(offset + at).decryptor().update(unit)

    def _cipher(self, offset: int) -> Cipher[XTS]:
        return Cipher(self._algorithm, XTS((offset // UNIT_BYTES).to_bytes(_TWEAK_BYTES, "little")))

    def __repr__(self) -> str:
        return "UnitCipher(hidden)"


class EncryptedSource:
    """What an encrypted disk says, as a `BlockSource`; as still as the file beneath it."""

    def __init__(self, source: OpenSource, cipher: UnitCipher) -> None:
        """Take over a source of ciphertext, which is closed with this one."""
        self._source = source
        self._cipher = cipher

    @property
    def size_bytes(self) -> int:
        """The size of the disk in bytes."""
        return self._source.size_bytes

    def list_extents(self, offset: int, length: int) -> Iterator[Extent]:
        """The extents that cover `[offset, offset + length)`: those of the file."""
        return self._source.list_extents(offset, length)

    def read_into(self, offset: int, buffers: Sequence[bytearray]) -> None:
        """Fill every buffer from `offset` on; bytes past the end become zero.

        Raises:
            Fault: the file could not be read there.
        """
        _read_into(self._source, self._cipher, offset, buffers)

    def close(self) -> None:
        """Release the file; twice does no harm."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EncryptedTarget:
    """An encrypted disk as a `BlockTarget`.

    Units that a write covers in part are read before. Writers of disjoint bytes of one unit wait for one another, in
    this process and in others, so that none of them undoes what another one wrote.
    """

    def __init__(self, target: RawFileTarget, cipher: UnitCipher) -> None:
        """Take over a target for ciphertext, which is closed with this one."""
        assert target.size_bytes % UNIT_BYTES == 0, "an encrypted disk consists of whole units"
        self._target = target
        self._cipher = cipher
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """The size of the target in bytes."""
        return self._target.size_bytes

    @property
    def is_blank(self) -> bool:
        """Whether this object made the file, or emptied it, and so knows that it reads as zero."""
        return self._target.is_blank

    @property
    def can_punch(self) -> bool:
        """Whether `punch` is a matter of metadata."""
        return self._target.can_punch

    def list_extents(self, offset: int, length: int) -> Iterator[Extent]:
        """The extents that cover `[offset, offset + length)` at this moment."""
        return self._target.list_extents(offset, length)

    def read_into(self, offset: int, buffers: Sequence[bytearray]) -> None:
        """Fill every buffer from `offset` on; bytes past the end become zero.

        Raises:
            Fault: the disk could not be read there.
        """
        _read_into(self._target, self._cipher, offset, buffers)

    def write(self, offset: int, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write the buffers one after the other from `offset` on.

        Raises:
            Fault: the disk refused; some of the bytes may have been written.
        """
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            while view:
                # to the next border of a batch, so that only the first and the last one cover units in part
                count = min(len(view), round_down(offset, _BATCH_BYTES) + _BATCH_BYTES - offset)
                self._write(offset, view[:count])
                view, offset = view[count:], offset + count

    def punch(self, offset: int, length: int) -> None:
        """Make the range read as zero and, where the file system can, occupy no space.

        Raises:
            Fault: the disk refused.
        """
        for start, end in self._clear_edges(offset, length):
            with self._alone(start, end - start):
                self._target.punch(start, end - start)

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zero and stay allocated.

        Raises:
            Fault: the disk refused.
        """
        for start, end in self._clear_edges(offset, length):
            with self._alone(start, end - start):
                self._target.zero(start, end - start)

    def flush(self) -> None:
        """Make everything written so far durable, and the name of a new file too.

        Raises:
            Fault: the disk refused.
        """
        self._target.flush()

    def close(self) -> None:
        """Release the file without flushing; twice does no harm."""
        self._target.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, offset: int, data: memoryview) -> None:
        start, end = round_down(offset, UNIT_BYTES), round_up(offset + len(data), UNIT_BYTES)
        if (start, end) == (offset, offset + len(data)):
            sealed = self._cipher.seal(offset, data)
            with self._alone(start, end - start):
                self._target.write(offset, [sealed])
            return
        with self._alone(start, end - start):
            units = bytearray(end - start)
            _read_into(self._target, self._cipher, start, [units])
            units[offset - start : offset - start + len(data)] = data
            self._target.write(start, [self._cipher.seal(start, units)])

    def _clear_edges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Write zeros to units that a range covers in part; answers the range of whole ones, if there are any."""
        end = offset + length
        inner_start, inner_end = round_up(offset, UNIT_BYTES), round_down(end, UNIT_BYTES)
        if inner_start >= inner_end:
            self.write(offset, [bytes(length)])
            return
        self.write(offset, [bytes(inner_start - offset)])
        self.write(inner_end, [bytes(end - inner_end)])
        yield inner_start, inner_end

    @contextmanager
    def _alone(self, offset: int, length: int) -> Iterator[None]:
        """Keep other writers of a range away: threads by a lock, other descriptors by one of the kernel (OFD)."""
        fd = self._target.fileno()
        with self._lock:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _flock(fcntl.F_WRLCK, offset, length))
            try:
                yield
            finally:
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, offset, length))


def _flock(kind: int, offset: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, offset, length, 0)


def _read_into(source: _Readable, cipher: UnitCipher, offset: int, buffers: Sequence[bytearray]) -> None:
    if offset % UNIT_BYTES == 0 and all(len(buffer) % UNIT_BYTES == 0 for buffer in buffers):
        source.read_into(offset, buffers)
        for buffer in buffers:
            cipher.open(offset, memoryview(buffer))
            offset += len(buffer)
        return
    for buffer in buffers:
        start, end = round_down(offset, UNIT_BYTES), round_up(offset + len(buffer), UNIT_BYTES)
        units = bytearray(end - start)
        source.read_into(start, [units])
        cipher.open(start, memoryview(units))
        buffer[:] = units[offset - start : offset - start + len(buffer)]
        offset += len(buffer)
