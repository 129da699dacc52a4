"""Signed links over HTTP: `GET`, `HEAD` and `PUT /buckets/<bucket>/<key>?Expires=…&Signature=…`.

The bytes of an object flow between its file and the socket: in pieces, without the pipeline of the API, and without
keeping the event loop waiting for a disk. Errors have the form of OSS ("Error responses" of its API reference). Nothing
that is logged or audited has the query string, whose signature is all that a thief would need.
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import quote, unquote_to_bytes

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from lamina.api.byte_ranges import ByteRange, RangeNotSatisfiableError, choose_range
from lamina.api.codes import INTERNAL_ERROR, UNAVAILABLE, ApiError, Code
from lamina.api.wire import encode_xml, parse_pairs
from lamina.clock import Clock
from lamina.control.audit.journal import AuditJournal
from lamina.control.audit.records import AuditEntry
from lamina.control.buckets.bucket_service import BucketObject, LinkMethod
from lamina.control.buckets.directory import DirectoryBuckets, OpenObject
from lamina.control.buckets.errors import (
    BucketFullError,
    BucketNotFoundError,
    LinkExpiredError,
    LinkSignatureError,
    ObjectKeyError,
    ObjectNotFoundError,
)
from lamina.control.buckets.links import PATH, Grant
from lamina.control.buckets.opening import Buckets
from lamina.failures import Fault, LaminaError, Refusal
from lamina.ids import AccountId, RequestId, mint_request_id
from lamina.telemetry import get_logger, log, log_failure
from lamina.units import MIB

_LOGGER: Final = get_logger(__name__)
_AUDIT: Final = get_logger("lamina.audit")
_PIECE_BYTES: Final = MIB  # in memory for each transfer, twice while one is written and the next one comes in
_THREADS: Final = 8  # what waits for a disk; a transfer that waits for its client needs none
_PATIENCE_SECONDS: Final = 60.0  # a client that sends nothing for so long is gone
_MAX_AUDITED: Final = 256
_METHODS: Final = {"GET": LinkMethod.GET, "HEAD": LinkMethod.GET, "PUT": LinkMethod.PUT}
_ACTIONS: Final = {"GET": "GetBucketObject", "HEAD": "HeadBucketObject", "PUT": "PutBucketObject"}

TOO_LARGE: Final = Code(400, "EntityTooLarge")
PARTIAL: Final = Code(400, "InvalidRequest")
TOO_SLOW: Final = Code(400, "RequestTimeout")
_CODES: Final[dict[type[LaminaError], Code]] = {
    LinkSignatureError: Code(403, "SignatureDoesNotMatch"),
    LinkExpiredError: Code(403, "AccessDenied"),
    BucketNotFoundError: Code(404, "NoSuchBucket"),
    ObjectNotFoundError: Code(404, "NoSuchKey"),
    ObjectKeyError: Code(400, "InvalidObjectName"),
    BucketFullError: Code(507, "BucketFull"),
    RangeNotSatisfiableError: Code(416, "InvalidRange"),
}

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class _Use:
    """One use of a link: what is known of it so far, for the answer and for the audit log.

    Attributes:
        account_id: whose bucket it is; empty until the signature is found to be good.
        resource: bucket and key; empty until then.
    """

    request: Request
    request_id: RequestId
    started: float
    account_id: str = ""
    resource: str = ""
    status: int = 500
    outcome: str = "ok"
    has_begun: bool = False
    moved_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What a link that is good leads to."""

    account_id: AccountId
    service: DirectoryBuckets
    grant: Grant


class BucketLinks:
    """The ASGI application below `/buckets/`."""

    def __init__(self, buckets: Buckets, audit: AuditJournal, clock: Clock) -> None:
        """Take the buckets, the audit log, and the installation's time for its rows."""
        self._buckets = buckets
        self._audit = audit
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="links")

    def close(self) -> None:
        """Give the threads back; no transfer is under way any more."""
        self._threads.shutdown(wait=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and write it down."""
        use = _Use(
            request=Request(scope, receive), request_id=mint_request_id(), started=self._clock.monotonic()
        )
        try:
            await self._run(self._audit.require_room)
            await self._serve(use, send)
        except ClientDisconnect:
            use.outcome, use.status = "ClientDisconnect", use.status if use.has_begun else 400
        except asyncio.CancelledError:  # the service stops
            use.outcome = "Cancelled"
            raise
        except Exception as failure:  # noqa: BLE001 - the last line of defence, as in the pipeline of the API
            await self._refuse(use, failure, send)
        finally:
            self._write_down(use)

    async def _serve(self, use: _Use, send: Send) -> None:
        method = use.request.method
        if method not in _METHODS:
            raise ApiError(Code(405, "MethodNotAllowed"), "A link is followed with GET, HEAD or PUT.")
        target = await self._run(lambda: self._open(use.request))
        use.account_id = target.account_id
        use.resource = f"{target.grant.bucket}/{target.grant.key}"[:_MAX_AUDITED]
        if method == "PUT":
            await self._take(use, target, send)
            return
        opened = await self._run(lambda: target.service.open(target.grant.bucket, target.grant.key))
        with opened.file:
            await self._give(use, opened, send)

    def _open(self, request: Request) -> _Target:
        bucket, key = _read_path(request)
        try:
            query = dict(parse_pairs(request.scope["query_string"], "query string"))
        except ApiError as error:
            raise LinkSignatureError from error
        found = self._buckets.find_directory(bucket)
        if found is None:
            raise LinkSignatureError
        account_id, service = found
        grant = service.read_link(_METHODS[request.method], bucket, key, query)
        return _Target(account_id=account_id, service=service, grant=grant)

    async def _give(self, use: _Use, opened: OpenObject, send: Send) -> None:
        facts = opened.facts
        headers = use.request.headers
        if headers.get("if-match", "*") not in ("*", f'"{facts.etag}"'):
            raise ApiError(Code(412, "PreconditionFailed"), "The object has changed meanwhile.")
        is_same = headers.get("if-range", f'"{facts.etag}"') == f'"{facts.etag}"'
        wanted = choose_range(headers.get("range") if is_same else None, facts.size_bytes)
        part = wanted or ByteRange(0, facts.size_bytes)
        extra = (
            []
            if wanted is None
            else [("content-range", f"bytes {part.start}-{part.end - 1}/{facts.size_bytes}")]
        )
        lines = [*_describe(facts), ("content-length", str(part.end - part.start)), *extra]
        await _begin(use, 200 if wanted is None else 206, lines, send)
        if use.request.method == "GET":
            await self._stream(use, opened.file, part, send)
        await send({"type": "http.response.body", "body": b""})

    async def _stream(self, use: _Use, file: io.FileIO, part: ByteRange, send: Send) -> None:
        # what is sent to a client that is gone goes nowhere, without an error: it has to be watched for
        gone = asyncio.create_task(_wait_until_gone(use.request))
        try:
            at = part.start
            while at < part.end:
                piece = await self._run(lambda: _read(file, at, part.end))  # noqa: B023 - awaited at once
                if gone.done():
                    raise ClientDisconnect
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                at += len(piece)
                use.moved_bytes += len(piece)
        finally:
            gone.cancel()

    async def _take(self, use: _Use, target: _Target, send: Send) -> None:
        """Write the body to a file that becomes the object when all of it is there."""
        grant = target.grant
        if (
            "content-range" in use.request.headers
        ):  # curl's --continue-at; a part is not the object (RFC 9110 §14.5)
            raise ApiError(PARTIAL, "A link takes a whole object; send all of it, without Content-Range.")
        length = use.request.headers.get("content-length", "")
        if grant.max_bytes is not None and length.isdecimal() and int(length) > grant.max_bytes:
            raise _too_large(grant.max_bytes)
        writing = target.service.writing(grant.bucket, grant.key)
        stream = await self._run(writing.__enter__)
        with ExitStack() as unfinished:
            unfinished.push(writing)
            piece = bytearray()
            chunks = aiter(use.request.stream())
            while chunk := await _next(chunks):
                piece += chunk
                use.moved_bytes += len(chunk)
                if grant.max_bytes is not None and use.moved_bytes > grant.max_bytes:
                    raise _too_large(grant.max_bytes)
                if len(piece) >= _PIECE_BYTES:
                    full, piece = piece, bytearray()
                    await self._run(lambda: stream.write(full))  # noqa: B023 - awaited at once
            await self._run(lambda: stream.write(piece))
            unfinished.pop_all()
        await self._run(lambda: writing.__exit__(None, None, None))
        facts = await self._run(lambda: target.service.stat(grant.bucket, grant.key))
        await _begin(use, 200, [("etag", f'"{facts.etag}"'), ("content-length", "0")], send)
        await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, use: _Use, failure: Exception, send: Send) -> None:
        code, message = _explain(failure)
        use.status, use.outcome = code.status, code.text
        if code in (INTERNAL_ERROR, UNAVAILABLE):
            log_failure(_LOGGER, "a link failed", failure, request_id=use.request_id, resource=use.resource)
        if use.has_begun:  # too late for an answer: an incomplete one is the sign
            return
        tree = {
            "Code": code.text,
            "Message": message,
            "RequestId": use.request_id,
            "HostId": use.request.headers.get("host", ""),
        }
        body = encode_xml("Error", tree)
        lines = [("content-type", "application/xml"), ("content-length", str(len(body)))]
        if isinstance(failure, RangeNotSatisfiableError):
            lines.append(("content-range", f"bytes */{failure.size_bytes}"))
        if use.request.method == "PUT":
            lines.append(("connection", "close"))  # the rest of the body is not read
        await _begin(use, code.status, lines, send)
        await send({"type": "http.response.body", "body": b"" if use.request.method == "HEAD" else body})

    async def _run(self, work: Callable[[], T]) -> T:
        """Run blocking work in a thread. Whoever is cancelled meanwhile waits for it: it uses an open file."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def _write_down(self, use: _Use) -> None:
        client = use.request.client.host if use.request.client else ""
        elapsed = self._clock.monotonic() - use.started
        entry = AuditEntry(
            request_id=use.request_id,
            at=self._clock.now(),
            account_id=use.account_id,
            access_key_id="",
            action=_ACTIONS.get(use.request.method, "") if use.account_id else "",
            resource=use.resource,
            outcome=use.outcome,
            status=use.status,
            client=client,
            microseconds=round(elapsed * 1_000_000),
        )
        self._audit.add(entry)
        log(
            _AUDIT,
            logging.INFO,
            "link",
            request_id=entry.request_id,
            action=entry.action,
            resource=entry.resource,
            account_id=entry.account_id,
            client=client,
            status=use.status,
            outcome=use.outcome,
            moved_bytes=use.moved_bytes,
            milliseconds=entry.microseconds / 1000,
        )


def is_link(scope: Scope) -> bool:
    """Whether a request is for a link."""
    return _strip_origin(scope["raw_path"]).startswith(PATH.encode())


def _strip_origin(path: bytes) -> bytes:
    """The path, also of a client that believes that we are its proxy and sends a whole URL."""
    if path.startswith((b"http://", b"https://")):
        return b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return path


def _read_path(request: Request) -> tuple[str, str]:
    raw = _strip_origin(request.scope["raw_path"]).removeprefix(PATH.encode())
    bucket, _, key = raw.partition(b"/")
    try:
        return unquote_to_bytes(bucket).decode(), unquote_to_bytes(key).decode()
    except UnicodeDecodeError as error:
        raise LinkSignatureError from error


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    """The next chunk that is not empty; empty at the end."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            async for chunk in chunks:
                if chunk:
                    return chunk
            return b""
    except TimeoutError as error:
        raise ApiError(TOO_SLOW, "The body did not go on; send it again.") from error


def _read(file: io.FileIO, at: int, end: int) -> bytes:
    file.seek(at)
    piece = file.read(min(_PIECE_BYTES, end - at))
    if not piece:
        raise Fault("an object became shorter while it was sent", retryable=False)
    return piece


def _describe(facts: BucketObject) -> list[tuple[str, str]]:
    name = quote(facts.key.rpartition("/")[2])
    return [
        ("content-type", "application/octet-stream"),
        ("content-disposition", f"attachment; filename*=UTF-8''{name}"),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("etag", f'"{facts.etag}"'),
        ("last-modified", f"{facts.modified_at:%a, %d %b %Y %H:%M:%S GMT}"),
        ("cache-control", "private, no-cache"),
    ]


async def _begin(use: _Use, status: int, lines: list[tuple[str, str]], send: Send) -> None:
    lines = [*lines, ("x-oss-request-id", use.request_id)]
    headers = [(name.encode(), value.encode("latin-1")) for name, value in lines]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    use.status, use.has_begun = status, True


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(TOO_LARGE, f"The link takes at most {max_bytes} bytes.")


def _explain(failure: Exception) -> tuple[Code, str]:
    if isinstance(failure, ApiError):
        return failure.code, str(failure)
    for cls in type(failure).__mro__:
        if cls in _CODES:
            return _CODES[cls], str(failure)
    if isinstance(failure, Fault) and failure.retryable:
        return UNAVAILABLE, "The service cannot do this at the moment; try again later."
    if isinstance(failure, Refusal):
        return Code(403, "AccessDenied"), "The bucket service does not allow it."
    return INTERNAL_ERROR, "The request failed for an internal reason; report its RequestId to the operator."
