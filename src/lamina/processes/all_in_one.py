"""The whole service in one process: API, worker, reconcilers, on one folder."""

import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Self

from uvicorn import Server

from lamina.api.asgi import server_config
from lamina.clock import Clock
from lamina.control.first_start import Credentials, furnish
from lamina.control.installation import open_installation
from lamina.failures import Refusal
from lamina.processes.api import make_app, settle_down
from lamina.processes.worker import working
from lamina.settings import Settings

_SHUTDOWN_SECONDS: Final = 3  # open streams would keep uvicorn alive for ever
_BACKLOG: Final = 2048
_PORT_MAX: Final = 65_535
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the service listens.

    Attributes:
        host: a name or an address.
        port: a TCP port; 0 takes a free one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`HOST:PORT`, with an IPv6 address in brackets.

        Raises:
            Refusal: it is something else.
        """
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (colon and host and port.isdecimal() and int(port) <= _PORT_MAX):
            raise Refusal(f"{text!r} is no address to listen on; write HOST:PORT, such as 127.0.0.1:8788")
        return cls(host=host, port=int(port))

    @property
    def url(self) -> str:
        """The endpoint that clients use."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def serve(
    data_dir: Path,
    listen: Address,
    settings: Settings,
    *,
    say: Callable[[str], None],
    clock: Clock | None = None,
) -> None:
    """Run the service until SIGINT or SIGTERM; work that is not finished by then goes on at the next start.

    Args:
        data_dir: the installation; made if there is none.
        listen: where to answer.
        settings: what the environment said.
        say: told where the service answers and, at the first start, the access key.
        clock: the installation's time, which a test installation moves; see `open_installation` for the default.

    Raises:
        InstallationBusyError: another service runs on the folder.
        Refusal: the address is taken, or the folder cannot be used.
        Fault: the database failed.
    """
    _leave_no_core()
    with (
        _listening(listen) as (listener, address),
        open_installation(data_dir, settings, clock) as installation,
    ):
        credentials = furnish(installation, address.url)
        with working(installation):
            config = server_config(make_app(installation), address.host, address.port)
            config.timeout_graceful_shutdown = _SHUTDOWN_SECONDS
            server = Server(config)
            settle_down()
            with _signals_ending(server):
                if credentials is not None:
                    _tell(say, credentials, data_dir)
                say(f"lamina answers at {address.url}")
                server.run(sockets=[listener])


def _leave_no_core() -> None:
    """A core file would hold the root key, those of accounts, and contents of disks. systemd-coredump keeps to this."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


@contextmanager
def _listening(address: Address) -> Iterator[tuple[socket.socket, Address]]:
    """A listening socket, and its address with the port that it really got."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise Refusal(f"cannot listen on {address.url}: {error.strerror}; choose another --listen") from error
    with listener:
        yield listener, Address(host=address.host, port=listener.getsockname()[1])


@contextmanager
def _signals_ending(server: Server) -> Iterator[None]:
    """While uvicorn handles the signals: one that comes before it does must end it as well.

    When it has shut down it raises them again, and that must not end us: the worker's leases have to be given back
    and the database closed after that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = {each: signal.signal(each, end) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _tell(say: Callable[[str], None], credentials: Credentials, data_dir: Path) -> None:
    say(f"made a new installation in {data_dir}; its access key is also in credentials.json there")
    say(f"  region             {credentials.region_id}")
    say(f"  access key id      {credentials.access_key_id}")
    say(f"  access key secret  {credentials.access_key_secret}")
