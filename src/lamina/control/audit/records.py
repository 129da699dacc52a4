"""The table of calls."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from lamina.database import Record
from lamina.ids import RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One call, as it goes into the log. Holds no parameter but the names of resources, and no secret.

    Attributes:
        request_id: identifies the call.
        at: when it began.
        account_id: who called; empty when the signature was not good.
        access_key_id: with which key; empty when what was sent does not look like one.
        action: the action; empty when none could be read.
        resource: what the call named and what it made, joined by commas.
        outcome: `ok`, or the error code that was answered.
        status: the HTTP status.
        client: the peer's address.
        microseconds: how long it took.
    """

    request_id: RequestId
    at: datetime
    account_id: str
    access_key_id: str
    action: str
    resource: str
    outcome: str
    status: int
    client: str
    microseconds: int


class CallRecord(Record):
    """One call; see `AuditEntry`. Refers to no other table, so that it outlives what it tells of."""

    __tablename__ = "calls"
    __table_args__ = (
        Index("ix_calls_at", "at", "request_id"),
        Index("ix_calls_account", "account_id", "at", "request_id"),
        Index("ix_calls_action", "action", "at", "request_id"),
    )

    request_id: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime]
    account_id: Mapped[str]
    access_key_id: Mapped[str]
    action: Mapped[str]
    resource: Mapped[str]
    outcome: Mapped[str]
    status: Mapped[int]
    client: Mapped[str]
    microseconds: Mapped[int]
