"""Vectored reads and writes that finish, whatever the kernel cuts short, and name the bytes that failed."""

import errno
import os
from collections.abc import Sequence
from itertools import repeat
from typing import Final

from lamina.failures import Fault
from lamina.units import MIB

IOV_MAX: Final = 1024  # limits.h of Linux; preadv and pwritev refuse more buffers per call

# A full disk or a lack of memory may pass; a medium that cannot be read stays so.
_PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EAGAIN, errno.ETIMEDOUT})

_ZEROS: Final = bytes(MIB)


def disk_fault(action: str, name: str, offset: int, length: int, error: OSError) -> Fault:
    """The fault that tells which bytes of which disk failed, and how."""
    return system_fault(f"{name}: cannot {action} bytes {offset} to {offset + length}", error)


def system_fault(failure: str, error: OSError) -> Fault:
    """The fault for something that the system did not do, with its reason and what helps."""
    advice = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "; make room on the file system and try again"
    return Fault(f"{failure} ({error.strerror or error}){advice}", retryable=error.errno in _PASSING)


def read_fully(fd: int, name: str, offset: int, buffers: Sequence[bytearray | memoryview], size: int) -> None:
    """Fill the buffers, one after the other, from `offset` on; bytes at or past `size` become zero.

    Raises:
        Fault: the disk refused, or ended before `size`.
    """
    views, behind_end = _split_at(buffers, max(0, size - offset))
    for view in behind_end:
        view[:] = bytes(len(view))
    position = offset
    while views:
        batch = views[:IOV_MAX]
        wanted = sum(map(len, batch))
        try:
            count = os.preadv(fd, batch, position)
        except OSError as error:
            raise disk_fault("read", name, position, wanted, error) from error
        if count == 0:
            raise Fault(
                f"{name}: cannot read bytes {position} to {position + wanted}: "
                f"the disk ends before its size of {size} bytes; it was cut short while in use",
                retryable=False,
            )
        position += count
        views = views[len(batch) :] if count == wanted else _drop_front(views, count)


def write_fully(fd: int, name: str, offset: int, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
    """Write the buffers one after the other from `offset` on.

    Raises:
        Fault: the disk refused.
    """
    views = [view for view in (memoryview(buffer).cast("B") for buffer in buffers) if len(view)]
    position = offset
    while views:
        batch = views[:IOV_MAX]
        wanted = sum(map(len, batch))
        try:
            count = os.pwritev(fd, batch, position)
        except OSError as error:
            raise disk_fault("write", name, position, wanted, error) from error
        position += count
        views = views[len(batch) :] if count == wanted else _drop_front(views, count)


def write_zeros(fd: int, name: str, offset: int, length: int) -> None:
    """Write `length` zero bytes from `offset` on, the slow way that works on everything.

    Raises:
        Fault: the disk refused.
    """
    whole, rest = divmod(length, len(_ZEROS))
    position = offset
    while whole:
        batch = min(whole, 64)
        write_fully(fd, name, position, list(repeat(_ZEROS, batch)))
        position += batch * len(_ZEROS)
        whole -= batch
    if rest:
        write_fully(fd, name, position, [memoryview(_ZEROS)[:rest]])


def _split_at(
    buffers: Sequence[bytearray | memoryview], length: int
) -> tuple[list[memoryview], list[memoryview]]:
    """The first `length` bytes of the buffers as one list of views, and the rest as another."""
    head: list[memoryview] = []
    tail: list[memoryview] = []
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        cut = min(len(view), length)
        if cut:
            head.append(view[:cut])
        if cut < len(view):
            tail.append(view[cut:])
        length -= cut
    return head, tail


def _drop_front(views: list[memoryview], count: int) -> list[memoryview]:
    for index, view in enumerate(views):
        if count < len(view):
            return [view[count:], *views[index + 1 :]]
        count -= len(view)
    return []
