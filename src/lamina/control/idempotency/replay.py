"""Remember what was answered to a ClientToken, and answer the same again.

Both functions run in the transaction that makes the resource: `find_outcome` first, `record_outcome` last. Of
two calls with one token at once, the second waits for the first and finds its outcome (SQLite has one writer).
"""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.idempotency.records import TokenRecord
from lamina.control.scope import Scope


def find_outcome(
    scope: Scope, *, action: str, token: str, digest: str, is_reading: bool = False
) -> str | None:
    """What the first call with this token was answered, as JSON; None if this is the first.

    Args:
        scope: tokens are apart by account and region.
        action: and by action.
        token: what the client sent.
        digest: of the parameters without the common and signature ones.
        is_reading: in a reading session, in which an answer that is not valid any more cannot be removed.

    Raises:
        TokenReusedError: the first call had other parameters.
    """
    record = scope.session.get(TokenRecord, (scope.account_id, scope.region_id, action, token))
    if record is None:
        return None
    if record.created_at <= scope.clock.now() - scope.limits.idempotency:
        if not is_reading:
            scope.session.delete(record)
            scope.session.flush()
        return None
    if record.digest != digest:
        raise TokenReusedError(action, token)
    return record.outcome


def record_outcome(scope: Scope, *, action: str, token: str, digest: str, outcome: str) -> None:
    """Remember the answer to a call that was carried out just now.

    Args:
        scope: as for `find_outcome`.
        action: as for `find_outcome`.
        token: as for `find_outcome`.
        digest: as for `find_outcome`.
        outcome: JSON.
    """
    scope.session.add(
        TokenRecord(
            account_id=scope.account_id,
            region_id=scope.region_id,
            action=action,
            token=token,
            digest=digest,
            outcome=outcome,
            created_at=scope.clock.now(),
        )
    )
    scope.session.flush()


def forget_outcomes(session: Session, *, before: datetime) -> None:
    """Drop answers that are older than an instant."""
    session.execute(delete(TokenRecord).where(TokenRecord.created_at < before))
