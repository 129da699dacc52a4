"""The pipeline: what happens to a call, from its bytes to the bytes of the answer.

`Pipeline._process` is the list, top to bottom. It is synchronous and knows no socket; `lamina.api.asgi`
calls it in a thread. Every call ends in one reply, one request id and one audit line.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final

from blake3 import blake3

from lamina.api.call import Call, Services
from lamina.api.codes import (
    DRY_RUN_PASSED,
    INVALID_ACTION,
    INVALID_ACTION_2026,
    INVALID_VERSION,
    MISSING_PARAMETER,
    NO_PERMISSION,
    REQUEST_TOO_LARGE,
    REQUEST_TOO_SLOW,
    UNKNOWN_PATH,
    UNSUPPORTED_METHOD,
    ApiError,
    ThrottledError,
)
from lamina.api.errors import ErrorReply, describe
from lamina.api.idempotency import remember, replay
from lamina.api.registry import find_action
from lamina.api.schema import DiskBytes, decode, to_tree
from lamina.api.signature import BLAKE3_HEADER, SignedCall, read_claim
from lamina.api.spec import VERSION, Action, Kind
from lamina.api.wire import Pair, Parameters, Tree, encode_json, encode_xml, merge_pairs, parse_pairs
from lamina.control.accounts.access_keys import AccessKey
from lamina.control.accounts.states import ALLOWED
from lamina.control.audit.journal import write_entry
from lamina.control.audit.records import AuditEntry
from lamina.control.preferences import Compatibility
from lamina.control.regions.queries import get_region
from lamina.database import insist
from lamina.failures import Corruption, Fault, LaminaError
from lamina.ids import RegionId, RequestId, is_access_key_id, mint_request_id
from lamina.telemetry import get_logger, log, log_failure

_AUDIT: Final = get_logger("lamina.audit")
_LOGGER: Final = get_logger(__name__)
_FORM: Final = "application/x-www-form-urlencoded"
# fog-aliyun depends on the type not being plain `application/json`; the Python SDK parses an error as XML
# only with exactly this text.
_JSON_TYPE: Final = "application/json;charset=utf-8"
_BYTES_TYPE: Final = "application/octet-stream"
_XML_TYPE: Final = "text/xml;charset=utf-8"
_MAX_QUERY_BYTES: Final = 64 * 1024
_MAX_AUDITED: Final = 256  # characters of a client's text; a call that names 100 disks is cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request as it came in.

    Attributes:
        method: upper-case method.
        path: without scheme, host and query, still percent-encoded.
        query: raw query string.
        headers: lower-case name to its values.
        body: the whole body; empty if `body_problem` is set.
        body_problem: `large` or `slow` when the body was not read to its end.
        client: the peer's address, for the audit line.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[str, tuple[str, ...]]
    body: bytes = field(repr=False)
    body_problem: str | None = None
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """A reply as it goes out."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class _Trace:
    """What is known about a call so far: for the shape of an error, and for the audit line."""

    request_id: RequestId
    host: str
    client: str
    at: datetime
    started: float
    is_json: bool = False
    action: Action | None = None
    action_name: str = ""
    account_id: str = ""
    access_key_id: str = ""
    resource: str = ""
    has_room: bool = False
    is_audited: bool = False


class Pipeline:
    """Answers calls. Safe for any number of threads."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def answer(self, request: HttpRequest) -> HttpReply:
        """The reply to a request; never raises."""
        host = request.headers.get("host", ("",))[0]
        # The Python SDK puts the scheme into Host when its endpoint was given with one.
        trace = _Trace(
            request_id=mint_request_id(),
            host=host.rpartition("://")[2],
            client=request.client,
            at=self._services.clock.now(),
            started=self._services.wall_clock.monotonic(),
            is_json="authorization" in request.headers,
        )
        outcome = "ok"
        try:
            self._services.audit.require_room()
            trace.has_room = True
            reply = self._process(request, trace)
        except Exception as failure:  # noqa: BLE001 - the last line of defence; bugs are logged with their traceback
            _report(failure, trace)
            error = describe(failure, trace.action)
            reply = _encode_error(error, trace, _list_waits(failure))
            outcome = error.code.text
        entry = self._describe(trace, reply.status, outcome)
        if trace.has_room and not trace.is_audited:
            self._services.audit.add(entry)
        _log_call(entry)
        return reply

    def _process(self, request: HttpRequest, trace: _Trace) -> HttpReply:
        _check_sizes(request)
        signed = _parse(request)
        parameters = _read_parameters(signed, trace)
        key = self._authenticate(signed, trace)
        action = self._find_action(signed, parameters, trace)
        self._services.limiter.spend(key.account_id, key.id, action.name)
        _check_permission(key, action)
        region_id = self._find_region(parameters)
        values = decode(action.request, parameters, b"" if signed.form else request.body)
        trace.resource = _join_names(getattr(values, action.resource)) if action.resource else ""
        call = Call(
            services=self._services,
            request_id=trace.request_id,
            key=key,
            region_id=region_id,
            action=action.name,
            host=trace.host,
        )
        return _encode(self._run(action, call, values, trace), trace)

    def _authenticate(self, signed: SignedCall, trace: _Trace) -> AccessKey:
        claim = read_claim(signed)
        # Whoever mixes up the two halves of a key sends the secret here.
        trace.access_key_id = claim.access_key_id if is_access_key_id(claim.access_key_id) else ""
        key = self._services.find_key(claim.access_key_id)
        claim.verify(key.secret)
        # Only now: an unsigned call must not be able to fill the store or to use up somebody's nonce.
        self._services.nonces.accept(claim.access_key_id, claim.nonce, claim.signed_at)
        trace.account_id = key.account_id
        return key

    def _find_region(self, parameters: Parameters) -> RegionId:
        # The older SDK adds its own `RegionId` to what the caller set as `regionId`.
        name = parameters.get("regionId")
        if not name or name == self._services.region_id:
            return self._services.region_id

        def look_up() -> RegionId:
            with self._services.database.reading() as session:
                return get_region(session, RegionId(name)).id

        return insist(look_up)

    def _find_action(self, signed: SignedCall, parameters: Parameters, trace: _Trace) -> Action:
        name = _common(signed, parameters, "Action")
        version = _common(signed, parameters, "Version")
        trace.action_name = name
        found = find_action(name)
        if found is None:
            is_new = self._services.limits.compatibility is Compatibility.API_2026
            raise ApiError(
                INVALID_ACTION_2026 if is_new else INVALID_ACTION,
                f"The action {name!r} is not offered; see the list of actions in the reference",
            )
        if version != VERSION:
            raise ApiError(INVALID_VERSION, f"The version {version!r} is not offered; use {VERSION}")
        trace.action, trace.action_name = found, found.name
        return found

    def _run(self, action: Action, call: Call, values: Any, trace: _Trace) -> Any:  # noqa: ANN401 - each action has its classes
        if action.kind in (Kind.MOVES_DATA, Kind.READS_DATA):
            return action.handler(call, values)
        # A transaction that the database gives up is run again: nobody but the caller knows that it was lost.
        if action.kind is Kind.READS:
            return insist(lambda: _read(action, call, values))
        named = trace.resource

        def write() -> Any:  # noqa: ANN401 - as above
            with call.transaction() as scope:
                replayed = replay(scope, action, values)
                answer = action.handler(call, scope, values) if replayed is None else replayed
                _stop_dry_run(values)  # raises within the transaction, which is rolled back
                if replayed is None:
                    remember(scope, action, values, answer)
                trace.resource = _join_names(named, *_list_ids(answer))
                write_entry(scope.session, self._describe(trace, 200, "ok"))
            trace.is_audited = True
            return answer

        return insist(write)

    def _describe(self, trace: _Trace, status: int, outcome: str) -> AuditEntry:
        elapsed = self._services.wall_clock.monotonic() - trace.started
        return AuditEntry(
            request_id=trace.request_id,
            at=trace.at,
            account_id=trace.account_id,
            access_key_id=trace.access_key_id,
            action=trace.action_name if trace.action else "",
            resource=trace.resource,
            outcome=outcome,
            status=status,
            client=trace.client,
            microseconds=round(elapsed * 1_000_000),
        )


def _read(action: Action, call: Call, values: Any) -> Any:  # noqa: ANN401 - each action has its classes
    with call.reading() as scope:
        answer = action.handler(call, scope, values)
        _stop_dry_run(values)
        return answer


def _check_sizes(request: HttpRequest) -> None:
    if request.body_problem == "slow":
        raise ApiError(REQUEST_TOO_SLOW, "The body did not arrive in time; send it again")
    if request.body_problem is not None:
        raise ApiError(REQUEST_TOO_LARGE, "The body is too large; at most 4 MiB are accepted in one call")
    if len(request.query) > _MAX_QUERY_BYTES:
        raise ApiError(
            REQUEST_TOO_LARGE, "The query string is longer than 64 KiB; send parameters in a form body"
        )
    if request.method not in ("GET", "POST"):
        raise ApiError(UNSUPPORTED_METHOD, f"The method {request.method} is not supported; use GET or POST")
    if request.path != "/":
        raise ApiError(UNKNOWN_PATH, "The API answers under the path / only")


def _parse(request: HttpRequest) -> SignedCall:
    form: tuple[Pair, ...] = ()
    if request.body and request.headers.get("content-type", ("",))[0].lower().startswith(_FORM):
        form = parse_pairs(request.body, "form body")
    return SignedCall(
        method=request.method,
        path=request.path,
        query=parse_pairs(request.query, "query string"),
        form=form,
        headers=request.headers,
        body=request.body,
    )


def _read_parameters(signed: SignedCall, trace: _Trace) -> Parameters:
    parameters = Parameters.of(merge_pairs(signed.query, signed.form))
    # RPC version 1 without Format means XML; clients of the newer scheme always read JSON.
    trace.is_json = trace.is_json or (parameters.get("Format") or "").upper() == "JSON"
    return parameters


def _check_permission(key: AccessKey, action: Action) -> None:
    if action.access not in ALLOWED[key.role]:
        raise ApiError(
            NO_PERMISSION,
            f"The access key {key.id} is {key.role.value} and must not call {action.name}; use another key",
        )


def _common(signed: SignedCall, parameters: Parameters, name: str) -> str:
    # Old clients send the header as well, and sign the parameter only; new ones sign the header.
    is_acs3 = "authorization" in signed.headers
    value = signed.headers[f"x-acs-{name.lower()}"][0] if is_acs3 else parameters.get(name)
    if not value:
        raise ApiError(MISSING_PARAMETER, f"The parameter {name} is mandatory for every call and is missing")
    return value


def _stop_dry_run(values: object) -> None:
    if getattr(values, "dry_run", False):
        raise ApiError(DRY_RUN_PASSED, "Request validation has been passed with DryRun flag set.")


def _encode(answer: object, trace: _Trace) -> HttpReply:
    if isinstance(answer, DiskBytes):
        headers = (
            ("content-type", _BYTES_TYPE),
            ("x-acs-request-id", trace.request_id),
            (BLAKE3_HEADER, blake3(answer.data).hexdigest()),
        )
        return HttpReply(status=200, headers=headers, body=answer.data)
    tree = to_tree(answer)
    assert isinstance(tree, Mapping)
    return _reply(200, {"RequestId": trace.request_id, **tree}, trace)


def _list_waits(failure: Exception) -> tuple[Pair, ...]:
    """How long a client should wait: in milliseconds for the official clients, in seconds for all others."""
    if not isinstance(failure, ThrottledError):
        return ()
    seconds = failure.wait_seconds
    return (
        ("x-acs-retry-after", str(math.ceil(seconds * 1000))),
        ("retry-after", str(math.ceil(seconds))),
    )


def _encode_error(error: ErrorReply, trace: _Trace, headers: tuple[Pair, ...]) -> HttpReply:
    tree = {
        "RequestId": trace.request_id,
        "HostId": trace.host,
        "Code": error.code.text,
        "Message": error.message,
    }
    return _reply(error.code.status, tree, trace, headers)


def _reply(status: int, tree: Mapping[str, Tree], trace: _Trace, headers: tuple[Pair, ...] = ()) -> HttpReply:
    root = "Error" if status >= 400 else f"{trace.action_name}Response"  # noqa: PLR2004 - HTTP's line
    body = encode_json(tree) if trace.is_json else encode_xml(root, tree)
    common = (
        ("content-type", _JSON_TYPE if trace.is_json else _XML_TYPE),
        ("x-acs-request-id", trace.request_id),
    )
    return HttpReply(status=status, headers=common + headers, body=body)


def _report(failure: Exception, trace: _Trace) -> None:
    facts = {"request_id": trace.request_id, "action": trace.action_name}
    if isinstance(failure, Corruption):
        log(_LOGGER, logging.CRITICAL, "damaged data was met", **facts, message=str(failure))
    elif isinstance(failure, Fault) or not isinstance(failure, LaminaError):
        log_failure(_LOGGER, "a call failed", failure, **facts)


def _log_call(entry: AuditEntry) -> None:
    log(
        _AUDIT,
        logging.INFO,
        "call",
        request_id=entry.request_id,
        action=entry.action,
        resource=entry.resource,
        account_id=entry.account_id,
        access_key_id=entry.access_key_id,
        client=entry.client,
        status=entry.status,
        outcome=entry.outcome,
        milliseconds=entry.microseconds / 1000,
    )


def _join_names(*found: str | tuple[str, ...] | None) -> str:
    """Names of resources as the audit log has them."""
    names = [name for each in found if each for name in ((each,) if isinstance(each, str) else each)]
    return ",".join(dict.fromkeys(names))[:_MAX_AUDITED]


def _list_ids(answer: Any) -> list[str]:  # noqa: ANN401 - each action has its classes
    """What the call made, as its answer names it."""
    named = [getattr(answer, each.name) for each in fields(answer) if each.name.endswith("_id")]
    return [name for name in named if isinstance(name, str)]
