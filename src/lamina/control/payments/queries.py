"""Looking at the ledger, and at what an account owes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.accounts.records import AccountEventRecord, AccountRecord
from lamina.control.accounts.states import AccountStanding
from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.payments.course import Course, foresee
from lamina.control.payments.follow import read_entries, read_stage
from lamina.control.payments.records import EntryRecord
from lamina.control.payments.settle import ZERO, Unpaid, add_up_balances, find_first_due, list_unpaid
from lamina.control.scope import Scope
from lamina.control.tariff.rules import RuleBook
from lamina.ids import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account has or owes in one currency.

    Attributes:
        amount: negative is what it owes.
        due: what of that is due, and not paid.
        next_due_at: until when the next bill is to be paid that is not due yet; None if there is none.
    """

    currency: str
    amount: Decimal
    due: Decimal
    next_due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where an account stands.

    Attributes:
        standing: its standing.
        overdue_at: since when payments are overdue; None while none are.
        balances: by currency; empty before the first bill.
        course: what happens if nothing is paid; None if nothing does.
    """

    standing: AccountStanding
    overdue_at: datetime | None
    balances: tuple[Balance, ...]
    course: Course | None


def get_position(session: Session, account_id: AccountId, now: datetime, rules: RuleBook) -> Position:
    """Where an account that is there stands."""
    entries = read_entries(session, account_id)
    unpaid = list_unpaid(entries)
    stage = read_stage(session, session.get_one(AccountRecord, account_id))
    return Position(
        standing=stage.standing,
        overdue_at=stage.overdue_at,
        balances=_weigh(add_up_balances(entries), unpaid, now),
        course=foresee(stage, find_first_due(unpaid), now, rules),
    )


def list_entries(scope: Scope, part: Slice) -> Page[EntryRecord]:
    """The ledger of the account, latest entry first."""
    query = select(EntryRecord).where(EntryRecord.account_id == scope.account_id)
    order = AgeOrder(created_at=EntryRecord.recorded_at, id=EntryRecord.id)
    entries, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=tuple(entries),
        total_count=total,
        next_key=PageKey(created_at=entries[-1].recorded_at, id=entries[-1].id) if has_more else None,
    )


def list_events(scope: Scope, part: Slice) -> Page[AccountEventRecord]:
    """What happened to the account, latest first."""
    query = select(AccountEventRecord).where(AccountEventRecord.account_id == scope.account_id)
    order = AgeOrder(created_at=AccountEventRecord.at, id=AccountEventRecord.id)
    events, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=tuple(events),
        total_count=total,
        next_key=PageKey(created_at=events[-1].at, id=events[-1].id) if has_more else None,
    )


def _weigh(balances: Mapping[str, Decimal], unpaid: tuple[Unpaid, ...], now: datetime) -> tuple[Balance, ...]:
    found = []
    for currency, amount in sorted(balances.items()):
        own = [each for each in unpaid if each.currency == currency]
        due = sum((each.amount for each in own if each.due_at is not None and each.due_at <= now), ZERO)
        later = [each.due_at for each in own if each.due_at is not None and each.due_at > now]
        found.append(Balance(currency=currency, amount=amount, due=due, next_due_at=min(later, default=None)))
    return tuple(found)
