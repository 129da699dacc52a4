"""Files to and from buckets, through links: the bytes go past the API, to whatever serves the bucket."""

import fcntl
import hashlib
import http.client
import os
import re
import ssl
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from lamina.cli.client import EcsClient
from lamina.clock import Clock, SystemClock
from lamina.failures import Fault, Refusal
from lamina.transfer.progress import Progress
from lamina.units import MIB

_PIECE_BYTES: Final = MIB
_TIMEOUT_SECONDS: Final = 60.0
_ATTEMPTS: Final = 5
_FIRST_WAIT_SECONDS: Final = 0.5
_LASTING_SECONDS: Final = 24 * 3600  # a transfer takes that long at most before it needs another link
_OK, _PARTIAL = 200, 206
_SERVER_ERROR: Final = 500
_TELL: Final = re.compile(rb"<(Code|Message)>([^<]{1,500})</")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectAddress:
    """Bucket and key, written `BUCKET/KEY`."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}"


class _BrokenOffError(Fault):
    """The connection ended before the transfer did; another attempt may get further."""


def put_file(client: EcsClient, address: ObjectAddress, file: Path, progress: Progress) -> None:
    """Put a file. What breaks off leaves nothing, and is tried once more from the start.

    Raises:
        Refusal: the file cannot be read, or the service refused it.
        Fault: the service could not be reached, or failed.
    """
    try:
        size = file.stat().st_size
        opened = file.open("rb")
    except OSError as error:
        raise Refusal(f"{file} cannot be read: {error.strerror}") from error
    with opened:
        progress.expect(size)

        def attempt() -> bool:
            opened.seek(0)
            progress.advance(-progress.read().done_bytes)
            link = _make_link(client, address, "PUT")
            _send(link, _Body(opened, progress), size)
            return True

        _insist(attempt, lambda: 0, attempts=2)


def get_file(
    client: EcsClient, address: ObjectAddress, target: Path, progress: Progress, clock: Clock | None = None
) -> None:
    """Get an object into a file. What breaks off, or was interrupted before, goes on where it stopped.

    Until all of it is there it is in a file beside `target`, whose name has the version of the object in it.

    Raises:
        Refusal: there is no such object, it changed meanwhile, the file cannot be written, or somebody else is at it.
        Fault: the service could not be reached, or failed.
    """
    found = find_object(client, address)
    size, etag = int(found["Size"]), str(found["ETag"])
    version = hashlib.sha256(f"{address} {etag} {size}".encode()).hexdigest()[:16]
    part = target.with_name(f".{target.name}.{version}.part")
    progress.expect(size)
    try:
        with part.open("ab") as file:
            _lock(file, target)
            progress.advance(file.tell())

            def attempt() -> bool:
                if file.tell() < size or size == 0:
                    _receive(_make_link(client, address, "GET"), file, etag, progress)
                return file.tell() >= size

            _insist(attempt, file.tell, attempts=_ATTEMPTS, clock=clock)
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise Refusal(f"{target} cannot be written: {error.strerror or error}") from error


def _lock(file: IO[bytes], target: Path) -> None:
    """Keep others from writing to a part until it is closed: two of them would mix their pieces."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Refusal(f"another command is getting {target}; wait for it, or choose another name") from error
    except OSError:  # a file system without locks
        return
    file.seek(0, os.SEEK_END)


def find_object(client: EcsClient, address: ObjectAddress) -> dict[str, Any]:
    """One object as ListBucketObjects shows it.

    Raises:
        Refusal: there is none.
    """
    wanted = {"RegionId": client.region_id, "BucketName": address.bucket, "Prefix": address.key}
    found: list[dict[str, Any]] = client.call("ListBucketObjects", {**wanted, "MaxResults": 1})["Objects"][
        "Object"
    ]
    if not found or found[0]["ObjectKey"] != address.key:
        raise Refusal(f"bucket {address.bucket} has no object {address.key}")
    return found[0]


def create_link(client: EcsClient, address: ObjectAddress, **options: object) -> dict[str, Any]:
    """A link, as CreateBucketLink answers it."""
    answer = client.call(
        "CreateBucketLink",
        {
            "RegionId": client.region_id,
            "BucketName": address.bucket,
            "ObjectKey": address.key,
            **options,
        },
    )
    # The service does not know that it is behind a proxy with TLS; who called it does.
    link, origin = urlsplit(answer["Link"]), urlsplit(client.origin)
    if link.netloc == origin.netloc:
        answer["Link"] = link._replace(scheme=origin.scheme).geturl()
    return answer


def _make_link(client: EcsClient, address: ObjectAddress, method: str) -> str:
    return str(create_link(client, address, Method=method, ExpiresInSeconds=_LASTING_SECONDS)["Link"])


def _insist(
    attempt: Callable[[], bool], measure: Callable[[], int], *, attempts: int, clock: Clock | None = None
) -> None:
    """Try until it is done, and give up after some attempts in which nothing went forward."""
    left, wait = attempts, _FIRST_WAIT_SECONDS
    while True:
        before = measure()
        try:
            if attempt():
                return
        except _BrokenOffError:
            if measure() > before:
                left, wait = attempts, _FIRST_WAIT_SECONDS
            left -= 1
            if left == 0:
                raise
            (clock or SystemClock()).sleep(wait)
            wait *= 2


class _Body:
    """A file as the body of a request, which tells how far it is."""

    def __init__(self, file: IO[bytes], progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._progress.advance(len(piece))
        return piece


def _send(link: str, body: _Body, size: int) -> None:
    with closing(_connect(link)) as connection:
        try:
            with suppress(
                BrokenPipeError, ConnectionResetError
            ):  # it refuses before it has all; the answer says why
                connection.request("PUT", _target(link), body, {"content-length": str(size)})
            reply = connection.getresponse()
            answer = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise _broken(link, error) from error
    if reply.status != _OK:
        raise _read_failure(reply.status, answer)


def _receive(link: str, file: IO[bytes], etag: str, progress: Progress) -> None:
    start = file.tell()
    headers = {"range": f"bytes={start}-"} if start else {}
    with closing(_connect(link)) as connection:
        try:
            connection.request("GET", _target(link), headers=headers)
            reply = connection.getresponse()
            if reply.status not in (_OK, _PARTIAL):
                raise _read_failure(reply.status, reply.read())
            _check_version(reply.headers, etag)
            if start and reply.status == _OK:
                raise Refusal("the service of the bucket cannot go on where a download stopped")
            while piece := reply.read(_PIECE_BYTES):
                file.write(piece)
                progress.advance(len(piece))
        except (TimeoutError, ConnectionError, http.client.HTTPException, ssl.SSLError) as error:
            raise _broken(link, error) from error


def _check_version(headers: http.client.HTTPMessage, etag: str) -> None:
    if (headers.get("etag") or "").strip('"') != etag:
        raise Refusal("the object changed while it was got; get it again")


def _connect(link: str) -> http.client.HTTPConnection:
    parts = urlsplit(link)
    if parts.scheme != "https":
        return http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_SECONDS, blocksize=_PIECE_BYTES)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(
        parts.netloc, timeout=_TIMEOUT_SECONDS, blocksize=_PIECE_BYTES, context=context
    )


def _target(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"


def _broken(link: str, error: Exception) -> _BrokenOffError:
    what = f"{urlsplit(link).netloc} broke off: {type(error).__name__} {error}".rstrip()
    return _BrokenOffError(f"{what}; run the command again", retryable=True)


def _read_failure(status: int, answer: bytes) -> Exception:
    told = {name.decode(): text.decode(errors="replace") for name, text in _TELL.findall(answer)}
    message = f"{told.get('Message', 'the service of the bucket refused')} ({status} {told.get('Code', '')})"
    return Fault(message, retryable=True) if status >= _SERVER_ERROR else Refusal(message)
