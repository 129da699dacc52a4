"""The HTTP edge: from ASGI to the pipeline and back. The only asynchronous place of the API."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from lamina.api.bucket_links import is_link
from lamina.api.server import HttpReply, HttpRequest
from lamina.units import KIB, MIB

MAX_BODY_BYTES: Final = 4 * MIB
"""One data action moves this much at most."""

# A body that is a little too large is read to its end and dropped: a client that is still sending when its
# connection is closed does not get to see the refusal.
_MAX_DRAINED_BYTES: Final = 16 * MIB
_SMALL_BODY_BYTES: Final = 64 * KIB
_LARGE_AT_ONCE: Final = 16  # 16 bodies of 4 MiB and their answers: 128 MiB
_BODY_SECONDS: Final = 60  # 4 MiB in a minute is 0.6 Mbit/s; slower clients would hold a place for too long
# A client that reuses a connection just when it is closed cannot know whether its call was carried out. Uvicorn's
# 5 s are about as long as people and loops pause.
_KEEP_ALIVE_SECONDS: Final = 65
# Uvicorn waits for ever for the head of a request and for clients that do not read their answers (4 MiB each).
_HEAD_SECONDS: Final = 60
_UNREAD_SECONDS: Final = 60
_THREADS: Final = 16  # actions are short transactions; SQLite has one writer anyway


class ApiApp:
    """The ASGI application.

    Pipeline and verbs are synchronous; each call runs in one thread of a pool of its own. Bodies above 64
    KiB are read one per place, so that memory stays bounded however many clients there are.

    Args:
        answer: the pipeline.
        links: answers what is below `/buckets/`, without the pipeline.
        close: called when the last call is answered and the server goes.
    """

    def __init__(
        self,
        answer: Callable[[HttpRequest], HttpReply],
        *,
        links: ASGIApp | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._answer = answer
        self._links = links
        self._close = close
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="api")
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event of ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and self._links is not None and is_link(scope):
            await self._links(scope, receive, send)
        elif scope["type"] == "http":
            request = Request(scope, receive)
            try:
                if _may_be_large(request):
                    async with self._large:
                        await self._serve(request, send)
                else:
                    await self._serve(request, send)
            except ClientDisconnect:
                return

    async def _serve(self, request: Request, send: Send) -> None:
        body, problem = await _read_body(request)
        call = _to_call(request, body, problem)
        reply = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, call)
        response = Response(reply.body, reply.status)
        for name, value in reply.headers:
            response.headers[name] = value
        await response(request.scope, request.receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._threads.shutdown(wait=True)
                self._close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


class _PromptProtocol(H11Protocol):
    """HTTP that waits neither to fill packets nor for ever.

    asyncio sends without delay by itself only for sockets that were made with an explicit protocol number, which those
    of `socket.create_server` are not. Head and body of an answer are two writes, and the second one then waited for
    the client's delayed acknowledgement: 44 ms for each small call.
    """

    _deadline: asyncio.TimerHandle | None = None  # of the head of a request that has not arrived

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn the delay off for each new connection, and give it its limits of time."""
        assert isinstance(transport, asyncio.Transport), (
            "asyncio hands stream transports to a stream protocol"
        )
        super().connection_made(transport)
        stream = transport.get_extra_info("socket")
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # the system ends a connection whose other side takes nothing for so long, dead or alive
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_SECONDS * 1000)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see to it that the head of a request does not come for ever."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch no more."""
        super().connection_lost(exc)
        self._stop_watching()

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_watching()
        elif self._deadline is None:  # bytes that come one by one do not put it off
            self._deadline = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def server_config(app: ASGIApp, host: str, port: int) -> Config:
    """How uvicorn runs the API.

    `h11` is asked for by name: it passes absolute-form targets on, which is what makes clients usable that
    only know `HTTP_PROXY`. Logs are the audit lines; uvicorn's own would write query strings, which hold
    signatures.
    """
    return Config(
        app,
        host=host,
        port=port,
        http=_PromptProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=10,
    )


def _may_be_large(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > _SMALL_BODY_BYTES


async def _read_body(request: Request) -> tuple[bytes, str | None]:
    """The body, and why it is not complete: `large` or `slow`."""
    body = bytearray()
    seen = 0
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > _MAX_DRAINED_BYTES:
        return b"", "large"
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                seen += len(chunk)
                if seen > _MAX_DRAINED_BYTES:
                    return b"", "large"
                if seen <= MAX_BODY_BYTES:
                    body += chunk
    except TimeoutError:
        return b"", "slow"
    return (b"", "large") if seen > MAX_BODY_BYTES else (bytes(body), None)


def _to_call(request: Request, body: bytes, problem: str | None) -> HttpRequest:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in request.scope["headers"]:
        key = name.decode("latin-1")
        headers[key] = (*headers.get(key, ()), value.decode("latin-1"))
    path: bytes = request.scope["raw_path"]
    if path.startswith((b"http://", b"https://")):  # absolute form: the client believes that we are its proxy
        _, _, path = path.partition(b"://")[2].partition(b"/")
        path = b"/" + path
    return HttpRequest(
        method=request.method,
        path=path.decode("latin-1") or "/",
        query=request.scope["query_string"],
        headers=headers,
        body=body,
        body_problem=problem,
        client=request.client.host if request.client else "",
    )
