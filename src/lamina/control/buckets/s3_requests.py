"""What S3 offers beyond objects: buckets, uploads that were interrupted, and links. Signed as SigV4 describes it.

Source: "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" and the API reference of Amazon S3.
"""

import hashlib
import hmac
import http.client
import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final, NoReturn
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from lamina.clock import Clock
from lamina.control.buckets.errors import (
    BucketForbiddenError,
    BucketFullError,
    BucketNameTakenError,
    BucketNotEmptyError,
    BucketNotFoundError,
)
from lamina.engine.objects.s3 import S3Address
from lamina.failures import Fault

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_TIMEOUT_SECONDS: Final = 30.0
_LASTING: Final = timedelta(minutes=5)
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_OK: Final = frozenset({200, 204})
_NOT_FOUND: Final = 404
_FORBIDDEN: Final = frozenset({401, 403})
_SERVER_ERROR: Final = 500
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
FULL_CODES: Final = frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"})
"""What services answer that have no more room; S3 itself never has none."""

MISSING_BUCKET: Final = "NoSuchBucket"


class S3Requests:
    """Requests about one bucket. Each has a connection of its own: they are rare."""

    def __init__(self, address: S3Address, clock: Clock) -> None:
        self._address = address
        self._clock = clock

    def create(self) -> None:
        """Make the bucket; nothing happens if these credentials have it already.

        Raises:
            BucketNameTakenError: somebody else has it.
            BucketForbiddenError: the credentials do not suffice.
            Fault: the service failed.
        """
        status, body = self._send("PUT", body=self._location())
        code = _read_code(body)
        if code == "BucketAlreadyExists":
            raise BucketNameTakenError(self._address.bucket)
        if status not in _OK and code != "BucketAlreadyOwnedByYou":
            self._refuse("make", status, code)

    def remove(self) -> None:
        """Remove the bucket, which the caller found to be empty; nothing happens if it is not there.

        Raises:
            BucketNotEmptyError: it is not empty.
            BucketForbiddenError: the credentials do not suffice.
            Fault: the service failed.
        """
        status, body = self._send("DELETE")
        code = _read_code(body)
        if code == "BucketNotEmpty":
            raise BucketNotEmptyError(self._address.bucket)
        if status not in _OK and status != _NOT_FOUND:
            self._refuse("remove", status, code)

    def exists(self) -> bool:
        """Whether the service has the bucket, whoever made it.

        Raises:
            BucketForbiddenError: the service does not know the credentials.
            Fault: it failed.
        """
        status, body = self._send("GET", query={"list-type": "2", "max-keys": "1"})
        code = _read_code(body)
        if status in _OK or code == "AccessDenied":  # it is there, and somebody else's
            return True
        if status != _NOT_FOUND:
            self._refuse("look for", status, code)
        return False

    def abort_uploads(self, of: str | None = None) -> None:
        """Throw away the parts of uploads that were never completed: of one key, or of all.

        Raises:
            BucketNotFoundError: there is no such bucket.
            BucketForbiddenError: the credentials do not suffice.
            Fault: the service failed.
        """
        status, body = self._send("GET", query={"uploads": "", "prefix": of or ""})
        if status not in _OK:
            self._refuse("list uploads of", status, _read_code(body))
        for key, upload_id in _read_uploads(body):
            if of not in (None, key):  # it begins like the key, and may be under way
                continue
            status, body = self._send("DELETE", key, {"uploadId": upload_id})
            if status not in _OK and status != _NOT_FOUND:
                self._refuse("abort an upload of", status, _read_code(body))

    def sign(self, method: str, key: str, lasting: timedelta, query: Mapping[str, str] = _NOTHING) -> str:
        """A URL with which anybody may make one request until it expires."""
        parts = urlsplit(self._address.url)
        bucket = "" if self._address.virtual_hosted else f"/{self._address.bucket}"
        path = f"{parts.path}{bucket}/{quote(key)}"
        now = self._clock.now()
        day = f"{now:%Y%m%d}"
        scope = f"{day}/{self._address.region}/s3/aws4_request"
        given = {
            **query,
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{self._address.access_key_id}/{scope}",
            "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
            "X-Amz-Expires": str(int(lasting.total_seconds())),
            "X-Amz-SignedHeaders": "host",
        }
        if self._address.session_token is not None:
            given["X-Amz-Security-Token"] = self._address.session_token
        pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in given.items())
        line = "&".join(f"{name}={value}" for name, value in pairs)
        request = f"{method}\n{path}\n{line}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{given['X-Amz-Date']}\n{scope}\n{digest}"
        signature = hmac.new(self._derive_key(day), text.encode(), "sha256").hexdigest()
        return f"{parts.scheme}://{parts.netloc}{path}?{line}&X-Amz-Signature={signature}"

    def _derive_key(self, day: str) -> bytes:
        key = f"AWS4{self._address.secret_access_key}".encode()
        for part in (day, self._address.region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key

    def _send(
        self, method: str, key: str = "", query: Mapping[str, str] = _NOTHING, body: bytes = b""
    ) -> tuple[int, bytes]:
        url = urlsplit(self.sign(method, key, _LASTING, query))
        connection = (
            http.client.HTTPSConnection(
                url.netloc, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
            if url.scheme == "https"
            else http.client.HTTPConnection(url.netloc, timeout=_TIMEOUT_SECONDS)
        )
        try:
            connection.request(method, f"{url.path}?{url.query}", body or None)
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise Fault(
                f"no answer about bucket {self._address.bucket} from {self._address.endpoint}: "
                f"{type(error).__name__}; check the endpoint and the network",
                retryable=True,
            ) from error
        finally:
            connection.close()

    def _location(self) -> bytes:
        """AWS wants to be told the region of a new bucket, unless it is its first one; others know but their own."""
        host = urlsplit(self._address.endpoint).hostname or ""
        if not host.endswith("amazonaws.com") or self._address.region == "us-east-1":
            return b""
        return (
            f"<CreateBucketConfiguration><LocationConstraint>{self._address.region}</LocationConstraint>"
            "</CreateBucketConfiguration>"
        ).encode()

    def _refuse(self, verb: str, status: int, code: str) -> NoReturn:
        bucket = self._address.bucket
        answer = f"the service answered {status} {code}".rstrip()
        if code == MISSING_BUCKET:
            raise BucketNotFoundError(bucket)
        if code in FULL_CODES:
            raise BucketFullError(bucket, answer)
        if status in _FORBIDDEN:
            raise BucketForbiddenError(bucket, answer)
        raise Fault(
            f"cannot {verb} bucket {bucket} at {self._address.endpoint}: {answer}; look at the service's log",
            retryable=status >= _SERVER_ERROR,
        )


def _read_code(body: bytes) -> str:
    found = _CODE.search(body)
    return found[1].decode() if found else ""


def _read_uploads(body: bytes) -> list[tuple[str, str]]:
    try:
        # the installation's own service, over TLS; expat limits the expansion of entities
        root = ET.fromstring(body)  # noqa: S314 - see above
    except ET.ParseError as error:
        raise Fault(
            "the bucket service lists uploads in words that S3 does not have", retryable=False
        ) from error
    return [
        (upload.findtext("{*}Key", ""), upload.findtext("{*}UploadId", ""))
        for upload in root.iterfind("{*}Upload")
    ]
