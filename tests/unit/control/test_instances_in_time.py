"""Instances that are paid for in advance, that release themselves, and that are rebooted."""

from datetime import UTC, datetime, timedelta

import pytest

from lamina.control.disks.connect import connect
from lamina.control.disks.modify import DiskChanges, modify_disk
from lamina.control.disks.states import DiskState
from lamina.control.instances.errors import (
    InstanceExpiredError,
    InstancePrepaidError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.instances.locks import list_locks, set_security_lock
from lamina.control.instances.periods import end_of_months, end_of_weeks
from lamina.control.instances.states import InstanceState, LockReason
from lamina.control.provisioning.expire import expire_instances
from lamina.control.provisioning.reboot import reboot_instance
from lamina.control.provisioning.release import delete_instance
from lamina.control.provisioning.start import start_instance
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from tests.factories.instances import (
    data_disk,
    find_disk,
    find_instance,
    list_disks_of,
    make_instance,
    order_instance,
    put_into,
    release,
)

WEEK = timedelta(weeks=1)
GRACE = timedelta(days=15)


def pass_time(site, duration):
    site.clock.advance(duration)
    expire_instances(site.installation)
    site.work()


def state_of(site, instance_id):
    instance = find_instance(site, instance_id)
    return instance.state if instance is not None else None


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2027, 12, 31), 2, (2028, 2, 29)),
        ((2026, 11, 30), 60, (2031, 11, 30)),
        ((2026, 12, 1), 1, (2027, 1, 1)),
    ],
)
def test_months_end_on_the_same_day_or_the_last(start, months, end):
    assert end_of_months(datetime(*start, 7, tzinfo=UTC), months) == datetime(*end, 7, tzinfo=UTC)
    assert end_of_weeks(datetime(*start, tzinfo=UTC), 4) == datetime(*start, tzinfo=UTC) + 4 * WEEK


def test_an_instance_stops_when_it_has_expired_and_goes_15_days_later(site):
    expires_at = site.clock.now() + WEEK
    instance_id = make_instance(
        site, data_disk(delete_with_instance=False), expires_at=expires_at, is_running=True
    )
    system, kept = (disk.id for disk in list_disks_of(site, instance_id))
    manual = site.make_snapshot(system)
    automatic = site.make_snapshot(system, kind=SnapshotKind.AUTO)
    of_kept = site.make_snapshot(kept, kind=SnapshotKind.AUTO)
    pass_time(site, WEEK - timedelta(seconds=1))
    assert state_of(site, instance_id) is InstanceState.RUNNING
    pass_time(site, timedelta(seconds=1))
    instance = find_instance(site, instance_id)
    assert instance.state is InstanceState.STOPPED
    locks = list_locks(instance, is_overdue=False, now=site.clock.now())
    assert locks == (LockReason.FINANCIAL,)
    with pytest.raises(InstanceExpiredError), site.scope() as scope:
        start_instance(scope, instance_id)
    pass_time(site, GRACE - timedelta(seconds=1))
    assert state_of(site, instance_id) is InstanceState.STOPPED
    pass_time(site, timedelta(seconds=1))
    assert state_of(site, instance_id) is None
    assert find_disk(site, system) is None
    assert find_disk(site, kept).state is DiskState.AVAILABLE
    assert site.snapshot(automatic) is None
    for snapshot_id in (manual, of_kept):
        assert site.snapshot(snapshot_id).state is SnapshotState.ACCOMPLISHED


def test_automatic_snapshots_of_an_expired_instance_stay_if_its_disk_says_so(site):
    instance_id = make_instance(site, expires_at=site.clock.now() + WEEK, is_running=True)
    [system] = list_disks_of(site, instance_id)
    automatic = site.make_snapshot(system.id, kind=SnapshotKind.AUTO)
    with site.scope() as scope:
        modify_disk(scope, system.id, DiskChanges(delete_auto_snapshot=False))
    pass_time(site, WEEK + GRACE)
    assert state_of(site, instance_id) is None
    assert site.snapshot(automatic).state is SnapshotState.ACCOMPLISHED


def test_protection_does_not_keep_an_expired_instance(site):
    instance_id = make_instance(site, expires_at=site.clock.now() + WEEK, is_deletion_protected=True)
    pass_time(site, WEEK + GRACE)
    assert state_of(site, instance_id) is None


def test_an_instance_is_not_started_when_it_expired_before_it_was_made(site):
    instance_id = order_instance(site, starts=True, expires_at=site.clock.now() + WEEK)
    site.clock.advance(WEEK)
    expire_instances(site.installation)
    assert state_of(site, instance_id) is InstanceState.PENDING
    site.work()
    assert state_of(site, instance_id) is InstanceState.STOPPED


def test_an_instance_that_is_paid_for_is_not_released_before_its_end(site):
    instance_id = make_instance(site, expires_at=site.clock.now() + WEEK)
    for ends in (True, False):
        with pytest.raises(InstancePrepaidError), site.scope() as scope:
            delete_instance(scope, instance_id, force=True, ends_subscription=ends)
    site.clock.advance(WEEK)
    with pytest.raises(InstancePrepaidError), site.scope() as scope:
        delete_instance(scope, instance_id, force=True)
    with site.scope() as scope:
        delete_instance(scope, instance_id, ends_subscription=True)
    site.work()
    assert state_of(site, instance_id) is None


def test_a_busy_instance_waits_for_its_end(site):
    instance_id = make_instance(site, auto_release_at=site.clock.now() + WEEK)
    [system] = list_disks_of(site, instance_id)
    site.clock.advance(WEEK)
    with site.scope() as scope:
        connect(scope, system.id)
    expire_instances(site.installation)
    assert state_of(site, instance_id) is InstanceState.STOPPED
    pass_time(site, timedelta(minutes=1))
    assert state_of(site, instance_id) is None


def test_a_running_instance_releases_itself_at_the_chosen_time(site):
    instance_id = make_instance(site, auto_release_at=site.clock.now() + WEEK, is_running=True)
    pass_time(site, WEEK - timedelta(seconds=1))
    assert state_of(site, instance_id) is InstanceState.RUNNING
    pass_time(site, timedelta(seconds=1))
    assert state_of(site, instance_id) is None


def test_a_reboot_ends_running(site):
    instance_id = make_instance(site, is_running=True)
    site.clock.advance(WEEK)
    with site.scope() as scope:
        reboot_instance(scope, instance_id)
    assert state_of(site, instance_id) is InstanceState.STOPPING
    site.work()
    instance = find_instance(site, instance_id)
    assert (instance.state, instance.started_at) == (InstanceState.RUNNING, site.clock.now())


def test_a_reboot_without_the_file_of_a_disk_ends_stopped(site):
    instance_id = make_instance(site, is_running=True)
    [system] = list_disks_of(site, instance_id)
    site.installation.volumes.raw_path(system.id).unlink()
    with site.scope() as scope:
        reboot_instance(scope, instance_id)
    site.work()
    assert state_of(site, instance_id) is InstanceState.STOPPED


def test_an_instance_can_be_released_by_force_while_it_reboots(site):
    instance_id = make_instance(site, is_running=True)
    with site.scope() as scope:
        reboot_instance(scope, instance_id, is_forced=True)
    release(site, instance_id, force=True)
    assert state_of(site, instance_id) is None


def test_only_what_runs_unlocked_is_rebooted(site):
    instance_id = make_instance(site, is_running=True)
    for state in set(InstanceState) - {InstanceState.RUNNING, InstanceState.RELEASING}:
        put_into(site, instance_id, state)
        with pytest.raises(InstanceStateError), site.scope() as scope:
            reboot_instance(scope, instance_id)
    put_into(site, instance_id, InstanceState.RUNNING)
    with site.scope() as scope:
        set_security_lock(scope.session, instance_id, is_locked=True)
    with pytest.raises(InstanceSecurityLockError), site.scope() as scope:
        reboot_instance(scope, instance_id)
