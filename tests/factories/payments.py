"""Sites that collect payments: tiny disks cost real money there, and time passes as `lamina clock advance` moves it."""

from contextlib import contextmanager
from decimal import Decimal

from sqlalchemy import select

from lamina.control.accounts.records import AccountEventRecord, AccountRecord
from lamina.control.advance import find_next
from lamina.control.arrears.facts import forecast
from lamina.control.payments.post import NewEntry, enter
from lamina.control.payments.queries import get_position
from lamina.control.payments.records import EntryKind
from lamina.control.policies.records import PolicyRecord
from lamina.control.reconcilers import run_timely
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.control.tariff.prices import COLUMNS as PRICE_COLUMNS
from lamina.control.tariff.rules import COLUMNS as RULE_COLUMNS
from tests.factories.installation import Site, open_site

PRICES = f"""{",".join(PRICE_COLUMNS)}
default,1970-01-01,USD,{{price}},,test,2026-01-01
"""
RULES = f"""{",".join(RULE_COLUMNS)}
1970-01-01,720,1,0,2,{{due_days}},24,15,test,2026-01-01
"""


def write_terms(data_dir, *, price="100000", due_days=1):
    """The preferences of an installation in a folder: payments are collected, at these terms."""
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "prices.csv").write_text(PRICES.format(price=price))
    (data_dir / "rules.csv").write_text(RULES.format(due_days=due_days))
    (data_dir / "lamina.toml").write_text(
        'collect_payments = true\nprices = "prices.csv"\nbilling_rules = "rules.csv"\n'
    )


@contextmanager
def open_paid_site(folder, **terms):
    """A site as `open_site` makes it, where accounts have to pay a day after each bill."""
    write_terms(folder / "data", **terms)
    with open_site(folder) as site:
        yield site


def let_happen(site: Site) -> None:
    """What is due now, to its end."""
    while True:
        run_timely(site.installation)
        if not site.work():
            return


def pass_time(site: Site, until, *, watch=lambda: None) -> None:
    """Let time pass, from one instant at which something is due to the next; `watch` looks at each of them."""
    while True:
        let_happen(site)
        watch()
        now = site.clock.now()
        if now >= until:
            return
        with site.installation.database.reading() as session:
            site.clock.instant = min(find_next(session, now, site.installation.limits), until)


def pay(site: Site, amount, reference=None):
    """What the operator enters."""
    new = NewEntry(kind=EntryKind.PAYMENT, currency="USD", amount=Decimal(amount), reference=reference)
    with site.scope() as scope:
        enter(scope.session, site.account_id, new, site.clock.now(), site.installation.tariff.rules)


def pay_everything(site: Site) -> None:
    [balance] = look_at(site).balances
    pay(site, -balance.amount)


def look_at(site: Site):
    """Where the account stands."""
    with site.installation.database.reading() as session:
        return get_position(session, site.account_id, site.clock.now(), site.installation.tariff.rules)


def standing_of(site: Site) -> str:
    with site.installation.database.reading() as session:
        return session.get(AccountRecord, site.account_id).standing.value


def forecast_for(site: Site):
    with site.installation.database.reading() as session:
        return forecast(session, site.account_id, site.clock.now(), site.installation.tariff.rules)


def history_of(site: Site):
    """Kind, subject and instant of each event, oldest first."""
    with site.installation.database.reading() as session:
        rows = session.scalars(
            select(AccountEventRecord)
            .where(AccountEventRecord.account_id == site.account_id)
            .order_by(AccountEventRecord.number)
        )
        return [(row.kind.value, row.subject, row.at) for row in rows]


def list_present(site: Site) -> set[str]:
    """The snapshots and policies that the account has."""
    with site.installation.database.reading() as session:
        snapshots = select(SnapshotRecord.id).where(
            SnapshotRecord.account_id == site.account_id, SnapshotRecord.state != SnapshotState.DELETING
        )
        policies = select(PolicyRecord.id).where(PolicyRecord.account_id == site.account_id)
        return {*session.scalars(snapshots), *session.scalars(policies)}
