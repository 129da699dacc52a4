"""Objects in a bucket of any service that speaks S3, through obstore.

What S3 promises and where it is written: put is atomic and reads see it at once ("Amazon S3 data consistency
model"); `If-None-Match: *` creates only (PutObject); a range beyond the end answers 416 (RFC 9110 §15.5.17);
ListObjectsV2 lists in the order of the keys' UTF-8 bytes. For services that keep another order there is
`listing_order`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store as Client

from lamina.engine.objects.listing_order import in_key_order
from lamina.engine.objects.s3_answers import explain, find_code, find_status, without_body
from lamina.engine.objects.store import (
    LISTING_PAGE_ROWS,
    Buffer,
    CreateOnlyUnsupportedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    check_key,
    check_prefix,
    check_range,
    is_key,
    view_bytes,
)
from lamina.failures import Fault

if TYPE_CHECKING:
    from obstore.store import S3Credential

_CONNECT_TIMEOUT: Final = timedelta(seconds=10)
# The client mends what a second attempt mends at once, such as a kept connection that the server has closed.
# Longer trouble is the business of `retrying`, which uses our clock and counts.
_RETRIES_MAX: Final = 2
_RETRY_TIMEOUT: Final = timedelta(seconds=10)
_FIRST_BACKOFF: Final = timedelta(milliseconds=50)

_NOT_IMPLEMENTED: Final = 501
_RANGE_NOT_SATISFIABLE: Final = 416


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """Where a bucket is and how to be let in.

    Attributes:
        bucket: its name.
        prefix: folder in the bucket, without slashes at its ends; empty for the whole bucket.
        endpoint: URL of the service without the bucket, such as `https://oss-cn-hangzhou.aliyuncs.com`.
        region: what requests are signed for.
        access_key_id: who asks.
        secret_access_key: the key to the signature.
        session_token: comes with temporary credentials.
        virtual_hosted: put the bucket into the host name instead of the path; OSS refuses the path.
        timeout_seconds: the longest that one request may take. 300 s let 40 MiB pass at 1.1 Mbit/s.
    """

    bucket: str
    prefix: str
    endpoint: str
    region: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    virtual_hosted: bool = False
    timeout_seconds: float = 300.0

    @property
    def url(self) -> str:
        """What requests start with: the endpoint, with the bucket in its host name if it belongs there."""
        parts = urlsplit(self.endpoint)
        if self.virtual_hosted and not parts.netloc.startswith(self.bucket + "."):
            parts = parts._replace(netloc=f"{self.bucket}.{parts.netloc}")
        return parts.geturl().rstrip("/")

    def __str__(self) -> str:
        location = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        return f"{location} at {self.endpoint}"


class S3Store:
    """An object store in a bucket, or below a prefix of it. Durable as far as the service is."""

    def __init__(self, address: S3Address) -> None:
        """Prepare to talk to the service; nothing is sent yet."""
        self._address = address
        self._client = make_client(address)

    def put(self, key: str, data: Buffer) -> None:
        """Create or replace `key` in one request."""
        check_key(key)
        with self._faults("write", key):
            obstore.put(self._client, key, view_bytes(data), use_multipart=False)

    def put_new(self, key: str, data: Buffer) -> None:
        """Create `key` by a put with `If-None-Match: *`."""
        check_key(key)
        view = view_bytes(data)
        with self._faults("create", key):
            try:
                obstore.put(self._client, key, view, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                self._settle(key, view, error)
            except BaseError as error:
                if find_status(error) != _NOT_IMPLEMENTED:
                    raise
                raise CreateOnlyUnsupportedError(
                    f"{self._address} cannot create an object only if it is new (it answers 501); use a "
                    "service whose PutObject knows If-None-Match, such as AWS, Ceph or SeaweedFS"
                ) from without_body(error)

    def get(self, key: str) -> bytes:
        """All bytes of an object."""
        check_key(key)
        with self._faults("read", key), _missing(key):
            return obstore.get(self._client, key).bytes().to_bytes()

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`, as far as the object reaches."""
        check_key(key)
        check_range(offset, length)
        with self._faults("read", key), _missing(key):
            if length == 0:  # a range of HTTP has at least one byte
                obstore.head(self._client, key)
                return b""
            try:
                return obstore.get_range(self._client, key, start=offset, length=length).to_bytes()
            except BaseError as error:
                if find_status(error) != _RANGE_NOT_SATISFIABLE:
                    raise
                return b""  # the object ends before `offset`

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes and the object's size, in one request."""
        check_key(key)
        check_range(0, length)
        with self._faults("read", key), _missing(key):
            if length == 0:
                return b"", obstore.head(self._client, key)["size"]
            try:
                found = obstore.get(self._client, key, options={"range": {"suffix": length}})
                return found.bytes().to_bytes(), found.meta["size"]
            except BaseError as error:
                if find_status(error) != _RANGE_NOT_SATISFIABLE:
                    raise
                return b"", 0  # only an empty object has no last byte (RFC 9110 §14.1.2)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix`; holds a page and one folder below the prefix in memory."""
        check_prefix(prefix)
        return in_key_order(self._list_pages(prefix), prefix)

    def delete(self, key: str) -> None:
        """Remove an object if it is there."""
        check_key(key)
        with self._faults("delete", key):
            try:
                obstore.delete(self._client, key)
            except FileNotFoundError as error:
                _raise_unless_key_missing(error)

    def describe(self) -> str:
        """Bucket, prefix and endpoint."""
        return str(self._address)

    def _settle(self, key: str, data: memoryview, error: AlreadyExistsError) -> None:
        """After a refused creation: return if the object has our bytes, else raise."""
        try:
            found = obstore.get(self._client, key)
            same = found.meta["size"] == len(data) and found.bytes().to_bytes() == data
        except FileNotFoundError as missing:
            _raise_unless_key_missing(missing)
            # Deleted meanwhile, or AWS's 409 ConditionalRequestConflict: two requests met, and neither won.
            raise Fault(
                f"{key!r} in {self._address} existed for a moment only; try again", retryable=True
            ) from without_body(error)
        if not same:
            raise ObjectExistsError(key) from without_body(error)

    def _list_pages(self, prefix: str) -> Iterator[ObjectInfo]:
        """Rows in the server's order. obstore lists folders only, so that part of a name is cut out here."""
        folder, slash, start = prefix.rpartition("/")
        pages = obstore.list(
            self._client, folder or None, offset=_just_before(prefix), chunk_size=LISTING_PAGE_ROWS
        )
        while True:
            with self._faults("list", prefix):
                try:
                    page = next(pages)
                except StopIteration:
                    return
            for row in page:
                key = row["path"]
                name = key[len(folder + slash) :].partition("/")[0]
                if name.startswith(start):
                    if is_key(key):
                        yield ObjectInfo(key=key, size_bytes=row["size"])
                elif name > start:  # no later name starts with `start`, whether the server walks or sorts
                    return

    @contextmanager
    def _faults(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            what = f"cannot {verb} {key!r} in {self._address}"
            raise explain(what, error) from without_body(error)


def make_client(address: S3Address) -> Client:
    """Obstore's client of a bucket, set so that nothing but the address decides where requests go and who signs."""

    def credentials() -> "S3Credential":
        return {
            "access_key_id": address.access_key_id,
            "secret_access_key": address.secret_access_key,
            "token": address.session_token,
            "expires_at": None,
        }

    # obstore reads AWS_… variables on its own. What decides where requests go and who signs them is therefore
    # always given here, and the credentials come from a function, which goes before all variables.
    return Client(
        address.bucket,
        prefix=address.prefix or None,
        endpoint=address.url,
        aws_endpoint_url_s3=address.url,
        region=address.region,
        credential_provider=credentials,
        skip_signature=False,
        s3_express=False,
        virtual_hosted_style_request=address.virtual_hosted,
        conditional_put="etag",
        # SHA-256 over every body cost 5.5 to 6.2 CPU seconds per GiB, against 0.3 to 0.4 without. Objects
        # carry their own authentication, and TLS protects them on their way.
        unsigned_payload=True,
        disable_bulk_delete=True,  # OSS does not know it, and we delete one object at a time
        client_options={
            "allow_http": urlsplit(address.endpoint).scheme == "http",
            "timeout": timedelta(seconds=address.timeout_seconds),
            "connect_timeout": _CONNECT_TIMEOUT,
        },
        retry_config={
            "max_retries": _RETRIES_MAX,
            "retry_timeout": _RETRY_TIMEOUT,
            "backoff": {"init_backoff": _FIRST_BACKOFF, "max_backoff": 10 * _FIRST_BACKOFF, "base": 2},
        },
    )


def _just_before(prefix: str) -> str | None:
    """Where to start so that the keys before `prefix` in its folder are skipped, or nothing.

    The name `a` with its last character lowered by one, then `~`, which is above every character of a key.
    """
    last = prefix[-1:]
    if last in {"", "/", "-"}:  # a whole folder, or the lowest character of a key
        return None
    lower = "." if last == "0" else chr(ord(last) - 1)  # below `0` is the slash
    return f"{prefix[:-1]}{lower}~"


@contextmanager
def _missing(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        _raise_unless_key_missing(error)
        raise ObjectMissingError(key) from without_body(error)


def _raise_unless_key_missing(error: FileNotFoundError) -> None:
    """S3 answers 404 both to a missing key and to a missing bucket, which says nothing about the key."""
    if find_code(error) == "NoSuchBucket":
        raise error
