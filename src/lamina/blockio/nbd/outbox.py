"""Sends replies over a non-blocking socket in order, many at once, and without copying them."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from lamina.blockio.nbd.replies import Reply

_VECTOR_MAX: Final = 64  # buffers per sendmsg; IOV_MAX is 1024, but a socket's buffer takes less than this


class Outbox:
    """The replies of one connection that the kernel has not taken yet.

    Lives in the event loop's thread. Its length is bounded by who fills it: the connection stops to read
    requests while too many replies wait.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._buffers: deque[memoryview] = deque()
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()
        self._pushed = 0  # bytes ever
        self._sent = 0
        self._is_waiting = False
        self._is_closed = False

    def push(self, reply: Reply, when_sent: Callable[[], None]) -> None:
        """Send a reply; `when_sent` is called when the kernel has all of it, or the connection is lost."""
        if not self._is_closed:
            self._buffers.extend(memoryview(part) for part in reply if len(part))
            self._pushed += sum(map(len, reply))
        self._marks.append((self._pushed, when_sent))
        if not self._is_waiting:
            self._pump()

    def close(self) -> None:
        """Drop what was not sent, and whatever is pushed from now on."""
        self._is_closed = True
        if self._is_waiting:
            self._loop.remove_writer(self._socket)
            self._is_waiting = False
        self._buffers.clear()
        self._sent = self._pushed
        self._report()

    def _pump(self) -> None:
        """Send until everything is sent or the socket is full."""
        try:
            while self._buffers:
                self._advance(self._socket.sendmsg(list(islice(self._buffers, _VECTOR_MAX))))
        except BlockingIOError:
            if not self._is_waiting:
                self._loop.add_writer(self._socket, self._pump)
                self._is_waiting = True
        except OSError:
            self.close()  # the client is gone: reading from it will tell the connection
        else:
            if self._is_waiting:
                self._loop.remove_writer(self._socket)
                self._is_waiting = False
        self._report()

    def _advance(self, count: int) -> None:
        self._sent += count
        while count:
            first = self._buffers[0]
            if count < len(first):
                self._buffers[0] = first[count:]
                return
            count -= len(first)
            self._buffers.popleft()

    def _report(self) -> None:
        while self._marks and self._marks[0][0] <= self._sent:
            self._marks.popleft()[1]()
