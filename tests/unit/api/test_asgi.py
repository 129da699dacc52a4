"""The HTTP edge on a real socket: clients that are slow, stop, or do not read do not hold a connection for ever."""

import http.client
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from lamina.api import asgi
from lamina.api.asgi import ApiApp, server_config
from lamina.api.server import HttpReply
from lamina.units import KIB, MIB

SHORT = 1  # second; the limits count in whole ones
CALL = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
def serving(monkeypatch):
    monkeypatch.setattr(asgi, "_HEAD_SECONDS", SHORT)
    monkeypatch.setattr(asgi, "_UNREAD_SECONDS", SHORT)

    @contextmanager
    def start(body=b"ok"):
        app = ApiApp(lambda _: HttpReply(status=200, headers=(("x", "y"),), body=body))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(server_config(app, "127.0.0.1", 0))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                yield server, listener.getsockname()
            finally:
                server.should_exit = True
                thread.join()

    return start


def is_closed(connection, seconds=10):
    """Whether the other side ends the connection in time."""
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize(
    "start", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: h\r\n"], ids=["nothing", "word", "lines"]
)
def test_a_head_that_does_not_come_ends_the_connection(serving, start):
    with serving() as (_, address), socket.create_connection(address) as connection:
        connection.sendall(start)
        began = time.monotonic()
        assert is_closed(connection)
        assert time.monotonic() - began > SHORT / 2


def drip(connection):
    for each in b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 100:
        connection.sendall(bytes([each]))
        time.sleep(0.1)


def test_a_head_that_comes_byte_by_byte_ends_the_connection(serving):
    with serving() as (_, address), socket.create_connection(address) as connection:
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            drip(connection)
        assert time.monotonic() - began < 8 * SHORT


def test_a_second_head_has_as_much_time_as_the_first(serving):
    with serving() as (_, address), socket.create_connection(address) as connection:
        for _ in range(3):
            time.sleep(0.6 * SHORT)
            connection.sendall(CALL)
            reply = http.client.HTTPResponse(connection)
            reply.begin()
            assert (reply.status, reply.read()) == (200, b"ok")
        connection.sendall(CALL[:10])
        assert is_closed(connection)


def test_a_client_that_does_not_read_its_answer_does_not_keep_it(serving):
    with serving(b"x" * 16 * MIB) as (server, address), socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
        connection.connect(address)
        connection.sendall(CALL)
        deadline = time.monotonic() + 20 * SHORT
        while server.server_state.connections or not server.server_state.total_requests:
            assert time.monotonic() < deadline, "the answer waits for ever"
            time.sleep(0.05)


def test_heads_have_a_limit(serving):
    with serving() as (_, address), socket.create_connection(address) as connection:
        connection.sendall(CALL[:-2] + b"X: " + b"x" * 128 * KIB)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        assert reply.status == 400
