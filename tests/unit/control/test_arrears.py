"""Arrears on a real installation, day by day: what goes, what stays, and that nothing goes that was not foreseen."""

import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lamina.control.arrears.carry_out import carry_out_arrears
from lamina.control.billing.close import close_months
from lamina.control.paging import Slice
from lamina.control.payments.follow import follow_payments
from lamina.control.policies.apply import apply_policy
from lamina.control.policies.create import NewPolicy, create_policy
from lamina.control.policies.queries import PolicyFilter, list_policies
from lamina.control.policies.schedule import Timetable
from lamina.control.reconcilers import sweep_repositories
from lamina.control.snapshots.lock import NewLock, lock_snapshot
from lamina.units import KIB
from tests.factories.images import make_image, make_system_snapshot, remove_image
from tests.factories.payments import (
    forecast_for,
    history_of,
    let_happen,
    list_present,
    look_at,
    open_paid_site,
    pass_time,
    pay,
    pay_everything,
    standing_of,
)
from tests.factories.tasks import Killed

BLOCK = 64 * KIB
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CLOSED = datetime(2026, 2, 1, 6, tzinfo=UTC)  # when January's bill is made in these tests
OVERDUE, SUSPENDED, PURGE = CLOSED + DAY, CLOSED + 2 * DAY, CLOSED + 16 * DAY
DAILY = Timetable.of([8], range(1, 8))


@pytest.fixture
def site(tmp_path):
    with open_paid_site(tmp_path) as site:
        yield site


def make_policy(site, *disk_ids, retention_days=None):
    with site.scope() as scope:
        policy_id = create_policy(scope, NewPolicy(timetable=DAILY, retention_days=retention_days)).id
        apply_policy(scope, policy_id, disk_ids)
    return policy_id


def lock(site, snapshot_id, days):
    with site.scope() as scope:
        lock_snapshot(scope, NewLock(snapshot_id=snapshot_id, duration_days=days, cool_off_hours=0))


def bill(site):
    """January is over, and its bill is made."""
    site.clock.instant = CLOSED
    let_happen(site)
    assert look_at(site).balances[0].amount < 0


def count_stored(site):
    """Bytes of the account's data in the store."""
    folder = site.installation.directory / "store"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Estate:
    """Everything that an account may have, each with bytes of its own."""

    def __init__(self, site):
        self.contents = {}
        self.disk_id = site.make_imported(b"")
        self.plain = self._take(site)
        self.expiring = self._take(site, retention_days=40)  # 10 February
        self.later = self._take(site, retention_days=300)
        self.of_disk = self._take(site)
        self.locked = self._take(site)
        self.locked_shortly = self._take(site)
        lock(site, self.locked, 400)
        lock(site, self.locked_shortly, 49)  # 19 February
        self.copy = site.make_disk(size_gib=20, snapshot_id=self.of_disk)
        self.of_image = make_system_snapshot(site, b"system")
        self.image = make_image(site, snapshot_id=self.of_image)

    def _take(self, site, **options):
        content = os.urandom(2 * BLOCK)
        site.write(self.disk_id, 0, content)
        snapshot_id = site.make_snapshot(self.disk_id, **options)
        self.contents[snapshot_id] = content
        return snapshot_id


def test_day_by_day(site):
    estate = Estate(site)
    bill(site)
    policy_id = make_policy(site, estate.disk_id)
    assert standing_of(site) == "normal"
    pass_time(site, SUSPENDED)
    before = list_present(site)
    automatic = before - {*estate.contents, estate.of_image, policy_id}
    assert len(automatic) == 2, "one each day until the suspension"
    plan = {each.id: each.goes_at for each in forecast_for(site)}
    assert plan == {
        estate.expiring: datetime(2026, 2, 10, 12, tzinfo=UTC),
        **dict.fromkeys([estate.plain, estate.later, policy_id, *automatic], PURGE),
        estate.locked_shortly: datetime(2026, 2, 19, 12, tzinfo=UTC),
        estate.locked: datetime(2027, 2, 5, 12, tzinfo=UTC),
        estate.of_disk: None,
        estate.of_image: None,
    }
    gone = {}

    def watch():
        for each in before - list_present(site) - gone.keys():
            gone[each] = site.clock.now()

    stored = count_stored(site)
    pass_time(site, PURGE + 10 * DAY, watch=watch)
    assert gone == {each: at for each, at in plan.items() if at is not None and at <= PURGE + 10 * DAY}
    assert standing_of(site) == "purging"
    told = {subject: at for kind, subject, at in history_of(site) if kind != "standing"}
    assert told == gone, "and the account can see it"

    sweep_repositories(site.installation)
    assert sorted(site.list_stored()) == sorted([estate.of_disk, estate.of_image, estate.locked])
    assert count_stored(site) < stored - 6 * BLOCK
    pay_everything(site)
    assert standing_of(site) == "normal"
    for kept in (estate.of_disk, estate.locked):
        copy = site.make_disk(size_gib=20, snapshot_id=kept)
        assert site.read(copy, 0, 2 * BLOCK) == estate.contents[kept]
    assert site.make_snapshot(estate.disk_id) in site.list_stored()


def test_the_standing_changes_on_the_second_and_is_written_down(site):
    site.make_snapshot(site.make_imported(os.urandom(BLOCK)))
    bill(site)
    pass_time(site, PURGE)
    assert [(subject, at) for kind, subject, at in history_of(site) if kind == "standing"] == [
        ("overdue", OVERDUE),
        ("suspended", SUSPENDED),
        ("purging", PURGE),
    ]
    pay(site, "0.01")
    assert standing_of(site) == "purging", "a part is not everything"
    pay_everything(site)
    assert history_of(site)[-1][:2] == ("standing", "normal")
    assert forecast_for(site) == ()


def test_paying_before_the_purge_keeps_everything(site):
    disk_id = site.make_imported(os.urandom(BLOCK))
    snapshot_id = site.make_snapshot(disk_id)
    bill(site)
    policy_id = make_policy(site, disk_id)
    pass_time(site, PURGE - HOUR)
    with site.scope() as scope:
        [view] = list_policies(scope, PolicyFilter(), Slice(limit=10)).items
        assert view.status.value == "Expire"
    pay_everything(site)
    present = list_present(site)
    pass_time(site, PURGE + 5 * DAY)
    assert list_present(site) > present >= {snapshot_id, policy_id}, "and its policy takes snapshots again"
    assert [kind for kind, _, _ in history_of(site)] == ["standing"] * 3


def test_what_is_released_during_the_purge_goes_then(site):
    snapshot_id = make_system_snapshot(site, os.urandom(BLOCK))
    image_id = make_image(site, snapshot_id=snapshot_id)
    bill(site)
    pass_time(site, PURGE + DAY)
    assert list_present(site) == {snapshot_id}
    remove_image(site, image_id)
    let_happen(site)
    assert list_present(site) == set()


def test_nothing_to_pay_is_never_overdue(tmp_path):
    with open_paid_site(tmp_path, price="0") as site:
        snapshot_id = site.make_snapshot(site.make_imported(os.urandom(BLOCK)))
        site.clock.instant = CLOSED
        pass_time(site, PURGE + 5 * DAY)
        assert (standing_of(site), list_present(site)) == ("normal", {snapshot_id})
        assert forecast_for(site) == ()


def test_where_nobody_collects_nothing_is_ever_due(tmp_path):
    with open_paid_site(tmp_path) as paid:
        plant = paid.installation
        free = replace(plant, preferences=replace(plant.preferences, collect_payments=False))
        site = replace(paid, installation=free)
        snapshot_id = site.make_snapshot(site.make_imported(os.urandom(BLOCK)))
        bill(site)
        pass_time(site, PURGE + 5 * DAY)
        assert (standing_of(site), list_present(site)) == ("normal", {snapshot_id})
        assert look_at(site).balances[0].amount < 0, "what it would come to can be seen"


def test_a_bill_is_charged_once_whoever_closes_it(site):
    site.make_snapshot(site.make_imported(os.urandom(BLOCK)))
    site.clock.instant = CLOSED
    closers = [threading.Thread(target=close_months, args=(site.installation,)) for _ in range(2)]
    for each in closers:
        each.start()
    for each in closers:
        each.join()
    close_months(site.installation)
    [balance] = look_at(site).balances
    assert balance.amount < 0
    assert balance.next_due_at == OVERDUE
    pay_everything(site)
    assert look_at(site).balances[0].amount == 0


def test_others_are_left_alone(site):
    other = site.as_another_account()
    mine = site.make_snapshot(site.make_imported(os.urandom(BLOCK)))
    theirs = other.make_snapshot(other.make_imported(os.urandom(BLOCK)))
    bill(site)
    pay_everything(other)
    pass_time(site, PURGE)
    assert (standing_of(site), standing_of(other)) == ("purging", "normal")
    assert (list_present(site), list_present(other)) == (set(), {theirs})
    assert mine in [subject for _, subject, _ in history_of(site)]
    assert history_of(other) == []


def test_a_clock_that_is_set_back_deletes_nothing_earlier_and_nothing_twice(site):
    disk_id = site.make_imported(os.urandom(BLOCK))
    first = site.make_snapshot(disk_id)
    bill(site)
    pass_time(site, SUSPENDED + DAY)
    site.clock.advance(-DAY / 2)
    pass_time(site, SUSPENDED + 13 * DAY)
    assert list_present(site) == {first}
    pass_time(site, PURGE)
    assert list_present(site) == set()
    site.clock.advance(-2 * DAY)
    pass_time(site, PURGE + DAY)
    told = [subject for kind, subject, _ in history_of(site) if kind == "snapshot-deleted"]
    assert told == [first]


class DyingDatabase:
    """The real database of a process that is killed within its n-th transaction, or right behind it."""

    def __init__(self, database, lives, *, is_behind):
        self._database = database
        self._lives = lives
        self._is_behind = is_behind

    def reading(self):
        return self._database.reading()

    @contextmanager
    def transaction(self, **options):
        self._lives -= 1
        with self._database.transaction(**options) as session:
            yield session
            if self._lives == 0 and not self._is_behind:
                raise Killed
        if self._lives == 0:
            raise Killed


@pytest.mark.parametrize("is_behind", [False, True])
def test_a_kill_at_any_transaction_repeats_and_loses_nothing(site, is_behind):
    disk_id = site.make_imported(os.urandom(BLOCK))
    for _ in range(5):
        site.make_snapshot(disk_id)
    bill(site)
    make_policy(site, disk_id)
    pass_time(site, PURGE - HOUR)
    expected = {each.id for each in forecast_for(site)}
    site.clock.instant = PURGE
    for lives in range(1, 6):
        plant = replace(
            site.installation,
            database=DyingDatabase(site.installation.database, lives, is_behind=is_behind),
        )
        with suppress(Killed):
            follow_payments(plant)
            carry_out_arrears(plant, batch=2)
    let_happen(site)
    told = [subject for kind, subject, _ in history_of(site) if kind != "standing"]
    assert sorted(told) == sorted(expected)
    assert list_present(site) == set()
    assert site.list_stored() == []


def test_two_reconcilers_at_once_delete_everything_once(site):
    disk_id = site.make_imported(os.urandom(BLOCK))
    for _ in range(6):
        site.make_snapshot(disk_id)
    bill(site)
    pass_time(site, PURGE - HOUR)
    expected = {each.id for each in forecast_for(site)}
    site.clock.instant = PURGE

    def run():
        follow_payments(site.installation)
        carry_out_arrears(site.installation)

    workers = [threading.Thread(target=run) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    let_happen(site)
    told = [subject for kind, subject, _ in history_of(site) if kind != "standing"]
    assert sorted(told) == sorted(expected)
