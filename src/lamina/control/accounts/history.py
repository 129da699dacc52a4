"""The history of an account: what the service or its operator did to it, for its owner to see."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.accounts.records import AccountEventRecord
from lamina.control.accounts.states import AccountEventKind
from lamina.ids import AccountId, RegionId

SERVICE: Final = "service"
OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEvent:
    """What happened; see `records.AccountEventRecord`."""

    kind: AccountEventKind
    subject: str
    reason: str
    by: str = SERVICE
    region_id: RegionId | None = None
    name: str | None = None


def note_event(session: Session, account_id: AccountId, event: AccountEvent, now: datetime) -> None:
    """Write down what happens in this transaction, which writes for the account."""
    last = session.scalars(
        select(AccountEventRecord)
        .where(AccountEventRecord.account_id == account_id)
        .order_by(AccountEventRecord.at.desc(), AccountEventRecord.id.desc())
        .limit(1)
    ).first()
    number = 1 if last is None else last.number + 1
    session.add(
        AccountEventRecord(
            id=f"{account_id}-{number:010}",
            account_id=account_id,
            number=number,
            at=now
            if last is None
            else max(now, last.at),  # the clock may have been set back; the order stays
            kind=event.kind,
            subject=event.subject,
            region_id=event.region_id,
            name=event.name,
            by=event.by,
            reason=event.reason,
        )
    )
    session.flush()
