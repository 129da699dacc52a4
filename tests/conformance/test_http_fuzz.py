"""Hostile bytes on the socket: the answer is a 4xx or a closed connection, and the service lives on."""

import contextlib
import http.client
import socket
import threading

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamina.cli.client import CallRefusedError
from tests.conformance.conftest import REGION

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
token = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)
value = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)
target = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=80)


def exchange(service, raw):
    """The status of the answer to raw bytes; `None` when the connection was closed without one."""
    host, port = service.host.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        reply = http.client.HTTPResponse(connection)
        try:
            reply.begin()
        except (http.client.HTTPException, ConnectionError):
            return None
        finally:
            reply.close()
        return reply.status


@FEW
@given(st.binary(min_size=1, max_size=400))
def test_bytes_that_are_no_http(service, raw):
    assert exchange(service, raw) in (None, 400, 404, 403)


@FEW
@given(
    st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT"]),
    st.sampled_from(["/?", "http://ecs.aliyuncs.com/?", "http://x?", "//", "/../", "*", ""]),
    st.tuples(target, st.dictionaries(token, value, max_size=4)),
    st.binary(max_size=200),
)
def test_requests_that_are_none_of_ours(service, method, start, rest_and_headers, body):
    rest, headers = rest_and_headers
    lines = [f"{method} {start}{rest} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {text}" for name, text in headers.items() if name not in ("host", "content-length")]
    status = exchange(service, "\r\n".join([*lines, "", ""]).encode() + body)
    assert status is None or 400 <= status < 500, status


@FEW
@given(
    st.sampled_from(["DescribeDisks", "DescribeSnapshots", "CreateDisk", "DeleteDisk"]),
    st.text(max_size=30),
    value,
)
def test_signed_calls_with_odd_values(account, action, text, token_text):
    encoded = text.encode("utf-8", "replace").decode()
    parameters = {
        "RegionId": REGION,
        "DiskName": encoded,
        "NextToken": token_text,
        "DiskId": encoded,
        "Size": encoded,
    }
    client = account.lamina()
    with contextlib.suppress(CallRefusedError):
        client.call(action, parameters)


def test_clients_that_stop_in_the_middle_do_no_harm(service, account):
    host, port = service.host.split(":")
    stuck = []
    for raw in (b"", b"POST /", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc"):
        for _ in range(10):
            connection = socket.create_connection((host, int(port)))
            connection.sendall(raw)
            stuck.append(connection)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(account.lamina().call("DescribeRegions")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for connection in stuck:
        connection.close()
    assert len(answers) == 8
