"""Buckets of a service that speaks S3, whose buckets are those of the installation, by the same names.

Objects go through obstore. What is longer than a part is sent in parts, and becomes an object when the last one is
there (S3, "Uploading and copying objects using multipart upload"); parts of what was interrupted are never listed, and
thrown away when the same key is written again.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Client

from lamina.clock import Clock
from lamina.control.buckets.bucket_service import BucketObject, LinkMethod
from lamina.control.buckets.errors import (
    BucketForbiddenError,
    BucketFullError,
    BucketNotEmptyError,
    BucketNotFoundError,
    LinkLimitUnsupportedError,
    ObjectNotFoundError,
)
from lamina.control.buckets.files import order
from lamina.control.buckets.names import check_bucket, check_object, complain_about_key
from lamina.control.buckets.s3_requests import FULL_CODES, MISSING_BUCKET, S3Requests
from lamina.control.buckets.streams import stream_from, stream_into
from lamina.engine.objects.s3 import S3Address, make_client
from lamina.engine.objects.s3_answers import explain, find_code, find_status, without_body
from lamina.failures import Fault, LaminaError
from lamina.units import MIB

# S3 takes 10,000 parts ("Amazon S3 multipart upload limits"): 640 GB of a stream, whose length is not known before,
# at the price of two parts in memory. A file's parts are as large as its length asks for.
_STREAM_PART_BYTES: Final = 64 * MIB
_FILE_PART_BYTES: Final = 16 * MIB
_PARTS_MAX: Final = 10_000
_PARTS_AT_ONCE: Final = 2
_READ_BYTES: Final = 8 * MIB
_FORBIDDEN: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class _Bucket:
    """One bucket: objects through the client, everything else through the requests."""

    client: Client
    requests: S3Requests


class S3Buckets:
    """A `BucketService` on an S3 service. Safe for any number of threads."""

    def __init__(self, find_address: Callable[[str], S3Address], clock: Clock) -> None:
        """Say where each bucket is; real time is what requests are signed with."""
        self._find_address = find_address
        self._clock = clock

    @property
    def links_outlive_buckets(self) -> bool:
        """They do: they are signed for a name."""
        return True

    def create(self, bucket: str) -> None:
        """Make a bucket."""
        self._open(bucket).requests.create()

    def remove(self, bucket: str) -> None:
        """Remove a bucket that has no objects; some services would remove it with them, so it is looked into first."""
        opened = self._open(bucket)
        try:
            if self.list(bucket, prefix="", after="", limit=1):
                raise BucketNotEmptyError(bucket)
            opened.requests.abort_uploads()
        except BucketNotFoundError:
            return
        opened.requests.remove()

    def exists(self, bucket: str) -> bool:
        """Whether the service has a bucket of that name, whoever made it."""
        return self._open(bucket).requests.exists()

    def list(self, bucket: str, *, prefix: str, after: str, limit: int) -> Sequence[BucketObject]:
        """Objects in the order of their keys.

        All keys with the prefix are looked at each time, 1000 a request: services differ in the order in which
        they list, and go on from a key in their own order.
        """
        client = self._open(bucket).client
        with self._faults(bucket):
            rows = (row for page in obstore.list(client, prefix.rpartition("/")[0] or None) for row in page)
            wanted = (
                row
                for row in rows
                if row["path"].startswith(prefix)
                and order(row["path"]) > order(after)
                and complain_about_key(row["path"]) is None
            )
            first = heapq.nsmallest(limit, wanted, key=lambda row: order(row["path"]))
            return [_describe(row["path"], row) for row in first]

    def stat(self, bucket: str, key: str) -> BucketObject:
        """One object."""
        check_object(bucket, key)
        with self._faults(bucket, key):
            return _describe(key, obstore.head(self._open(bucket).client, key))

    def scratch(self) -> Path | None:
        """Nowhere: every file is sent."""
        return None

    def put(self, bucket: str, key: str, path: Path) -> None:
        """Send a file; S3 knows no holes."""
        check_object(bucket, key)
        opened = self._open(bucket)
        try:
            part = max(_FILE_PART_BYTES, -(-path.stat().st_size // _PARTS_MAX))
            file = path.open("rb")
        except OSError as error:
            raise Fault(f"{path} cannot be put into a bucket: {error.strerror}", retryable=False) from error
        with file, self._sending(opened, key), self._faults(bucket, key):
            obstore.put(opened.client, key, file, chunk_size=part, max_concurrency=_PARTS_AT_ONCE)

    @contextmanager
    def writing(self, bucket: str, key: str) -> Iterator[IO[bytes]]:
        """A stream of parts, which are an object once the last of them is confirmed."""
        check_object(bucket, key)
        opened = self._open(bucket)
        with self._sending(opened, key):
            upload = obstore.open_writer(
                opened.client, key, buffer_size=_STREAM_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
            )

            def write(data: memoryview) -> None:
                with self._faults(bucket, key):
                    upload.write(
                        bytes(data)
                    )  # it keeps what it is given, and the stream uses its buffer again

            with stream_into(write) as stream:
                yield stream
            with self._faults(bucket, key):
                upload.close()

    @contextmanager
    def reading(self, bucket: str, key: str, offset: int = 0) -> Iterator[IO[bytes]]:
        """A stream of one version, piece by piece."""
        known = self.stat(bucket, key)
        client = self._open(bucket).client
        at, held = offset, memoryview(b"")

        def read(buffer: memoryview) -> int:
            nonlocal at, held
            if not held and at < known.size_bytes:
                held = self._fetch(client, bucket, known, at)
            length = min(len(buffer), len(held))
            buffer[:length] = held[:length]
            held, at = held[length:], at + length
            return length

        with stream_from(read) as stream:
            yield stream

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        check_object(bucket, key)
        try:
            with self._faults(bucket, key):
                obstore.delete(self._open(bucket).client, key)
        except (ObjectNotFoundError, BucketNotFoundError):
            return

    def link(
        self,
        bucket: str,
        key: str,
        method: LinkMethod,
        lasting: timedelta,
        *,
        max_bytes: int | None = None,
    ) -> str:
        """A presigned link of the service itself."""
        check_object(bucket, key)
        if max_bytes is not None:
            raise LinkLimitUnsupportedError(bucket)
        opened = self._open(bucket)
        if not opened.requests.exists():
            raise BucketNotFoundError(bucket)
        return opened.requests.sign(method.value, key, lasting)

    def _open(self, bucket: str) -> _Bucket:
        check_bucket(bucket)
        address = self._find_address(bucket)
        return _Bucket(make_client(address), S3Requests(address, self._clock))

    def _fetch(self, client: Client, bucket: str, known: BucketObject, at: int) -> memoryview:
        end = min(at + _READ_BYTES, known.size_bytes)
        with self._faults(bucket, known.key):
            found = obstore.get(client, known.key, options={"range": (at, end)})
            if _describe(known.key, found.meta).etag != known.etag:
                raise Fault(
                    f"object {known.key} in bucket {bucket} was replaced while it was read; read it again",
                    retryable=True,
                )
            return memoryview(found.bytes().to_bytes())

    @contextmanager
    def _sending(self, opened: _Bucket, key: str) -> Iterator[None]:
        """Leave no parts behind: neither those of an attempt before this one, nor those of this one if it fails."""
        opened.requests.abort_uploads(key)
        try:
            yield
        except BaseException:
            # the reason of the failure is what the caller has to know; the next attempt tidies up again
            with suppress(LaminaError):
                opened.requests.abort_uploads(key)
            raise

    @contextmanager
    def _faults(self, bucket: str, key: str = "") -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:  # a writer of parts turns the former into the latter
            raise self._explain(error, bucket, key) from without_body(error)

    def _explain(self, error: Exception, bucket: str, key: str) -> LaminaError:
        code, status = find_code(error) or "", find_status(error)
        if code == MISSING_BUCKET:
            return BucketNotFoundError(bucket)
        if isinstance(error, FileNotFoundError):
            # the answer to HEAD has no body that would say what is missing
            is_there = code == "NoSuchKey" or self._open(bucket).requests.exists()
            return ObjectNotFoundError(bucket, key) if is_there and key else BucketNotFoundError(bucket)
        if code in FULL_CODES:
            return BucketFullError(bucket, code)
        if status in _FORBIDDEN:
            return BucketForbiddenError(bucket, f"the service answered {status} {code}".rstrip())
        return explain(f"bucket {bucket} failed at {key!r}", error)


def _describe(key: str, meta: "obstore.ObjectMeta") -> BucketObject:
    return BucketObject(
        key=key,
        size_bytes=meta["size"],
        modified_at=meta["last_modified"].replace(microsecond=0),  # HEAD knows seconds; some lists know more
        etag=(meta["e_tag"] or "").strip('"'),
    )
