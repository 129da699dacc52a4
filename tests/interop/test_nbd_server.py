"""The server among clients that behave badly, slowly, or many at once, and at its start and end."""

import asyncio
import os
import socket
import stat
import struct
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from lamina.blockio.nbd.connection import Limits
from lamina.blockio.nbd.listening import AddressUnavailableError, LoopbackAddress, UnixAddress
from lamina.blockio.nbd.server import NbdServer
from lamina.failures import Refusal
from tests.interop.conftest import running
from tests.unit.blockio.nbd.memory_export import MemoryExport
from tests.unit.blockio.nbd.wire import DISC, READ, WRITE, parse_replies, request

KIB = 1024
MIB = 1024 * KIB


class Client:
    """A bare client: the fewest bytes into transmission, then whatever a test wants."""

    def __init__(self, path, *, name=b""):
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.settimeout(10)
            self.socket.connect(str(path))
            assert self.take(18) == b"NBDMAGICIHAVEOPT\0\3"
            self.socket.sendall(b"\0\0\0\3IHAVEOPT" + struct.pack(">II", 1, len(name)) + name)
            self.size, _ = struct.unpack(">QH", self.take(10))
        except BaseException:
            self.socket.close()
            raise

    def take(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(min(count - len(data), MIB))
            if not piece:
                raise EOFError(f"{len(data)} of {count} bytes")
            data += piece
        return data

    def read(self, offset, length):
        self.socket.sendall(request(READ, offset, length))
        _, error, _ = struct.unpack(">IIQ", self.take(16))
        assert error == 0
        return self.take(length)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class SlowExport(MemoryExport):
    """A disk that answers only when it is let."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.gate = threading.Event()
        self.started = threading.Semaphore(0)
        self.running = 0

    def read(self, offset, length):
        self.running += 1
        self.started.release()
        assert self.gate.wait(20)
        return super().read(offset, length)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "nbd.sock"


def test_the_socket_is_its_owners_alone_and_gone_at_the_end(serve, path):
    with serve(MemoryExport(4096)):
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not path.exists()


def test_a_socket_that_a_killed_server_left_behind_is_replaced(serve, path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with serve(MemoryExport(4096)), Client(path) as client:
        assert client.size == 4096


def test_a_running_servers_socket_and_other_files_are_left_alone(serve, path, tmp_path):
    async def start(address):
        async with NbdServer({}, address):
            pass

    with serve(MemoryExport(4096)):
        with pytest.raises(AddressUnavailableError, match="running"):
            asyncio.run(start(UnixAddress(path=path)))
        with Client(path) as client:
            assert client.size == 4096
    precious = tmp_path / "precious"
    precious.write_text("data")
    with pytest.raises(AddressUnavailableError, match="no socket"):
        asyncio.run(start(UnixAddress(path=precious)))
    assert precious.read_text() == "data"
    with pytest.raises(AddressUnavailableError, match="cannot listen"):
        asyncio.run(start(UnixAddress(path=tmp_path / "missing" / "nbd.sock")))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "localhost"])
def test_only_loopback_addresses_are_listened_at(host):
    with pytest.raises(AddressUnavailableError):
        NbdServer({}, LoopbackAddress(host=host)).serve_forever(threading.Event())


def test_a_loopback_port_serves_the_same():
    with running({"": MemoryExport(4096)}, LoopbackAddress()) as uri:
        port = int(uri.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            assert client.recv(18) == b"NBDMAGICIHAVEOPT\0\3"


def test_a_server_that_does_not_run_has_no_uri(path):
    with pytest.raises(Refusal, match="start it"):
        NbdServer({}, UnixAddress(path=path)).uri  # noqa: B018 - it is the access that fails


def test_an_asyncio_host_can_start_and_stop_it_again_and_again(path):
    def ask():
        with Client(path) as client:
            return client.read(0, 4)

    async def live():
        export = MemoryExport(4096)
        export.data[:4] = b"data"
        server = NbdServer({"": export}, UnixAddress(path=path))
        for _ in range(3):
            async with server:
                assert await asyncio.to_thread(ask) == b"data"
        await server.stop()

    asyncio.run(live())


def test_fifty_clients_at_once(serve, path):
    export = MemoryExport(4 * MIB)
    export.data[:] = os.urandom(4 * MIB)
    failures = []

    def work(number):
        try:
            with Client(path) as client:
                for index in range(20):
                    offset = (number * 37 + index * 11) * 1000
                    assert client.read(offset, 50_000) == export.data[offset : offset + 50_000]
        except BaseException as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    with serve(export):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_more_clients_than_allowed_are_turned_away_and_welcome_later(serve, path):
    with serve(MemoryExport(4096), limits=Limits(connections=2)):
        with Client(path), Client(path), pytest.raises((EOFError, ConnectionError)):
            Client(path)
        deadline = time.monotonic() + 5
        while True:
            try:
                with Client(path) as client:
                    assert client.read(0, 1) == b"\0"
                break
            except (EOFError, ConnectionError):
                assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "stream",
    [
        request(WRITE, 0, data=b"x" * 100_000)[:50_000],
        request(READ, 0, MIB) * 30,
        request(READ, 0, MIB)[:20],
        b"nonsense that is no request at all",
    ],
    ids=["mid-write", "mid-reply", "mid-header", "nonsense"],
)
def test_a_client_that_vanishes_disturbs_nobody(serve, path, stream):
    with serve(MemoryExport(2 * MIB)), Client(path) as steady:
        for _ in range(5):
            with Client(path) as client:
                client.socket.sendall(stream)
            assert steady.read(0, 1000) == bytes(1000)
        assert steady.read(MIB, MIB) == bytes(MIB)


def test_a_slow_reader_holds_a_bounded_number_of_requests_and_gets_all_in_the_end(serve, path):
    calls = []

    class CountingExport(MemoryExport):
        def read(self, offset, length):
            calls.append(offset)
            return super().read(offset, length)

    export = CountingExport(64 * KIB)
    limits = Limits(requests=8, payload_bytes=256 * KIB)
    with serve(export, limits=limits), Client(path) as client:
        client.socket.sendall(b"".join(request(READ, 0, 64 * KIB, cookie=n) for n in range(200)))
        time.sleep(0.5)
        # 4 fill the budget, and what the socket's own buffer took is released: 208 KiB by default
        assert len(calls) <= 40
        cookies = []
        for _ in range(200):
            _, error, cookie = struct.unpack(">IIQ", client.take(16))
            assert (error, len(client.take(64 * KIB))) == (0, 64 * KIB)
            cookies.append(cookie)
        assert sorted(cookies) == list(range(200))
    assert len(calls) == 200


def test_one_request_above_the_budget_runs_alone(serve, path):
    with serve(MemoryExport(2 * MIB), limits=Limits(payload_bytes=64 * KIB)), Client(path) as client:
        assert client.read(0, 2 * MIB) == bytes(2 * MIB)


def test_requests_run_side_by_side_and_goodbye_waits_for_them(serve, path):
    export = SlowExport(4096)
    with serve(export, threads=3), Client(path) as client:
        stream = b"".join(request(READ, 0, 1, cookie=n) for n in range(3)) + request(DISC)
        client.socket.sendall(stream)
        for _ in range(3):
            assert export.started.acquire(timeout=5)
        export.gate.set()
        replies = client.take(3 * 17)
        assert sorted(struct.unpack_from(">Q", replies, 8 + 17 * n)[0] for n in range(3)) == [0, 1, 2]
        with pytest.raises(EOFError):
            client.take(1)


def test_a_client_that_never_finishes_the_handshake_is_dropped(serve, path):
    with (
        serve(MemoryExport(4096), limits=Limits(handshake_seconds=0.2)),
        socket.socket(socket.AF_UNIX) as idle,
    ):
        idle.settimeout(5)
        idle.connect(str(path))
        assert idle.recv(18) == b"NBDMAGICIHAVEOPT\0\3"
        assert idle.recv(1) == b""


def test_nonsense_without_end_does_not_starve_others(serve, path):
    with serve(MemoryExport(4096)), Client(path) as noisy, Client(path) as steady:
        stop = threading.Event()

        def shout():
            while not stop.is_set():
                noisy.socket.sendall(request(99, 0, 0) * 500)
                noisy.take(16 * 500)

        thread = threading.Thread(target=shout)
        thread.start()
        started = time.monotonic()
        for _ in range(50):
            steady.read(0, 100)
        assert time.monotonic() - started < 5
        stop.set()
        thread.join()


def test_stopping_answers_what_is_in_progress(path):
    async def live():
        export = SlowExport(4096)
        server = NbdServer({"": export}, UnixAddress(path=path))
        await server.start()
        client = await asyncio.to_thread(Client, path)
        idle = await asyncio.to_thread(Client, path)
        client.socket.sendall(request(READ, 0, 8))
        assert await asyncio.to_thread(export.started.acquire, True, 5)
        asyncio.get_running_loop().call_later(0.2, export.gate.set)
        await server.stop()
        with client, idle:
            assert struct.unpack(">IIQ", client.take(16))[1] == 0
            assert client.take(8) == bytes(8)
            with pytest.raises(EOFError):
                idle.take(1)

    asyncio.run(live())


def test_stopping_leaves_a_request_that_hangs(path):
    async def live():
        export = SlowExport(4096)
        server = NbdServer({"": export}, UnixAddress(path=path), limits=Limits(stop_seconds=0.2))
        await server.start()
        client = await asyncio.to_thread(Client, path)
        client.socket.sendall(request(READ, 0, 8))
        assert await asyncio.to_thread(export.started.acquire, True, 5)
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 10  # the export hangs for twice as long
        with client, pytest.raises((EOFError, ConnectionError)):
            client.take(16)
        export.gate.set()

    asyncio.run(live())


def test_memory_does_not_grow_with_what_clients_send(tmp_path):
    """30 clients announce 32 MiB writes that are refused, and 30 more pipeline reads and never take the answers."""
    program = """
        import re, sys, threading
        from pathlib import Path
        from lamina.blockio.nbd.connection import Limits
        from lamina.blockio.nbd.listening import UnixAddress
        from lamina.blockio.nbd.server import NbdServer
        from tests.unit.blockio.nbd.memory_export import MemoryExport
        stop = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), stop.set())).start()
        export = MemoryExport(1 << 20, is_read_only=True)
        server = NbdServer({"": export}, UnixAddress(path=Path(sys.argv[1])), limits=Limits(payload_bytes=1 << 20))
        server.serve_forever(stop, on_ready=lambda uri: print(uri, flush=True))
        print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], flush=True)
    """
    path = tmp_path / "nbd.sock"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout.readline().startswith("nbd+unix")
        clients = [Client(path) for _ in range(60)]
        for client in clients[:30]:
            client.socket.sendall(request(WRITE, 0, 32 * MIB) + bytes(100_000))
        for client in clients[30:]:
            client.socket.sendall(request(READ, 0, MIB) * 100)
        time.sleep(1)
        for client in clients:
            client.socket.close()
        server.stdin.close()
        peak_kib = int(server.stdout.readline())
    assert peak_kib < 160 * KIB  # 30 MiB of budgets, copies on their way, and the interpreter


def test_pipelined_writes_all_arrive(serve, path):
    export = MemoryExport(4 * MIB)
    with serve(export), Client(path) as client:
        blocks = [bytes([n]) * 100_000 for n in range(40)]
        stream = b"".join(request(WRITE, n * 100_000, data=block, cookie=n) for n, block in enumerate(blocks))
        client.socket.sendall(stream)
        replies = parse_replies(client.take(16 * 40))
        assert sorted(reply.cookie for reply in replies) == list(range(40))
        assert all(reply.error == 0 for reply in replies)
    assert bytes(export.data[:4_000_000]) == b"".join(blocks)
