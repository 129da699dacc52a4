"""The tables of payments: the ledger, which only grows, and where each account stands in the course of arrears."""

from datetime import datetime
from decimal import Decimal
from enum import Enum

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.exact import Exact
from lamina.database import Record, one_of
from lamina.ids import AccountId


class EntryKind(Enum):
    """What an entry of the ledger is about."""

    CHARGE = "charge"  # a bill; its amount is negative or zero
    PAYMENT = "payment"  # its amount is positive
    CORRECTION = "correction"  # a credit, or with a negative amount what was entered too much


class EntryRecord(Record):
    """One entry of an account's ledger. It is never changed.

    Attributes:
        id: the account and the number, so that it sorts.
        number: counts the entries of the account, from 1 on.
        currency: of its amounts.
        amount: what it adds to the balance.
        balance: the sum of all amounts in this currency so far; negative is what the account owes.
        reference: what it is about: the id of a bill, or the operator's own word for a payment. It names one entry of
            its kind.
        note: why, in the operator's words.
        due_at: until when a charge is to be paid; None for one that nobody collects, and for other kinds.
        recorded_at: when; never before that of the entry before it.
    """

    __tablename__ = "ledger"
    __table_args__ = (
        Index("ix_ledger_account", "account_id", "recorded_at", "id"),
        Index("ix_ledger_reference", "account_id", "kind", "reference", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    number: Mapped[int]
    kind: Mapped[EntryKind] = mapped_column(one_of(EntryKind))
    currency: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Exact())
    balance: Mapped[Decimal] = mapped_column(Exact())
    reference: Mapped[str | None]
    note: Mapped[str | None]
    due_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime]


class ArrearsRecord(Record):
    """Where an account stands in the course of arrears; made with its first charge.

    Attributes:
        overdue_at: when the service found payments overdue; None while none are.
        stage_at: when the present standing began, as the next one counts.
        next_at: when the standing changes next if nothing is paid; None if it does not.
    """

    __tablename__ = "arrears"
    __table_args__ = (
        Index("ix_arrears_next_at", "next_at"),
        Index("ix_arrears_stage_at", "stage_at"),
    )

    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id), primary_key=True)
    overdue_at: Mapped[datetime | None]
    stage_at: Mapped[datetime]
    next_at: Mapped[datetime | None]
