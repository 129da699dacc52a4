"""Keeping two owners of one task from working on it at the same moment.

A lease runs out when its owner is stopped for a while: by a signal, by a debugger, with the virtual machine around it.
The fence keeps out what such an owner writes to the database when it goes on, but the bytes of disks know no fence. So
whoever works on a task also holds a lock of the kernel (an open file description lock, fcntl(2)) on a file that all
processes share: one byte of it per task. Whoever takes a task over waits for that byte. It is free when the former
owner ends, or goes on and finds its lease lost.
"""

import errno
import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lamina.failures import Fault
from lamina.ids import TaskId

_FLOCK: Final = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, process
_TAKEN: Final = (errno.EAGAIN, errno.EACCES)


class TaskLocks:
    """The locks of all tasks. Safe for any number of threads and processes.

    Args:
        path: a file that all processes which may take over from one another see; it is made, and stays empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def taken(self, task_id: TaskId) -> Iterator[bool]:
        """Hold the lock of a task as long as this lasts; answers False, and holds nothing, if somebody else has it.

        Raises:
            Fault: the file system has no locks, or the file cannot be opened.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Fault(f"{self._path} cannot be opened: {error.strerror}", retryable=True) from error
        try:
            yield self._take(fd, task_id)
        finally:
            os.close(fd)  # frees the lock

    def _take(self, fd: int, task_id: TaskId) -> bool:
        try:
            fcntl.fcntl(
                fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _place(task_id), 1, 0)
            )
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise Fault(f"{self._path} cannot be locked: {error.strerror}", retryable=True) from error
        return True


def _place(task_id: TaskId) -> int:
    """The byte of a task. Two tasks with one byte wait for each other, and that is all."""
    digest = hashlib.blake2b(task_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 2  # an offset has 63 bits
