"""What a signed link covers: everything that it says."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.clock import ManualClock
from lamina.control.buckets.bucket_service import LinkMethod
from lamina.control.buckets.errors import LinkExpiredError, LinkSignatureError
from lamina.control.buckets.links import Grant, LinkSigner

START = datetime(2026, 1, 1, tzinfo=UTC)
GRANT = Grant(
    method=LinkMethod.PUT,
    bucket="bucket",
    key="folder/a & b",
    expires_at=START + timedelta(minutes=5),
    max_bytes=1000,
)


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def signer(clock):
    return LinkSigner(bytes(range(32)), clock)


def follow(signer, link, *, method=LinkMethod.PUT, identity="id", **changes):
    parts = urlsplit(link)
    bucket, _, key = unquote(parts.path).removeprefix("/buckets/").partition("/")
    query = dict(parse_qsl(parts.query))
    query |= {name: value for name, value in changes.items() if name[0].isupper()}
    for name in [name for name, value in query.items() if value is None]:
        del query[name]
    return signer.read(method, changes.get("bucket", bucket), changes.get("key", key), query, identity)


def test_a_link_says_what_was_granted(signer):
    assert follow(signer, signer.write(GRANT, "id")) == GRANT


@pytest.mark.parametrize(
    "changes",
    [
        {"method": LinkMethod.GET},
        {"identity": "other"},
        {"bucket": "other"},
        {"key": "other"},
        {"key": "folder/a & b/"},
        {"Expires": str(int((START + timedelta(hours=5)).timestamp()))},
        {"Expires": "9" * 16},
        {"Expires": "9" * 400},
        {"Expires": "-1"},
        {"Expires": "\u0663"},
        {"Expires": None},
        {"MaxSize": "1001"},
        {"MaxSize": "x"},
        {"MaxSize": None},
        {"Signature": ""},
        {"Signature": "\ud800\xff"},
        {"Signature": None},
    ],
    ids=str,
)
def test_nothing_in_a_link_can_be_changed(signer, changes):
    with pytest.raises(LinkSignatureError):
        follow(signer, signer.write(GRANT, "id"), **changes)


def test_what_else_a_link_carries_does_not_matter(signer):
    assert follow(signer, signer.write(GRANT, "id"), Referrer="mail") == GRANT


def test_a_link_ends_at_its_second(signer, clock):
    link = signer.write(GRANT, "id")
    clock.advance(timedelta(minutes=5) - timedelta(microseconds=1))
    assert follow(signer, link) == GRANT
    clock.advance(timedelta(microseconds=1))
    with pytest.raises(LinkExpiredError):
        follow(signer, link)


def test_an_expired_link_that_was_changed_is_not_told_from_a_wrong_one(signer, clock):
    link = signer.write(GRANT, "id")
    clock.advance(timedelta(days=1))
    with pytest.raises(LinkSignatureError):
        follow(signer, link, key="other")


def test_another_installation_signs_otherwise(signer, clock):
    with pytest.raises(LinkSignatureError):
        follow(LinkSigner(bytes(32), clock), signer.write(GRANT, "id"))


@given(
    key=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=50),
    size=st.none() | st.integers(0, 10**15),
)
def test_any_key_finds_its_way_through_a_link(key, size):
    signer = LinkSigner(bytes(32), ManualClock(START))
    grant = Grant(
        method=LinkMethod.PUT,
        bucket="bucket",
        key=key,
        expires_at=START + timedelta(seconds=1),
        max_bytes=size,
    )
    assert follow(signer, signer.write(grant, "id")) == grant
