"""What balances, ledgers, standings and plans look like in answers. Amounts are texts: JSON's numbers are not exact."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from lamina.control.accounts.records import AccountEventRecord
from lamina.control.arrears.plan import Departure
from lamina.control.payments.queries import Balance
from lamina.control.payments.records import EntryRecord
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceShape:
    """What the account has or owes in one currency.

    Attributes:
        amount: negative is what the account owes.
        due_amount: what of that is due, and not paid.
        next_due_time: until when the next bill is to be paid that is not due yet.
    """

    currency: str
    amount: str
    due_amount: str
    next_due_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryShape:
    """One entry of the ledger.

    Attributes:
        kind: charge, payment or correction.
        amount: what it adds to the balance; that of a charge is negative.
        balance: in this currency, behind the entry.
        reference: the month's bill of a charge, or the operator's word for a payment.
        due_time: until when a charge is to be paid; absent if nobody collects it.
    """

    number: int
    kind: str
    time: datetime
    currency: str
    amount: str
    balance: str
    reference: str | None
    note: str | None
    due_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEventShape:
    """Something that was done to the account.

    Attributes:
        kind: standing, snapshot-deleted or policy-deleted.
        subject: the new standing, or the id of what was deleted.
        by: service or operator.
    """

    number: int
    time: datetime
    kind: str
    subject: str
    region_id: RegionId | None
    name: str | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartureShape:
    """What becomes of a snapshot or a policy if nothing is paid.

    Attributes:
        resource_type: snapshot or snapshotpolicy.
        goes_time: when it is deleted; absent if it stays.
        cause: RETENTION or PURGE for what goes, USED or LOCKED for what stays.
    """

    resource_type: str
    resource_id: str
    region_id: RegionId
    name: str | None
    goes_time: datetime | None
    cause: str
    reason: str


def show_balance(balance: Balance) -> BalanceShape:
    """As answers have it."""
    return BalanceShape(
        currency=balance.currency,
        amount=_show(balance.amount),
        due_amount=_show(balance.due),
        next_due_time=balance.next_due_at,
    )


def show_entry(entry: EntryRecord) -> EntryShape:
    """A row as answers have it."""
    return EntryShape(
        number=entry.number,
        kind=entry.kind.value,
        time=entry.recorded_at,
        currency=entry.currency,
        amount=_show(entry.amount),
        balance=_show(entry.balance),
        reference=entry.reference,
        note=entry.note,
        due_time=entry.due_at,
    )


def show_event(event: AccountEventRecord) -> AccountEventShape:
    """A row as answers have it."""
    return AccountEventShape(
        number=event.number,
        time=event.at,
        kind=event.kind.value,
        subject=event.subject,
        region_id=event.region_id,
        name=event.name,
        by=event.by,
        reason=event.reason,
    )


def show_departure(departure: Departure) -> DepartureShape:
    """A line of the plan as answers have it."""
    return DepartureShape(
        resource_type="snapshot" if departure.snapshot_id is not None else "snapshotpolicy",
        resource_id=departure.id,
        region_id=departure.region_id,
        name=departure.name,
        goes_time=departure.goes_at,
        cause=departure.cause.name,
        reason=departure.detail,
    )


def _show(number: Decimal) -> str:
    return f"{number:f}"
