"""Where the NBD server listens: a Unix socket for its owner alone, or a port of the loopback interface."""

import contextlib
import ipaddress
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lamina.failures import Refusal

_BACKLOG: Final = 128


class AddressUnavailableError(Refusal):
    """The server cannot listen there: in use, not a socket, not a loopback address, not permitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixAddress:
    """A Unix socket; made with mode 0600, and removed when the server stops.

    Attributes:
        path: where; at most 107 bytes long, unix(7).
    """

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackAddress:
    """A TCP port that only this host reaches: the protocol runs without TLS and without a password.

    Attributes:
        port: which; 0 lets the system choose.
        host: a loopback address.
    """

    port: int = 0
    host: str = "127.0.0.1"


Address = UnixAddress | LoopbackAddress


class Listener:
    """A listening, non-blocking socket.

    Attributes:
        socket: the socket.
        uri: what clients such as `nbdinfo` and `qemu-img` are given, without an export's name.
    """

    def __init__(self, address: Address) -> None:
        """Begin to listen.

        Raises:
            AddressUnavailableError: that is impossible there.
        """
        self._inode: int | None = None
        self._address = address
        try:
            match address:
                case UnixAddress(path=path):
                    self.socket = _listen_on_path(path)
                    self._inode = path.stat().st_ino
                    self.uri = f"nbd+unix:///?socket={quote(str(path))}"
                case LoopbackAddress():
                    self.socket = _listen_on_port(address)
                    host = f"[{address.host}]" if ":" in address.host else address.host
                    self.uri = f"nbd://{host}:{self.socket.getsockname()[1]}"
        except OSError as error:
            raise AddressUnavailableError(
                f"cannot listen at {address}: {error.strerror or error}; choose another place"
            ) from error

    def close(self) -> None:
        """Stop listening, and remove the socket file unless somebody put another one in its place."""
        self.socket.close()
        if isinstance(self._address, UnixAddress):
            with contextlib.suppress(FileNotFoundError):
                if self._address.path.stat().st_ino == self._inode:
                    self._address.path.unlink()


def _listen_on_path(path: Path) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)  # noqa: FBT003 - positional only
        listener.bind(str(path))
        path.chmod(0o600)  # nobody gets in before: connecting works only from `listen` on
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket file that no process listens at: what a killed server leaves behind."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AddressUnavailableError(f"{path} exists and is no socket; choose another path for the socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # noqa: FBT003 - positional only
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # somebody listens, and is busy
    raise AddressUnavailableError(f"{path} is the socket of a server that is running; stop that one first")


def _listen_on_port(address: LoopbackAddress) -> socket.socket:
    try:
        host = ipaddress.ip_address(address.host)
    except ValueError as error:
        raise AddressUnavailableError(f"{address.host!r} is no IP address") from error
    if not host.is_loopback:
        raise AddressUnavailableError(
            f"{host} is no loopback address; NBD has neither password nor encryption here, so only this host "
            "may reach it. Use a tunnel for others"
        )
    family = socket.AF_INET6 if host.version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)  # noqa: FBT003 - positional only
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
