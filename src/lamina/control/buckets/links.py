"""Signed links to the objects of a directory of buckets.

A link says method, bucket, key, end, and for PUT the longest object; an HMAC over all of it, and over the identity of
the bucket, keeps anybody from changing it. The identity is made with the bucket: a link to a bucket that was deleted
does not open another one that got its name.
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from lamina.clock import Clock
from lamina.control.buckets.bucket_service import LinkMethod
from lamina.control.buckets.errors import LinkExpiredError, LinkSignatureError

PATH: Final = "/buckets/"
"""Below this the API answers links."""

_EXPIRES: Final = "Expires"
_MAX_BYTES: Final = "MaxSize"
_SIGNATURE: Final = "Signature"
_NUMBER_DIGITS: Final = 16
_LATEST: Final = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a link allows.

    Attributes:
        method: with which method.
        bucket: in which bucket.
        key: which object.
        expires_at: until when, in whole seconds.
        max_bytes: for PUT, the longest object; None for any.
    """

    method: LinkMethod
    bucket: str
    key: str
    expires_at: datetime
    max_bytes: int | None = None


class LinkSigner:
    """Writes and checks links. Safe for any number of threads."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        """Take 32 secret bytes of the installation, and real time: links are used by whoever has a clock."""
        self._key = key
        self.clock = clock

    def write(self, grant: Grant, identity: str) -> str:
        """The link, from the slash on, to an object in the bucket of this identity."""
        query = {_EXPIRES: str(_seconds(grant.expires_at))}
        if grant.max_bytes is not None:
            query[_MAX_BYTES] = str(grant.max_bytes)
        query[_SIGNATURE] = self._sign(grant, identity)
        return f"{PATH}{grant.bucket}/{quote(grant.key)}?{urlencode(query)}"

    def read(
        self, method: LinkMethod, bucket: str, key: str, query: Mapping[str, str], identity: str
    ) -> Grant:
        """What a link allows that is used now.

        Args:
            method: how it is used.
            bucket: the bucket in its path.
            key: the key in its path.
            query: what follows the question mark; names that are not known are passed over.
            identity: of the bucket.

        Raises:
            LinkSignatureError: it was not written here, or for something else.
            LinkExpiredError: its time is over.
        """
        expires, limit = query.get(_EXPIRES, ""), query.get(_MAX_BYTES)
        if not _is_number(expires) or not (limit is None or _is_number(limit)):
            raise LinkSignatureError
        grant = Grant(
            method=method,
            bucket=bucket,
            key=key,
            expires_at=datetime.fromtimestamp(min(int(expires), _LATEST), UTC),
            max_bytes=None if limit is None else int(limit),
        )
        signature = query.get(_SIGNATURE, "").encode(errors="replace")
        if not hmac.compare_digest(signature, self._sign(grant, identity).encode()):
            raise LinkSignatureError
        if self.clock.now() >= grant.expires_at:
            raise LinkExpiredError
        return grant

    def _sign(self, grant: Grant, identity: str) -> str:
        claim = (
            identity,
            grant.method.value,
            grant.bucket,
            grant.key,
            _seconds(grant.expires_at),
            grant.max_bytes,
        )
        digest = hmac.digest(self._key, msgspec.json.encode(claim), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _NUMBER_DIGITS
