"""ClientToken: the same call twice makes one thing and gets one answer.

The answer is written in the transaction that makes the thing. A transaction is the only writer, so a second
call with the same token waits for the first and then finds its answer: there is no moment at which the
client would have to be told that the first call is still running.
"""

import hashlib
from typing import Any, Final

import msgspec

from lamina.api.spec import Action
from lamina.control.idempotency.replay import find_outcome, record_outcome
from lamina.control.scope import Scope

# Not compared: the token itself, whether the call is a dry run, and passwords, which have no effect here: with a digest
# of everything else that is known, a thief of the database could guess them.
_NOT_COMPARED: Final = ("client_token", "dry_run", "password")


def replay(
    scope: Scope,
    action: Action,
    request: Any,  # noqa: ANN401 - each action has its classes
    *,
    is_reading: bool = False,
) -> Any | None:  # noqa: ANN401 - as above
    """The answer of the first call with this token; `None` if there was none, or the call has no token.

    Args:
        scope: of the transaction that carries the call out, or of one that only looks before that begins.
        action: what is called.
        request: how.
        is_reading: whether it only looks.

    Raises:
        TokenReusedError: the token was used with other parameters.
    """
    token = getattr(request, "client_token", None)
    if token is None:
        return None
    outcome = find_outcome(
        scope, action=action.name, token=token, digest=_digest(request), is_reading=is_reading
    )
    return None if outcome is None else msgspec.json.decode(outcome, type=action.answer)


def remember(scope: Scope, action: Action, request: Any, answer: Any) -> None:  # noqa: ANN401 - as above
    """Keep the answer for later calls with the same token."""
    token = getattr(request, "client_token", None)
    if token is not None:
        outcome = msgspec.json.encode(answer).decode()
        record_outcome(scope, action=action.name, token=token, digest=_digest(request), outcome=outcome)


def _digest(request: object) -> str:
    # Decoded and therefore without signature and common parameters, in one spelling and with defaults
    # filled in.
    fields: dict[str, Any] = msgspec.to_builtins(request)
    compared = {name: value for name, value in fields.items() if name not in _NOT_COMPARED}
    return hashlib.sha256(msgspec.json.encode(compared, order="deterministic")).hexdigest()
