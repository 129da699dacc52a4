"""What happens when the time of a policy has come."""

import os
import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from lamina.control.accounts.standing import set_standing
from lamina.control.accounts.states import AccountStanding
from lamina.control.disks.records import DiskRecord
from lamina.control.policies import forget
from lamina.control.policies.cancel import cancel_policy
from lamina.control.policies.delete import delete_policy
from lamina.control.policies.due import run_due_policies
from lamina.control.policies.forget import forget_runs
from lamina.control.policies.modify import PolicyChanges, modify_policy
from lamina.control.policies.retention import Retention
from lamina.control.policies.schedule import CATCH_UP, KEEP_RUNS, Timetable
from lamina.control.regions.create import NewRegion, create_region
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.control.snapshots.states import SnapshotState
from tests.unit.control.policies.conftest import at

DATA = os.urandom(1 << 16)


@pytest.fixture
def disk_id(site):
    return site.make_imported(DATA)  # the site's clock stands at 12:00 UTC


def test_a_point_makes_a_snapshot_that_holds_the_bytes(site, policies, disk_id):
    policy_id = policies.make(disk_id)
    policies.run()
    assert policies.automatic(disk_id) == []
    policies.advance(minutes=59, seconds=59)
    policies.run()
    assert policies.automatic(disk_id) == []
    policies.advance(seconds=1)
    policies.run()
    [snapshot] = policies.automatic(disk_id)
    assert snapshot.state is SnapshotState.ACCOMPLISHED
    assert snapshot.name == f"auto2.0_20260101_{policy_id}"
    assert snapshot.expires_at == at(13) + timedelta(days=7)
    assert policies.runs() == [(at(13), "finished")]
    assert policies.runs(disk_id) == [(at(13), "started")]
    site.write(disk_id, 0, bytes(len(DATA)))
    site.roll_back(disk_id, snapshot.id)
    assert site.read(disk_id, 0, len(DATA)) == DATA


def test_the_name_says_the_date_of_the_region(policies, disk_id):
    policy_id = policies.make(disk_id)
    policies.pass_hours(4)  # 16:00 UTC is midnight in Shanghai
    assert [each.name for each in policies.automatic(disk_id)] == [
        *[f"auto2.0_20260101_{policy_id}"] * 3,
        f"auto2.0_20260102_{policy_id}",
    ]


def test_hours_and_weekdays_are_those_of_the_region(policies, disk_id):
    policies.make(disk_id, timetable=Timetable.of([1], [5]))  # Friday 01:00 in Shanghai: Thursday 17:00 UTC
    policies.pass_hours(24 * 8)
    assert policies.runs(disk_id) == [(at(17, day=1), "started"), (at(17, day=8), "started")]


def test_looking_often_runs_a_point_once(policies, disk_id):
    policies.make(disk_id)
    policies.advance(hours=1)
    for _ in range(3):
        policies.look()
    policies.run()
    policies.run()
    assert len(policies.automatic(disk_id)) == 1


def test_two_workers_at_once_run_a_point_once(site, policies, disk_id):
    policies.make(disk_id)
    policies.advance(hours=1)
    barrier = threading.Barrier(4)

    def look():
        barrier.wait()
        run_due_policies(site.installation)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.work()
    assert len(policies.automatic(disk_id)) == 1
    assert policies.runs() == [(at(13), "finished")]


def test_a_disk_that_moves_to_another_policy_has_one_snapshot_per_point(policies, disk_id):
    policies.make(disk_id)
    second = policies.make()
    policies.advance(hours=1)
    policies.run()
    policies.apply(second, disk_id)  # at the very instant of the point
    policies.site.clock.advance(timedelta(minutes=1))
    policies.run()
    assert policies.runs(disk_id) == [(at(13), "started")]


def test_e08a_a_point_during_a_running_snapshot_is_skipped_and_recorded(site, policies, disk_id):
    policies.make(disk_id)
    manual = site.start_snapshot(disk_id)
    policies.advance(hours=1)
    policies.look()
    while site.runner.run_next("bulk"):
        pass
    assert policies.runs(disk_id) == [(at(13), "skipped")]
    [reason] = policies.reasons(disk_id)
    assert manual in reason
    site.work()
    policies.pass_hours()
    assert policies.runs(disk_id) == [(at(13), "skipped"), (at(14), "started")]
    assert len(policies.automatic(disk_id)) == 1


def test_b07_no_manual_snapshot_while_an_automatic_one_is_created(site, policies, disk_id):
    policies.make(disk_id)
    policies.advance(hours=1)
    policies.look()
    while site.runner.run_next("bulk"):
        pass
    [automatic] = policies.automatic(disk_id)
    assert automatic.state is SnapshotState.PROGRESSING
    with pytest.raises(SnapshotInProgressError, match=automatic.id):
        site.start_snapshot(disk_id)
    site.work()
    site.make_snapshot(disk_id)


def test_what_was_missed_by_little_runs_once(policies, disk_id):
    policies.make(disk_id, timetable=Timetable.of([22], range(1, 8)))  # 14:00 UTC
    policies.advance(hours=2, minutes=0)
    policies.site.clock.advance(CATCH_UP)
    policies.run()
    assert policies.runs(disk_id) == [(at(14), "started")]


def test_what_was_missed_by_much_is_recorded_and_never_made_up_for_in_a_burst(policies, disk_id):
    policies.make(disk_id)
    policies.advance(days=3, minutes=30)
    policies.run()
    missed = [point for point, outcome in policies.runs() if outcome == "missed"]
    assert missed == [at(12) + timedelta(hours=n) for n in range(1, 72)]
    assert policies.runs(disk_id) == [(at(12, day=4), "started")]
    policies.make(disk_id, timetable=Timetable.of([20], range(1, 8)))
    policies.advance(days=1)
    policies.site.clock.advance(CATCH_UP)
    policies.run()
    assert len(policies.runs(disk_id)) == 1


def test_a_long_absence_is_recorded_for_as_long_as_runs_are_kept(policies, disk_id):
    policies.make(disk_id)
    policies.advance(days=400)
    policies.run()
    assert len(policies.runs()) == KEEP_RUNS / timedelta(hours=1)


def test_points_before_a_policy_had_disks_mean_nothing(policies, disk_id):
    policy_id = policies.make()
    policies.pass_hours(2)
    policies.apply(policy_id, disk_id)
    policies.advance(days=1)
    policies.run()
    assert policies.runs()[0] == (at(15), "missed")


def test_a_policy_applied_after_a_point_waits_for_the_next(policies, disk_id):
    policy_id = policies.make()
    policies.advance(hours=1, seconds=2)
    policies.apply(policy_id, disk_id)
    policies.run()
    assert policies.runs(disk_id) == []
    policies.pass_hours()
    assert policies.runs(disk_id) == [(at(14), "started")]


def test_a_clock_that_jumps_back_and_forth_runs_no_point_twice(policies, disk_id):
    policies.make(disk_id)
    policies.pass_hours(3)
    for hours in (-2, 1, 1, -3, 1, 1, 1):
        policies.advance(hours=hours)
        policies.run()
    assert policies.runs(disk_id) == [(at(hour), "started") for hour in (13, 14, 15)]
    policies.pass_hours(2)
    assert len(policies.runs(disk_id)) == 5


def test_a_clock_that_was_far_ahead_does_not_stop_a_policy(policies, disk_id):
    policies.make(disk_id)
    policies.pass_hours(1)
    policies.advance(days=3650)
    policies.run()
    forget_runs(policies.site.installation)
    policies.advance(days=-3650, hours=-2)
    policies.run()
    policies.pass_hours(4)
    # 13:00 ran before its record was forgotten, and does not run again; 14:00 and 15:00 do
    assert [point for point, _ in policies.runs(disk_id)][:2] == [at(14), at(15)]


def test_old_records_are_forgotten(policies, disk_id):
    policy_id = policies.make(disk_id)
    policies.pass_hours(2)
    policies.advance(days=29)
    forget_runs(policies.site.installation)
    assert len(policies.runs(disk_id)) == 2
    policies.advance(days=1)
    forget_runs(policies.site.installation)
    assert policies.runs(disk_id) == [(at(14), "started")]
    assert policies.get(policy_id).settled_until == at(13)


def test_a_point_of_many_disks_is_forgotten_a_few_at_a_time(policies, disk_id, monkeypatch):
    policy_id = policies.make(disk_id)
    policies.pass_hours(2)
    policies.advance(days=31)
    monkeypatch.setattr(forget, "_AT_ONCE", 1)
    forget_runs(policies.site.installation)
    assert (policies.runs(), policies.runs(disk_id)) == ([], [])
    assert policies.get(policy_id).settled_until == at(14)


def test_a_suspended_account_has_no_runs(site, policies, disk_id):
    policies.make(disk_id)
    with site.scope() as scope:
        set_standing(scope.session, scope.account_id, AccountStanding.SUSPENDED)
    policies.pass_hours(2)
    assert policies.automatic(disk_id) == []
    assert policies.runs() == [(at(13), "suspended"), (at(14), "suspended")]
    with site.scope() as scope:
        set_standing(scope.session, scope.account_id, AccountStanding.NORMAL)
    policies.pass_hours(1)
    assert policies.runs(disk_id) == [(at(15), "started")]


def test_an_account_that_is_suspended_during_a_run_gets_no_more_snapshots_of_it(site, policies, disk_id):
    policies.make(disk_id)
    policies.advance(hours=1)
    policies.look()
    with site.scope() as scope:
        set_standing(scope.session, scope.account_id, AccountStanding.SUSPENDED)
    site.work()
    assert policies.automatic(disk_id) == []
    assert policies.runs(disk_id) == [(at(13), "skipped")]
    assert "overdue payments" in policies.reasons(disk_id)[0]
    assert policies.runs() == [(at(13), "finished")]


def test_one_bad_disk_does_not_stop_the_others(site, policies):
    disks = [site.make_imported(DATA[:4096]) for _ in range(23)]  # more than a batch
    never_used = site.make_disk()
    policies.make(*disks, never_used)
    policies.pass_hours()
    assert all(policies.runs(disk_id) == [(at(13), "started")] for disk_id in disks)
    assert policies.runs(never_used) == [(at(13), "skipped")]
    assert policies.runs() == [(at(13), "finished")]


def test_a_disk_that_does_not_allow_it_is_left_alone(site, policies, disk_id):
    policies.make(disk_id)
    with site.scope() as scope:
        scope.session.execute(update(DiskRecord).values(enable_auto_snapshot=False))
    policies.pass_hours()
    assert policies.runs(disk_id) == []


def test_a_policy_that_is_taken_off_in_between_does_nothing(site, policies, disk_id):
    policy_id = policies.make(disk_id)
    policies.advance(hours=1)
    policies.look()
    with site.scope() as scope:
        cancel_policy(scope, [disk_id])
    site.work()
    assert policies.runs(disk_id) == []
    policies.apply(policy_id, disk_id)
    policies.advance(hours=1)
    policies.look()
    with site.scope() as scope:
        delete_policy(scope, policy_id)
    site.work()
    assert policies.automatic(disk_id) == []


def test_a_changed_timetable_counts_at_once_and_loses_no_due_point(site, policies, disk_id):
    policy_id = policies.make(disk_id)
    policies.advance(hours=1, seconds=3)  # 13:00 is due, and nobody has looked yet
    with site.scope() as scope:
        modify_policy(scope, policy_id, PolicyChanges(hours=(21, 23)))  # 13:00 and 15:00 UTC
    policies.run()
    assert policies.runs(disk_id) == [(at(13), "started")]
    policies.pass_hours(3)
    assert policies.runs(disk_id) == [(at(13), "started"), (at(15), "started")]


def test_a_changed_retention_counts_for_later_snapshots_only(site, policies, disk_id):
    policy_id = policies.make(disk_id)
    policies.pass_hours()
    with site.scope() as scope:
        modify_policy(scope, policy_id, PolicyChanges(retention=Retention(None)))
    policies.pass_hours()
    first, second = policies.automatic(disk_id)
    assert (first.retention_days, second.retention_days) == (7, None)
    assert second.expires_at is None


def test_a_region_whose_time_zone_is_unknown_does_not_stop_other_policies(site, policies, disk_id):
    policies.make(disk_id)
    policy = policies.make()
    with site.scope() as scope:
        new = NewRegion(id="moon", local_name="Moon", store="store/moon", time_zone="Luna/Tycho", zones={})
        create_region(scope.session, site.clock, new)
        scope.session.merge(policies.get(policy)).region_id = "moon"
    policies.pass_hours()
    assert policies.runs(disk_id) == [(at(13), "started")]
