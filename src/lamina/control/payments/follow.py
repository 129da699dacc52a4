"""Have the standing of accounts follow what they owe: at once when something is entered, and with time."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from lamina.control.accounts.history import SERVICE, AccountEvent, note_event
from lamina.control.accounts.records import AccountRecord
from lamina.control.accounts.states import AccountEventKind, AccountStanding
from lamina.control.installation import Installation
from lamina.control.payments.course import LATE, Stage, follow_course, list_steps
from lamina.control.payments.records import ArrearsRecord, EntryKind, EntryRecord
from lamina.control.payments.settle import Entry, Unpaid, find_first_due, list_unpaid
from lamina.control.tariff.rules import RuleBook
from lamina.failures import Fault
from lamina.ids import AccountId
from lamina.telemetry import get_logger, log, log_failure

_LOGGER: Final = get_logger(__name__)


def follow_payments(plant: Installation) -> None:
    """Change the standing of all accounts for which it is time. One that fails is logged; the others follow."""
    now = plant.clock.now()
    with plant.database.reading() as session:
        due = session.scalars(
            select(ArrearsRecord.account_id)
            .where(or_(ArrearsRecord.next_at <= now, ArrearsRecord.stage_at > now + LATE))
            .order_by(ArrearsRecord.account_id)
        ).all()
    for account_id in due:
        try:
            with plant.database.transaction(of=account_id) as session:
                follow_account(session, account_id, now, plant.tariff.rules)
        except Fault as failure:
            log_failure(
                _LOGGER, "the standing of an account could not follow", failure, account_id=account_id
            )


def follow_account(
    session: Session, account_id: AccountId, now: datetime, rules: RuleBook, *, by: str = SERVICE
) -> AccountStanding:
    """Bring the standing of an account up to date, in a transaction that writes for it; answers what it is."""
    account = session.get_one(AccountRecord, account_id)
    unpaid = list_unpaid(read_entries(session, account_id))
    before = read_stage(session, account)
    after = follow_course(before, find_first_due(unpaid), now, rules)
    for standing in list_steps(before.standing, after.standing):
        account.move_to(standing)
        event = AccountEvent(
            kind=AccountEventKind.STANDING,
            subject=standing.value,
            by=by if standing is AccountStanding.NORMAL else SERVICE,
            reason=_tell(standing, unpaid, now),
        )
        note_event(session, account_id, event, now)
        facts = {"account_id": account_id, "standing": standing.value, "reason": event.reason}
        log(_LOGGER, logging.WARNING, "the standing of an account changed", **facts)
    _write(session, account_id, after)
    return after.standing


def read_entries(session: Session, account_id: AccountId) -> Sequence[Entry]:
    """The ledger of an account, in the order in which it was written."""
    rows = session.scalars(
        select(EntryRecord)
        .where(EntryRecord.account_id == account_id)
        .order_by(EntryRecord.recorded_at, EntryRecord.id)
    )
    return [
        Entry(
            currency=row.currency,
            amount=row.amount,
            bill_id=row.reference if row.kind is EntryKind.CHARGE else None,
            due_at=row.due_at,
        )
        for row in rows
    ]


def read_stage(session: Session, account: AccountRecord) -> Stage:
    """Where an account stood when that was last looked at."""
    row = session.get(ArrearsRecord, account.id)
    return Stage(
        standing=account.standing,
        overdue_at=None if row is None else row.overdue_at,
        stage_at=account.created_at if row is None else row.stage_at,
        next_at=None if row is None else row.next_at,
    )


def _write(session: Session, account_id: AccountId, stage: Stage) -> None:
    session.merge(
        ArrearsRecord(
            account_id=account_id,
            overdue_at=stage.overdue_at,
            stage_at=stage.stage_at,
            next_at=stage.next_at,
        )
    )
    session.flush()


def _tell(standing: AccountStanding, unpaid: Sequence[Unpaid], now: datetime) -> str:
    if standing is AccountStanding.NORMAL:
        return "everything that is due is paid"
    due = [each for each in unpaid if each.due_at is not None and each.due_at <= now]
    return "not paid: " + ", ".join(f"{each.amount:f} {each.currency} of bill {each.bill_id}" for each in due)
