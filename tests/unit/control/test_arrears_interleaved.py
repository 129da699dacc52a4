"""Whatever an account or its operator does between the look at what is due and any of the deletions: it counts."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from lamina.control.accounts.states import AccountStanding
from lamina.control.arrears.carry_out import _carry_out
from lamina.control.payments.follow import follow_payments
from lamina.control.payments.post import NewCharge, charge_bill
from lamina.control.policies.create import NewPolicy, create_policy
from lamina.control.policies.schedule import Timetable
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.expire import expire_snapshots
from lamina.control.snapshots.holds import place_hold, release_holds
from lamina.control.snapshots.lock import NewLock, lock_snapshot
from lamina.control.snapshots.modify import SnapshotChange, modify_snapshot
from lamina.control.snapshots.states import HolderKind
from lamina.units import KIB
from tests.factories.payments import history_of, list_present, open_paid_site, pay, standing_of

BLOCK = 64 * KIB
DAY = timedelta(days=1)
DUE_DAYS = 1  # as in `write_terms`
SUSPENDED, PURGING = AccountStanding.SUSPENDED, AccountStanding.PURGING
AGE = {SUSPENDED: DUE_DAYS + 1, PURGING: DUE_DAYS + 15}  # days from the bill to the stage


class InterruptedDatabase:
    """The real database of a process that, before its n-th transaction, is overtaken by somebody else."""

    def __init__(self, database, place, happen):
        self._database = database
        self._place = place
        self._happen = happen

    def reading(self):
        return self._database.reading()

    @contextmanager
    def transaction(self, **options):
        self._place -= 1
        if self._place == 0:
            self._happen()
        with self._database.transaction(**options) as session:
            yield session


class Debtor:
    """An account that owes something, with two snapshots past their retention, the last of which is the target."""

    def __init__(self, site):
        self.site = site.as_another_account()
        disk_id = self.site.make_imported(b"\1" * BLOCK)
        self.snapshots = sorted(self.site.make_snapshot(disk_id, retention_days=1) for _ in range(2))
        self.target = self.snapshots[-1]
        with self.site.scope() as scope:
            timetable = Timetable.of([8], range(1, 8))
            self.policy_id = create_policy(scope, NewPolicy(timetable=timetable, retention_days=None)).id
            bill = NewCharge(bill_id="b-1", currency="USD", total=Decimal(5), is_collected=True)
            rules = self.site.installation.tariff.rules
            charge_bill(scope.session, self.site.account_id, bill, self.site.clock.now(), rules)

    def carry_out(self, standing, place, happen):
        plant = self.site.installation
        database = InterruptedDatabase(plant.database, place, happen)
        _carry_out(replace(plant, database=database), self.site.account_id, standing, 1)

    def told(self):
        return [subject for kind, subject, _ in history_of(self.site) if kind != "standing"]


def keep_longer(debtor):
    with debtor.site.scope() as scope:
        modify_snapshot(scope, SnapshotChange(snapshot_id=debtor.target, retention_days=900))


def lock(debtor):
    with debtor.site.scope() as scope:
        modify_snapshot(scope, SnapshotChange(snapshot_id=debtor.target, retention_days=900))
        lock_snapshot(scope, NewLock(snapshot_id=debtor.target, duration_days=400, cool_off_hours=0))


def hold(kind):
    def place(debtor):
        with debtor.site.scope() as scope:
            place_hold(scope.session, debtor.target, kind, f"{kind.value}-{debtor.target}")

    return place


def delete(debtor):
    with debtor.site.scope() as scope:
        delete_snapshot(scope, debtor.target)


def pay_it(debtor):
    pay(debtor.site, "5")


KEEPING = {
    SUSPENDED: (keep_longer, lock, hold(HolderKind.IMAGE), hold(HolderKind.DISK), pay_it),
    PURGING: (lock, hold(HolderKind.IMAGE), hold(HolderKind.DISK), pay_it),
}


def make_debtors(site, standing, count):
    debtors = [Debtor(site) for _ in range(count)]
    for days in range(1, AGE[standing] + 1):
        if days in (DUE_DAYS, *AGE.values()):
            site.clock.advance(days * DAY - (site.clock.now() - site.started_at))
            follow_payments(site.installation)
    return debtors


@pytest.fixture
def site(tmp_path):
    with open_paid_site(tmp_path) as site:
        site.started_at = site.clock.now()
        yield site


@pytest.mark.parametrize("standing", [SUSPENDED, PURGING])
def test_what_is_kept_meanwhile_stays_and_the_rest_goes_once(site, standing):
    due = 2 if standing is SUSPENDED else 3  # the policy goes with the purge
    cases = [(happen, place) for happen in KEEPING[standing] for place in (1, 2)]
    debtors = make_debtors(site, standing, len(cases))
    for debtor, (happen, place) in zip(debtors, cases, strict=True):
        assert standing_of(debtor.site) == standing.value
        before = list_present(debtor.site)
        debtor.carry_out(standing, place, lambda: happen(debtor))  # noqa: B023 - it is called here
        gone = before - list_present(debtor.site)
        assert debtor.target not in gone, (happen, place)
        assert sorted(debtor.told()) == sorted(gone)
        assert len(gone) == (place - 1 if happen is pay_it else due - 1), (happen, place)


@pytest.mark.parametrize("standing", [SUSPENDED, PURGING])
def test_what_its_owner_deletes_meanwhile_is_not_told_as_deleted_by_the_service(site, standing):
    debtors = make_debtors(site, standing, 2)
    for place, debtor in enumerate(debtors, 1):
        before = list_present(debtor.site)
        debtor.carry_out(standing, place, lambda: delete(debtor))  # noqa: B023 - it is called here
        assert sorted(debtor.told()) == sorted(before - list_present(debtor.site) - {debtor.target})
        assert debtor.target not in list_present(debtor.site)


@pytest.mark.parametrize("kind", HolderKind)
def test_what_was_held_goes_when_it_is_released_and_is_told_once(site, kind):
    [debtor] = make_debtors(site, PURGING, 1)
    hold(kind)(debtor)
    for _ in range(2):
        debtor.carry_out(PURGING, 0, None)
        assert list_present(debtor.site) == {debtor.target}
    with debtor.site.scope() as scope:
        release_holds(scope.session, kind, f"{kind.value}-{debtor.target}")
    for _ in range(2):
        debtor.carry_out(PURGING, 0, None)
        assert list_present(debtor.site) == set()
    assert sorted(debtor.told()) == sorted([*debtor.snapshots, debtor.policy_id])


def test_what_was_held_when_everything_is_paid_stays_for_good(site):
    [debtor] = make_debtors(site, PURGING, 1)
    hold(HolderKind.IMAGE)(debtor)
    debtor.carry_out(PURGING, 0, None)
    pay_it(debtor)
    with debtor.site.scope() as scope:
        release_holds(scope.session, HolderKind.IMAGE, f"image-{debtor.target}")
    debtor.carry_out(AccountStanding.NORMAL, 0, None)
    assert list_present(debtor.site) == {debtor.target}


@pytest.mark.parametrize("place", [1, 2])
def test_a_retention_that_is_prolonged_meanwhile_has_not_ended(site, place):
    debtor = Debtor(site)
    site.clock.advance(2 * DAY)
    database = InterruptedDatabase(site.installation.database, place, lambda: keep_longer(debtor))
    expire_snapshots(replace(site.installation, database=database))
    assert list_present(debtor.site) == {debtor.target, debtor.policy_id}
