"""The quota of automatic snapshots of a disk: B11, B12, B22."""

import os
from datetime import timedelta

import pytest

from lamina.control.disks.categories import DiskCategory
from lamina.control.policies.modify import PolicyChanges, modify_policy
from lamina.control.policies.retention import Retention
from lamina.control.scope import Limits
from lamina.control.snapshots.expire import expire_snapshots
from lamina.control.snapshots.holds import place_hold, release_holds
from lamina.control.snapshots.lock import NewLock, lock_snapshot
from lamina.control.snapshots.states import HolderKind, SnapshotState
from tests.factories.installation import open_site
from tests.unit.control.policies.conftest import Policies

QUOTA = 3


@pytest.fixture
def site(tmp_path):
    with open_site(
        tmp_path, limits=Limits(automatic_snapshots_per_disk=QUOTA, manual_snapshots_per_disk=2)
    ) as site:
        yield site


@pytest.fixture
def policies(site):
    return Policies(site)


@pytest.fixture
def disk_id(site):
    return site.make_imported(os.urandom(4096))


def ids(policies, disk_id):
    return [each.id for each in policies.automatic(disk_id)]


def test_b12_at_the_quota_the_earliest_goes_and_manual_ones_stay(site, policies, disk_id):
    manual = site.make_snapshot(disk_id)
    policies.make(disk_id, retention_days=None)
    policies.pass_hours(QUOTA)
    first, second, third = ids(policies, disk_id)
    policies.pass_hours()
    assert ids(policies, disk_id)[:2] == [second, third]
    assert len(ids(policies, disk_id)) == QUOTA
    assert first not in site.list_stored()
    assert site.snapshot(manual).state is SnapshotState.ACCOMPLISHED


def test_b22_what_an_image_or_a_disk_uses_or_a_lock_keeps_is_passed_over(site, policies, disk_id):
    policies.make(disk_id, retention_days=None)
    policies.pass_hours(QUOTA)
    first, _, third = ids(policies, disk_id)
    with site.scope() as scope:
        place_hold(scope.session, first, HolderKind.IMAGE, "m-1")
    policies.pass_hours()
    assert ids(policies, disk_id)[:2] == [first, third]
    site.make_disk(category=DiskCategory.CLOUD_AUTO, size_gib=1, snapshot_id=third)
    policies.pass_hours()
    held = ids(policies, disk_id)
    assert held[:2] == [first, third]
    with site.scope() as scope:
        lock_snapshot(scope, NewLock(snapshot_id=held[2], duration_days=1, cool_off_hours=0))
    policies.pass_hours()
    assert ids(policies, disk_id) == held
    assert policies.runs(disk_id)[-1][1] == "skipped"
    assert "none may go" in policies.reasons(disk_id)[-1]
    with site.scope() as scope:
        release_holds(scope.session, HolderKind.IMAGE, "m-1")
    policies.pass_hours()
    assert ids(policies, disk_id)[:2] == held[1:]
    assert policies.runs(disk_id)[-1][1] == "started"


def test_nothing_goes_for_a_snapshot_that_cannot_be_started(site, policies, disk_id):
    policies.make(disk_id, retention_days=None)
    policies.pass_hours(QUOTA)
    before = ids(policies, disk_id)
    site.start_snapshot(disk_id)
    policies.advance(hours=1)
    policies.look()
    while site.runner.run_next("bulk"):
        pass
    assert ids(policies, disk_id) == before
    assert policies.runs(disk_id)[-1][1] == "skipped"


def test_b11_a_disk_that_cannot_be_read_does_not_lose_its_snapshots_point_by_point(site, policies, disk_id):
    policies.make(disk_id, retention_days=None)
    policies.pass_hours(QUOTA)
    _, *good = ids(policies, disk_id)
    path = site.installation.volumes.raw_path(disk_id)
    away = path.rename(path.with_name("away"))
    policies.pass_hours(QUOTA + 2)
    assert ids(policies, disk_id)[:-1] == good
    assert policies.automatic(disk_id)[-1].state is SnapshotState.FAILED
    away.rename(path)
    policies.pass_hours()
    assert ids(policies, disk_id)[:-1] == good
    assert {each.state for each in policies.automatic(disk_id)} == {SnapshotState.ACCOMPLISHED}


def test_b11_retention_ends_by_itself_and_always_keep_does_not(site, policies, disk_id):
    policy_id = policies.make(disk_id, retention_days=1)
    policies.pass_hours()
    with site.scope() as scope:
        modify_policy(scope, policy_id, PolicyChanges(retention=Retention(None)))
    policies.pass_hours()
    _, kept = ids(policies, disk_id)
    site.clock.advance(timedelta(days=1))
    expire_snapshots(site.installation)
    assert ids(policies, disk_id) == [kept]
    site.clock.advance(timedelta(days=3650))
    expire_snapshots(site.installation)
    site.work()
    assert ids(policies, disk_id) == [kept]
    assert site.list_stored() == [kept]


def test_b22_expiry_waits_for_what_uses_the_snapshot(site, policies, disk_id):
    policies.make(disk_id, retention_days=1)
    policies.pass_hours()
    [snapshot_id] = ids(policies, disk_id)
    with site.scope() as scope:
        place_hold(scope.session, snapshot_id, HolderKind.IMAGE, "m-1")
    site.clock.advance(timedelta(days=2))
    expire_snapshots(site.installation)
    assert ids(policies, disk_id) == [snapshot_id]
    with site.scope() as scope:
        release_holds(scope.session, HolderKind.IMAGE, "m-1")
    expire_snapshots(site.installation)
    assert ids(policies, disk_id) == []


def test_b12_an_automatic_snapshot_can_be_deleted_by_hand(site, policies, disk_id):
    policies.make(disk_id)
    policies.pass_hours()
    [snapshot_id] = ids(policies, disk_id)
    site.delete(snapshot_id)
    assert ids(policies, disk_id) == []
    policies.pass_hours()
    assert len(ids(policies, disk_id)) == 1
