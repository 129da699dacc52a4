"""A small client of the service: signs calls with ACS3-HMAC-SHA256 and keeps its connections.

The official SDKs work against the service as well; this one starts in milliseconds, moves raw bytes, and
needs nothing but the standard library and BLAKE3.
"""

import hashlib
import http.client
import json
import os
import secrets
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

from blake3 import blake3

from lamina.api.signature import ACS3, BLAKE3_HEADER, BLAKE3_PAYLOAD, SignedCall, sign_acs3
from lamina.api.wire import Pair
from lamina.clock import Clock, SystemClock
from lamina.failures import Corruption, Fault, Refusal
from lamina.settings import Settings

_CREDENTIALS: Final = "credentials.json"
_VERSION: Final = "2014-05-26"
_ATTEMPTS: Final = 5
_FIRST_WAIT_SECONDS: Final = 0.2  # doubled each time: 3 s in all, which outlasts a restart of the service
_MAX_IDLE_SECONDS: Final = 20.0  # the service closes idle connections after a minute
_TIMEOUT_SECONDS: Final = 60.0
_OK: Final = 200
_THROTTLED: Final = 400  # `Throttling` is said before anything is done
# A second one of these does not end where the first one did.
_MAKES_MORE: Final = (
    "Clone",
    "Connect",
    "Copy",
    "Create",
    "Export",
    "Import",
    "Replace",
    "Reset",
    "Run",
    "StartBulk",
)
_BUSY_CODES: Final = frozenset(("Throttling", "ServiceUnavailable"))
_DAMAGED: Final = "InternalError.DamagedData"


class CallRefusedError(Refusal):
    """The service refused a call.

    Attributes:
        code: the API's error code.
        request_id: to find the call in the service's log.
    """

    def __init__(self, action: str, code: str, message: str, request_id: str) -> None:
        super().__init__(f"{action} was refused: {message} ({code}, RequestId {request_id})")
        self.code = code
        self.request_id = request_id


class ServiceFaultError(Fault):
    """The service could not be reached, or failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Where the service is, and who calls.

    Attributes:
        endpoint: such as `http://127.0.0.1:8788`.
        access_key_id: whose key.
        access_key_secret: what calls are signed with.
        region_id: where calls are made.
        account_id: whose key it is, if the file says so.
    """

    endpoint: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    region_id: str
    account_id: str | None = None


def read_profile(path: Path | None, settings: Settings) -> Profile:
    """The profile in a JSON file, as `lamina account create --json` prints it.

    What the file does not say comes from the environment. Without a file, and with neither an endpoint nor an access
    key in the environment, it is the `credentials.json` of the service that this user runs on this host.

    Raises:
        Refusal: the file cannot be used, or something is missing.
    """
    given: dict[str, str | None] = {
        "endpoint": settings.endpoint,
        "access_key_id": settings.access_key_id,
        "access_key_secret": settings.access_key_secret,
        "region_id": settings.region_id,
    }
    if path is None and not (settings.endpoint or settings.access_key_id or settings.access_key_secret):
        path = _find_own(settings)
    if path is not None:
        given.update(_read_json(path))
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise Refusal(
            f"missing: {', '.join(missing)}. Pass --profile with the credentials.json of the service, or set "
            "LAMINA_ENDPOINT, ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
        )
    names = ("endpoint", "access_key_id", "access_key_secret", "region_id")
    return Profile(**{name: str(given[name]) for name in names}, account_id=given.get("account_id"))


def _find_own(settings: Settings) -> Path | None:
    path = settings.data_dir / _CREDENTIALS
    return path if os.access(path, os.R_OK) else None


class EcsClient:
    """Calls actions of the service. Safe for any number of threads; each keeps a connection of its own.

    Attributes:
        region_id: where calls are made.
        origin: scheme, name and port of the service.
    """

    def __init__(self, profile: Profile, clock: Clock | None = None) -> None:
        url = profile.endpoint if "://" in profile.endpoint else f"http://{profile.endpoint}"
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refusal(f"{profile.endpoint!r} is no endpoint; write http://HOST:PORT")
        self.region_id = profile.region_id
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._profile = profile
        self._clock = clock or SystemClock()
        self._is_tls = parts.scheme == "https"
        self._host = parts.netloc
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close every connection; call when no other thread uses the client any more."""
        with self._lock:
            for connection in self._connections:
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(
        self, action: str, parameters: Mapping[str, object] | None = None, body: bytes = b""
    ) -> dict[str, Any]:
        """Call an action and read its JSON answer.

        Args:
            action: such as `DescribeDisks`.
            parameters: by name on the wire; `None` values are left out, booleans become `true` and `false`.
            body: raw bytes for actions that take them.

        Raises:
            CallRefusedError: the service answered 4xx.
            ServiceFaultError: it could not be reached, or answered 5xx, also after trying again.
            Corruption: it met damaged data.
        """
        answer: dict[str, Any] = json.loads(self._call(action, parameters or {}, body)[0])
        return answer

    def read(self, action: str, parameters: Mapping[str, object]) -> bytes:
        """Call an action that answers raw bytes, and check them.

        Raises:
            Corruption: the bytes changed on their way.
        """
        data, digest = self._call(action, parameters, b"")
        if digest is None or blake3(data).hexdigest() != digest:
            raise Corruption(
                f"{action}: the bytes that arrived are not those that were sent; look at the network"
            )
        return data

    def _call(self, action: str, parameters: Mapping[str, object], body: bytes) -> tuple[bytes, str | None]:
        pairs = tuple(_flatten(parameters))
        wait = _FIRST_WAIT_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._send(action, pairs, body)
            except ServiceFaultError as failure:
                if attempt == _ATTEMPTS or not failure.retryable:
                    raise
            self._clock.sleep(wait)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    def _send(self, action: str, pairs: tuple[Pair, ...], body: bytes) -> tuple[bytes, str | None]:
        headers = self._sign(action, pairs, body)
        connection = self._connect()
        try:
            connection.request("POST", "/?" + urlencode(pairs), body or None, headers)
            reply = connection.getresponse()
            data = reply.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            # Whether the call was carried out is unknown. Sending it again is sound: creating calls carry a
            # ClientToken, and the others that are repeated end in the same state.
            raise ServiceFaultError(
                f"the service at {self._profile.endpoint} cannot be reached: {error}; is it running?",
                retryable=_may_repeat(action, pairs),
            ) from error
        if reply.status != _OK:
            failure = _read_failure(action, reply.status, data)
            if isinstance(failure, ServiceFaultError) and reply.status != _THROTTLED:
                # a service that lost its database within a commit does not know either
                failure.retryable &= _may_repeat(action, pairs)
            raise failure
        return data, reply.headers.get(BLAKE3_HEADER)

    def _sign(self, action: str, pairs: tuple[Pair, ...], body: bytes) -> dict[str, str]:
        headers = {
            "host": self._host,
            "accept": "application/json",
            "x-acs-action": action,
            "x-acs-version": _VERSION,
            "x-acs-date": f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-content-sha256": BLAKE3_PAYLOAD if body else hashlib.sha256().hexdigest(),
        }
        if body:
            headers[BLAKE3_HEADER] = blake3(body).hexdigest()
            headers["content-type"] = "application/octet-stream"
        call = SignedCall(
            method="POST",
            path="/",
            query=pairs,
            form=(),
            headers={name: (value,) for name, value in headers.items()},
            body=body,
        )
        names, signature = sign_acs3(call, headers, self._profile.access_key_secret)
        credential = f"Credential={self._profile.access_key_id},SignedHeaders={names},Signature={signature}"
        return {**headers, "authorization": f"{ACS3} {credential}"}

    def _connect(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        now = self._clock.monotonic()
        if connection is not None and now - self._local.used_at > _MAX_IDLE_SECONDS:
            connection.close()  # opens again with the next request
        self._local.used_at = now
        if connection is None:
            if self._is_tls:
                context = ssl.create_default_context()
                connection = http.client.HTTPSConnection(
                    self._host, timeout=_TIMEOUT_SECONDS, context=context
                )
            else:
                connection = http.client.HTTPConnection(self._host, timeout=_TIMEOUT_SECONDS)
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection


def _may_repeat(action: str, pairs: tuple[Pair, ...]) -> bool:
    is_creating = action.startswith(_MAKES_MORE)
    return not is_creating or any(name == "ClientToken" for name, _ in pairs)


def _read_failure(action: str, status: int, data: bytes) -> Exception:
    try:
        answer = json.loads(data)
        code, message, request_id = str(answer["Code"]), str(answer["Message"]), str(answer["RequestId"])
    except (ValueError, KeyError, TypeError):
        return ServiceFaultError(f"{action}: the answer ({status}) is none of this service", retryable=False)
    if code == _DAMAGED:
        return Corruption(f"{action}: {message} (RequestId {request_id})")
    if code in _BUSY_CODES or status >= 500:  # noqa: PLR2004 - HTTP's line between whose fault it is
        return ServiceFaultError(
            f"{action} failed: {message} ({code}, RequestId {request_id})", retryable=code in _BUSY_CODES
        )
    return CallRefusedError(action, code, message, request_id)


def _flatten(parameters: Mapping[str, object], prefix: str = "") -> list[Pair]:
    pairs: list[Pair] = []
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            pairs += _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            numbered = {str(number): item for number, item in enumerate(value, 1)}
            pairs += _flatten(numbered, f"{prefix}{name}.")
        elif value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            pairs.append((prefix + name, text))
    return pairs


def _read_json(path: Path) -> dict[str, str]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refusal(f"the profile {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Refusal(f"the profile {path} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Refusal(f"the profile {path} must hold one JSON object")
    return {name: value for name, value in document.items() if isinstance(value, str)}
