"""A line to a service on which a call is late: it arrives right after somebody has looked for what it makes."""

import contextlib
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

_SECONDS: Final = 60.0
_ACTION: Final = re.compile(rb"^x-acs-action: (\w+)\r$", re.MULTILINE)


class LateLine(socketserver.ThreadingTCPServer):
    """Carries bytes in both directions. A late call arrives, whether its caller still waits for it or not.

    Attributes:
        is_sent: the late call has left its caller.
        is_answered: it was answered.
    """

    daemon_threads = True

    def __init__(self, origin: str, late: str, looking: str, looks: int, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        parts = urlsplit(origin)
        self.target = (parts.hostname, parts.port)
        self.late, self.looking = late.encode(), looking.encode()
        self.is_sent, self.is_answered = threading.Event(), threading.Event()
        self._looks, self._seconds = looks, seconds
        self._is_passed = threading.Event()

    @property
    def origin(self) -> str:
        """Where calls are sent to."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def hold(self) -> None:
        """Keep the late call until it is passed, or for as long as nobody looks."""
        self.is_sent.set()
        self._is_passed.wait(self._seconds)

    def pass_by(self) -> None:
        """A look was answered; the last one of those that pass the late call is told only when that was answered."""
        if self.is_sent.is_set():
            self._looks -= 1
            if self._looks == 0:
                self._is_passed.set()
                self.is_answered.wait(_SECONDS)


class _Connection(socketserver.BaseRequestHandler):
    server: LateLine
    _action = b""

    def handle(self) -> None:
        with socket.create_connection(self.server.target) as there:
            back = threading.Thread(target=self._carry_back, args=(there,))
            back.start()
            try:
                self._carry_there(there)
            finally:
                with contextlib.suppress(OSError):
                    there.shutdown(socket.SHUT_WR)
                back.join()

    def _carry_there(self, there: socket.socket) -> None:
        while data := _receive(self.request):
            if found := _ACTION.search(data):
                self._action = found[1]
            if self._action == self.server.late:
                self.server.hold()
            there.sendall(data)
        if self._action == self.server.late:
            # the host of a caller that is gone may be gone, too, and say nothing
            self.server.is_answered.wait(_SECONDS)

    def _carry_back(self, there: socket.socket) -> None:
        while data := _receive(there):
            if self._action == self.server.late:
                self.server.is_answered.set()
            elif self._action == self.server.looking:
                self._action = b""  # an answer comes in several pieces
                self.server.pass_by()
            with contextlib.suppress(OSError):
                self.request.sendall(data)
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_WR)  # the service hung up, and so do we


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except ConnectionError:
        return b""


@contextmanager
def late_line(
    origin: str, late: str, *, looking: str, looks: int = 1, seconds: float = _SECONDS
) -> Iterator[LateLine]:
    """A line on which a call arrives after so many calls of another action, or after some seconds."""
    with LateLine(origin, late, looking, looks, seconds) as line:
        thread = threading.Thread(target=line.serve_forever)
        thread.start()
        try:
            yield line
        finally:
            line.shutdown()
            thread.join()
