"""Calls as they come from the network, through the ASGI application: whatever comes, the answer is clean, and soon."""

import asyncio
import base64
import hmac
import json
import time
import xml.etree.ElementTree as ET
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.api.asgi import ApiApp
from tests.factories.api import REGION, START

FORM = b"application/x-www-form-urlencoded"
SOON = 10  # seconds; the slowest takes one on an idle machine
TARGETS = (
    "/",
    "http://ecs.aliyuncs.com/",
    "https://x:1/",
    "http://h",
    "HTTP://h/",
    "//",
    "/?",
    "/%2e/",
    "/buckets/b/k",
)


@pytest.fixture(scope="module")
def app(installation):
    made = ApiApp(installation.pipeline.answer)
    yield made
    made._threads.shutdown()


def exchange(app, *, method="POST", target="/", query=b"", headers=(), body=()):
    """Status, headers and body of the answer; the body of the call comes in pieces."""
    pieces = [{"type": "http.request", "body": each, "more_body": True} for each in body]
    incoming = [*pieces, {"type": "http.request", "body": b"", "more_body": False}]
    outgoing = []

    async def receive():
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message):
        outgoing.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query,
        "headers": [(b"host", b"ecs.example"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    asyncio.run(app(scope, receive, send))
    start, *rest = outgoing
    return start["status"], dict(start["headers"]), b"".join(each["body"] for each in rest)


def assert_clean(answer):
    status, headers, body = answer
    assert status == 200 or 400 <= status < 500, body
    assert headers[b"x-acs-request-id"]
    if headers[b"content-type"].startswith(b"application/json"):
        told = json.loads(body)
    else:
        told = {each.tag: each.text for each in ET.fromstring(body)}
    assert told["RequestId"].encode() == headers[b"x-acs-request-id"]
    return told.get("Code", "ok")


def sign(caller, action, pairs, method):
    """All parameters of a call that is signed as the older clients do, by another hand than the service's."""
    common = {
        "Action": action,
        "Version": "2014-05-26",
        "Format": "JSON",
        "AccessKeyId": caller.key.id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": f"edge-{caller.nonces()}",
        "Timestamp": f"{START:%Y-%m-%dT%H:%M:%SZ}",
    }
    every = {**pairs, **common}
    joined = "&".join(f"{quote(n, safe='~')}={quote(every[n], safe='~')}" for n in sorted(every))
    text = f"{method}&%2F&{quote(joined, safe='~')}"
    mac = hmac.new(f"{caller.key.secret}&".encode(), text.encode(), "sha1").digest()
    return {**every, "Signature": base64.b64encode(mac).decode()}


PIECES = (
    b"Action=DescribeDisks",
    b"&",
    b"=",
    b"%",
    b"%2",
    b"%00",
    b"%ff",
    b"%C3%A9",
    b"+",
    b"RegionId=a",
    b"regionId=b",
)
raw = st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=12).map(b"".join)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            [
                b"content-type",
                b"content-length",
                b"authorization",
                b"x-acs-action",
                b"x-acs-date",
                b"transfer-encoding",
            ]
        ),
        st.sampled_from(
            [b"", FORM, FORM.upper(), b"0", b"-1", b"9" * 30, b"chunked", b"ACS3-HMAC-SHA256 x", b"\xff"]
        ),
    ),
    max_size=5,
)
calls = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "HEAD", "put"]),
        "target": st.sampled_from(TARGETS),
        "query": raw,
        "headers": headers,
        "body": st.lists(raw, max_size=3),
    }
)


@given(calls)
def test_anything(app, call):
    assert assert_clean(exchange(app, **call)) != "ok"


NUMBERS = st.sampled_from(
    ["0", "1", "01", "2", "20", "21", "1000", "99999", "100000", "1000000", "-1", "x", ""]
)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
lists = st.sampled_from(["Tag", "tag", "Filter"]), NUMBERS, st.sampled_from(["Key", "Value", "key"])
names = (
    st.tuples(*lists).map(".".join)
    | st.sampled_from(["DiskIds", "DiskName", "diskname", "PageSize", "NextToken", "RegionID", "ZoneId"])
    | texts
)
ways = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST"]),
        "target": st.sampled_from(["http://ecs.aliyuncs.com/", "/"]),
    }
)


@settings(max_examples=300)
@given(
    st.sampled_from(["DescribeDisks", "CreateDisk", "TagResources", "UntagResources", "describedisks"]),
    st.dictionaries(names, texts | st.sampled_from(["[", "[]", '["\\u0000"]', "'", "-1", "1" * 30])),
    st.tuples(ways, st.sampled_from([quote, quote_plus]), st.booleans()),
)
def test_what_was_signed_is_what_counts(app, caller, action, pairs, form):
    way, style, in_body = form
    every = sign(caller, action, {**pairs, "RegionId": REGION}, way["method"])
    encoded = urlencode(every, quote_via=style).encode()
    lines = [(b"content-type", FORM), (b"content-length", str(len(encoded)).encode())]
    call = {"headers": lines, "body": [encoded[:7], encoded[7:]]} if in_body else {"query": encoded}
    code = assert_clean(exchange(app, **way, **call))
    assert code != "SignatureDoesNotMatch"
    assert assert_clean(exchange(app, **way, **call)) in ("SignatureNonceUsed", code)


@given(st.integers(0, 400), st.sampled_from([b"&RegionId=x", b"&regionid=x", b"&a", b"%41"]))
def test_what_was_added_on_the_way_is_refused(app, caller, position, added):
    encoded = urlencode(sign(caller, "DescribeDisks", {"RegionId": REGION}, "GET")).encode()
    position = (encoded.find(b"&", position % len(encoded)) + 1 or len(encoded) + 1) - 1
    code = assert_clean(exchange(app, method="GET", query=encoded[:position] + added + encoded[position:]))
    assert code not in ("ok", "InvalidRegionId.NotFound")


LONG = 3_900_000  # of the 4 MiB that a body may have
HUGE = {
    "list": {"DiskIds": "[" + "'a'," * (LONG // 4) + "'b']"},
    "list of spaces": {"DiskIds": "[" + " " * LONG + "]"},
    "list of commas": {"DiskIds": "[" + "," * LONG + "]"},
    "list of quotes": {"DiskIds": "[" + '"' * LONG + "]"},
    "escapes": {"DiskIds": '["' + "\\\\" * (LONG // 2) + '"]'},
    "name": {"DiskName": "é" * (LONG // 6)},
    "marks": {"Tag.1.Key": "%" * (LONG // 3)},
    "number": {"PageSize": "9" * LONG},
    "token": {"NextToken": "A" * LONG},
    "parameters": {f"Tag.{n}.Key": "x" * 1900 for n in range(1, 1980)},
    "deep": {"Tag" + ".1" * (LONG // 2): "x"},
}


@pytest.mark.parametrize("pairs", HUGE.values(), ids=HUGE)
def test_what_is_huge_is_answered_soon(app, caller, pairs):
    encoded = urlencode(sign(caller, "DescribeDisks", {**pairs, "RegionId": REGION}, "POST")).encode()
    began = time.monotonic()
    assert_clean(exchange(app, headers=[(b"content-type", FORM)], body=[encoded]))
    assert time.monotonic() - began < SOON
