"""The ledger: what is entered, what it comes to, and which bills are paid."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from lamina.clock import SystemClock
from lamina.control.accounts.errors import AccountNotFoundError
from lamina.control.accounts.states import AccountStanding
from lamina.control.paging import Slice
from lamina.control.payments.course import LATE, Stage, follow_course, foresee, list_steps
from lamina.control.payments.errors import AmountError, CurrencyError, ReferenceUsedError
from lamina.control.payments.post import NewCharge, NewEntry, charge_bill, enter, read_amount
from lamina.control.payments.queries import get_position, list_entries
from lamina.control.payments.records import EntryKind, EntryRecord
from lamina.control.payments.settle import Entry, add_up_balances, find_first_due, list_unpaid
from lamina.control.tariff.rules import read_rules
from lamina.processes.payment_commands import _open_till

RULES = read_rules()
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
NORMAL, OVERDUE, SUSPENDED, PURGING = AccountStanding


def charge(site, total, bill="b-1", *, currency="USD", is_collected=True):
    new = NewCharge(bill_id=bill, currency=currency, total=Decimal(total), is_collected=is_collected)
    with site.scope() as scope:
        return charge_bill(scope.session, site.account_id, new, site.clock.now(), RULES)


def pay(site, amount, reference=None, *, kind=EntryKind.PAYMENT, currency="USD"):
    new = NewEntry(kind=kind, currency=currency, amount=Decimal(amount), reference=reference)
    with site.scope() as scope:
        return enter(scope.session, site.account_id, new, site.clock.now(), RULES)


def ledger(site):
    with site.scope() as scope:
        return [
            (each.kind.value, each.amount, each.balance)
            for each in reversed(list_entries(scope, Slice(limit=99)).items)
        ]


def balances(site):
    with site.scope() as scope:
        return get_position(scope.session, site.account_id, site.clock.now(), RULES).balances


def owed(*amounts, paid=0, currency="USD"):
    """Charges that are due a day after one another, and a payment."""
    charges = [
        Entry(currency=currency, amount=-Decimal(each), bill_id=str(at), due_at=NOW + at * DAY)
        for at, each in enumerate(amounts, 1)
    ]
    return [*charges, Entry(currency=currency, amount=Decimal(paid), bill_id=None, due_at=None)]


@pytest.mark.parametrize(
    ("paid", "left"),
    [
        (0, [("1", 10), ("2", 5), ("4", 1)]),
        ("9.99", [("1", Decimal("0.01")), ("2", 5), ("4", 1)]),
        (10, [("2", 5), ("4", 1)]),
        (12, [("2", 3), ("4", 1)]),
        (16, []),
        (99, []),
        (-3, [("1", 10), ("2", 5), ("4", 1)]),
    ],
)
def test_payments_settle_the_oldest_bills_first(paid, left):
    unpaid = list_unpaid(owed(10, 5, 0, 1, paid=paid))
    assert [(each.bill_id, each.amount) for each in unpaid] == left
    assert find_first_due(unpaid) == (NOW + int(left[0][0]) * DAY if left else None)


def test_money_of_one_currency_pays_no_bill_of_another():
    entries = [*owed(10), *owed(7, paid=20, currency="EUR")]
    assert [(each.currency, each.amount) for each in list_unpaid(entries)] == [("USD", 10)]
    assert add_up_balances(entries) == {"USD": -10, "EUR": 13}


def test_every_entry_has_the_balance_behind_it(site):
    charge(site, "12.30")
    pay(site, "10.00", "r-1")
    charge(site, "0.70", "b-2")
    pay(site, "5", "r-2")
    pay(site, "-1", kind=EntryKind.CORRECTION)
    assert ledger(site) == [
        ("charge", Decimal("-12.30"), Decimal("-12.30")),
        ("payment", Decimal("10.00"), Decimal("-2.30")),
        ("charge", Decimal("-0.70"), Decimal("-3.00")),
        ("payment", Decimal(5), Decimal("2.00")),
        ("correction", Decimal(-1), Decimal("1.00")),
    ]
    [balance] = balances(site)
    assert (balance.currency, balance.amount, balance.due, balance.next_due_at) == ("USD", 1, 0, None)


def test_the_same_reference_is_entered_once(site):
    first = pay(site, "10", "transfer 7")
    assert pay(site, "10.00", "transfer 7").id == first.id
    with pytest.raises(ReferenceUsedError, match="was used for 10 USD"):
        pay(site, "11", "transfer 7")
    with pytest.raises(ReferenceUsedError):
        pay(site, "10", "transfer 7", currency="EUR")
    assert charge(site, "1", "transfer 7").id == charge(site, "1", "transfer 7").id, "of another kind"
    assert len(ledger(site)) == 2
    pay(site, "10")
    pay(site, "10")
    assert len(ledger(site)) == 4, "without a reference nobody can tell"


def test_due_dates_are_rule_data_and_only_for_what_is_collected(site):
    assert charge(site, "1").due_at == site.clock.now() + 14 * DAY
    assert charge(site, "1", "b-2", is_collected=False).due_at is None
    assert charge(site, "0.00", "b-3").due_at is None, "nothing is owed"
    [balance] = balances(site)
    assert (balance.amount, balance.due, balance.next_due_at) == (-2, 0, site.clock.now() + 14 * DAY)
    site.clock.advance(14 * DAY)
    assert (balances(site)[0].due, balances(site)[0].next_due_at) == (1, None)


def test_what_cannot_be_entered(site):
    for wrong in ("0", "-5"):
        with pytest.raises(AmountError, match="more than zero"):
            pay(site, wrong)
    with pytest.raises(AmountError):
        pay(site, "0", kind=EntryKind.CORRECTION)
    for wrong in ("usd", "US$", "", "USD ", "EURO"):
        with pytest.raises(CurrencyError, match="three capital letters"):
            pay(site, "5", currency=wrong)
    with pytest.raises(AccountNotFoundError):
        pay(replace(site, account_id="1"), "5")
    assert ledger(site) == []


@pytest.mark.parametrize(
    "text", ["", "x", "1e3", "NaN", "Infinity", "1,5", "+5", "--5", "1.2.3", "٣", "1" * 19]
)
def test_what_is_no_amount(text):
    with pytest.raises(AmountError):
        read_amount(text)


def test_amounts_are_read_exactly():
    assert read_amount("12.30").as_tuple() == Decimal("12.30").as_tuple()
    assert read_amount("-0.000000000001") == Decimal("-0.000000000001")


def test_a_clock_that_is_set_back_keeps_the_order(site):
    charge(site, "1")
    site.clock.advance(-5 * DAY)
    pay(site, "1")
    assert [kind for kind, _, _ in ledger(site)] == ["charge", "payment"]
    with site.scope() as scope:
        rows = scope.session.scalars(select(EntryRecord).order_by(EntryRecord.id)).all()
        assert [row.number for row in rows] == [1, 2]
        assert rows[0].recorded_at == rows[1].recorded_at


def test_accounts_have_ledgers_of_their_own(site):
    other = site.as_another_account()
    charge(site, "1")
    charge(other, "2")
    pay(other, "2", "r-1")
    pay(site, "3", "r-1")
    assert [balance for _, _, balance in ledger(site)] == [-1, 2]
    assert [balance for _, _, balance in ledger(other)] == [-2, 0]


def test_the_operators_commands_go_by_the_clock_of_a_shared_database(site, monkeypatch, database_kind):
    real = SystemClock().now()
    monkeypatch.setattr(SystemClock, "now", lambda _: real + 16 * DAY)
    with _open_till(site.installation.directory) as till:
        is_ahead = till.clock.now() > real + 15 * DAY
    assert is_ahead == (database_kind == "sqlite"), "a wrong host must not make anybody overdue"


# The course of arrears, without an installation.


def stage(standing=NORMAL, overdue_at=None, stage_at=NOW, next_at=None):
    return Stage(standing=standing, overdue_at=overdue_at, stage_at=stage_at, next_at=next_at)


def walk(first_due, instants, begin=None):
    """The standings at these instants."""
    current, seen = begin or stage(), []
    for now in instants:
        current = follow_course(current, first_due, now, RULES)
        seen.append(current.standing)
    return seen


def test_the_stages_begin_on_the_second():
    due = NOW + 3 * DAY
    tick = timedelta(microseconds=1)
    purge = due + 15 * DAY
    instants = [due - tick, due, due + DAY - tick, due + DAY, purge - tick, purge, purge + 99 * DAY]
    assert walk(due, instants) == [NORMAL, OVERDUE, OVERDUE, SUSPENDED, SUSPENDED, PURGING, PURGING]


def test_stages_that_are_noticed_late_by_seconds_do_not_drift():
    due, late = NOW + 3 * DAY, timedelta(seconds=59)
    current = follow_course(stage(), due, due + late, RULES)
    assert (current.overdue_at, current.next_at) == (due, due + DAY)
    current = follow_course(current, due, due + DAY + late, RULES)
    assert (current.standing, current.next_at) == (SUSPENDED, due + 15 * DAY)


def test_weeks_of_rest_are_nobodys_arrears():
    due, woken = NOW + DAY, NOW + 100 * DAY
    assert walk(due, [woken, woken + DAY - HOUR, woken + DAY, woken + 15 * DAY - HOUR, woken + 15 * DAY]) == [
        OVERDUE,
        OVERDUE,
        SUSPENDED,
        SUSPENDED,
        PURGING,
    ]
    in_between = stage(OVERDUE, due, due, due + DAY)
    assert walk(due, [woken, woken + 13 * DAY, woken + 14 * DAY], in_between) == [
        SUSPENDED,
        SUSPENDED,
        PURGING,
    ]


@pytest.mark.parametrize("standing", [OVERDUE, SUSPENDED, PURGING])
def test_paying_restores_at_once_from_every_stage(standing):
    begun = stage(standing, NOW, NOW, NOW + DAY)
    for first_due in (None, NOW + 40 * DAY):
        restored = follow_course(begun, first_due, NOW + HOUR, RULES)
        assert restored == stage(NORMAL, None, NOW + HOUR, first_due)
    assert list(list_steps(standing, NORMAL)) == [NORMAL]


def test_paying_a_part_changes_nothing():
    """The oldest bill is paid and a younger one is due: the account was overdue all the time."""
    begun = stage(SUSPENDED, NOW, NOW + DAY, NOW + 15 * DAY)
    assert follow_course(begun, NOW + 2 * DAY, NOW + 3 * DAY, RULES) == begun
    assert follow_course(begun, NOW + 2 * DAY, NOW + 15 * DAY, RULES).standing is PURGING


def test_a_clock_that_is_set_back_makes_nothing_earlier():
    due = NOW + DAY
    begun = follow_course(stage(), due, due, RULES)
    suspended = follow_course(begun, due, due + DAY, RULES)
    assert follow_course(suspended, due, due + DAY - HOUR / 2, RULES) == suspended, "by less than an hour"
    back = follow_course(suspended, due, due, RULES)
    assert (back.standing, back.next_at) == (SUSPENDED, due + 14 * DAY), "still fourteen days from here"
    assert follow_course(suspended, due, NOW, RULES).standing is NORMAL, "nothing is due yet"


def test_a_clock_that_jumps_far_ahead_does_not_run_through_all_stages():
    due, wrong = NOW + DAY, NOW + 3650 * DAY
    assert walk(due, [wrong]) == [OVERDUE]
    assert walk(due, [wrong, NOW]) == [OVERDUE, NORMAL]


def test_an_account_that_was_suspended_by_hand_has_all_the_time_that_others_have():
    by_hand = stage(SUSPENDED)
    due = NOW + DAY
    assert follow_course(by_hand, None, NOW + DAY, RULES).standing is SUSPENDED
    assert walk(due, [due, due + 15 * DAY - HOUR, due + 15 * DAY], by_hand) == [SUSPENDED, SUSPENDED, PURGING]


def test_what_is_foreseen_is_what_happens():
    due = NOW + 3 * DAY
    course = foresee(stage(next_at=due), due, NOW, RULES)
    assert (course.overdue_at, course.suspended_at, course.purging_at) == (due, due + DAY, due + 15 * DAY)
    current = stage()
    for now in (due, due + 4 * HOUR, due + DAY, due + 9 * DAY, due + 15 * DAY, due + 30 * DAY):
        current = follow_course(current, due, now, RULES)
        assert foresee(current, due, now, RULES) == course
    assert foresee(stage(), None, NOW, RULES) is None


def test_steps_on_the_way():
    assert list(list_steps(NORMAL, PURGING)) == [OVERDUE, SUSPENDED, PURGING]
    assert list(list_steps(OVERDUE, OVERDUE)) == []
    assert LATE == HOUR
