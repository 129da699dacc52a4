"""Which bills are paid: payments settle the oldest ones first. Pure arithmetic."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What of an entry of the ledger decides which bills are paid; see `records.EntryRecord`.

    Attributes:
        bill_id: of a charge; None for payments and corrections.
    """

    currency: str
    amount: Decimal
    bill_id: str | None
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaid:
    """A bill that is not paid, or not all of it.

    Attributes:
        amount: what is missing; more than zero.
        due_at: until when it is to be paid; None if nobody collects it.
    """

    bill_id: str
    currency: str
    amount: Decimal
    due_at: datetime | None


def add_up_balances(entries: Iterable[Entry]) -> Mapping[str, Decimal]:
    """The balance in each currency; negative is what is owed."""
    balances: dict[str, Decimal] = {}
    for entry in entries:
        balances[entry.currency] = balances.get(entry.currency, ZERO) + entry.amount
    return balances


def list_unpaid(entries: Iterable[Entry]) -> tuple[Unpaid, ...]:
    """The bills that are not paid, oldest first.

    Args:
        entries: of one account, in the order in which they were made.
    """
    kept = list(entries)
    credit = add_up_balances(entry for entry in kept if entry.bill_id is None)
    left = dict(credit)
    unpaid: list[Unpaid] = []
    for entry in kept:
        if entry.bill_id is None or entry.amount >= ZERO:
            continue  # nothing is owed for a bill of zero
        charged, rest = -entry.amount, max(left.get(entry.currency, ZERO), ZERO)
        left[entry.currency] = max(rest - charged, ZERO)
        if rest < charged:
            missing = charged - rest
            unpaid.append(
                Unpaid(bill_id=entry.bill_id, currency=entry.currency, amount=missing, due_at=entry.due_at)
            )
    return tuple(unpaid)


def find_first_due(unpaid: Iterable[Unpaid]) -> datetime | None:
    """Until when something must be paid for payments not to become overdue; None if nothing must."""
    return min((each.due_at for each in unpaid if each.due_at is not None), default=None)
