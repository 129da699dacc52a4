"""Reading the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.audit.records import CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls are wanted; what is None does not matter.

    Attributes:
        account_id: of this account.
        action: of this action.
        request_id: the one call.
        since: not before this instant.
        until: before this instant.
    """

    account_id: str | None = None
    action: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def list_calls(session: Session, wanted: CallFilter, *, limit: int) -> Sequence[CallRecord]:
    """The latest calls that match, newest first."""
    query = select(CallRecord).order_by(CallRecord.at.desc(), CallRecord.request_id.desc()).limit(limit)
    for column, value in (
        (CallRecord.account_id, wanted.account_id),
        (CallRecord.action, wanted.action),
        (CallRecord.request_id, wanted.request_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(CallRecord.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(CallRecord.at < wanted.until)
    return session.scalars(query).all()
