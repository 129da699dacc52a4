"""Locks, holds and what they keep from being deleted."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.control.disks.start import restart_disks
from lamina.control.paging import Slice
from lamina.control.provisioning.release import delete_instance
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.errors import (
    CoolOffError,
    CoolOffOverError,
    LockDurationError,
    LockNotFoundError,
    SnapshotHeldByDiskError,
    SnapshotHeldByImageError,
    SnapshotLockedError,
    SnapshotNotFoundError,
    SnapshotNotLockableError,
)
from lamina.control.snapshots.expire import expire_snapshots
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.groups.delete import delete_group
from lamina.control.snapshots.groups.queries import GroupFilter, list_groups
from lamina.control.snapshots.holds import place_hold, release_holds
from lamina.control.snapshots.lock import NewLock, lock_snapshot, unlock_snapshot
from lamina.control.snapshots.lock_queries import list_locks, show_lock
from lamina.control.snapshots.states import HolderKind, LockState, SnapshotState
from lamina.failures import Refusal
from tests.factories.installation import open_site
from tests.factories.instances import attach, find_disk, make_instance

DAY = timedelta(days=1)


def lock(site, snapshot_id, *, days=10, hours=0):
    with site.scope() as scope:
        new = NewLock(snapshot_id=snapshot_id, duration_days=days, cool_off_hours=hours)
        return show_lock(lock_snapshot(scope, new), scope.clock.now())


def unlock(site, snapshot_id):
    with site.scope() as scope:
        unlock_snapshot(scope, snapshot_id)


def list_states(site, **wanted):
    with site.scope() as scope:
        ids, state = wanted.get("snapshot_ids"), wanted.get("state")
        return [view.state for view in list_locks(scope, ids, state, Slice(limit=10)).items]


@pytest.fixture
def snapshot_id(site):
    return site.make_snapshot(site.make_imported(b"kept"))


def test_the_states_of_a_lock_follow_the_clock(site, snapshot_id):
    assert lock(site, snapshot_id, days=2, hours=3).state is LockState.COOL_OFF
    with pytest.raises(SnapshotLockedError):
        site.delete(snapshot_id, force=True)
    site.clock.advance(timedelta(hours=3))
    assert list_states(site) == [LockState.COMPLIANCE]
    with pytest.raises(CoolOffOverError):
        unlock(site, snapshot_id)
    with pytest.raises(SnapshotLockedError):
        site.delete(snapshot_id, force=True)
    site.clock.advance(2 * DAY - timedelta(hours=3))
    assert list_states(site, state=LockState.EXPIRED) == [LockState.EXPIRED]
    with pytest.raises(LockNotFoundError):
        unlock(site, snapshot_id)
    site.delete(snapshot_id)
    assert site.snapshot(snapshot_id) is None
    assert list_states(site) == []


def test_a_lock_can_be_changed_in_its_cool_off_period_and_only_grow_afterwards(site, snapshot_id):
    lock(site, snapshot_id, days=10, hours=72)
    assert lock(site, snapshot_id, days=1, hours=1).lock.duration_days == 1
    unlock(site, snapshot_id)
    with pytest.raises(LockNotFoundError):
        unlock(site, snapshot_id)
    started = lock(site, snapshot_id, days=5).lock.starts_at
    site.clock.advance(DAY)
    for days, hours in ((4, 0), (10, 1)):
        with pytest.raises(CoolOffOverError):
            lock(site, snapshot_id, days=days, hours=hours)
    assert lock(site, snapshot_id, days=6).lock.expires_at == started + 6 * DAY


def test_what_cannot_be_locked(site, snapshot_id):
    with pytest.raises(CoolOffError):
        lock(site, snapshot_id, days=1, hours=25)
    with pytest.raises(SnapshotNotFoundError):
        lock(site.as_another_account(), snapshot_id)
    kept = site.make_snapshot(site.make_imported(b"x"), retention_days=10)
    with pytest.raises(LockDurationError):
        lock(site, kept, days=10)
    lock(site, kept, days=9)
    disk_id = site.make_imported(b"x")
    failed = site.start_snapshot(disk_id)
    site.installation.volumes.raw_path(disk_id).unlink()
    for _ in range(8):
        site.work()
        site.clock.advance(timedelta(minutes=5))
    assert site.snapshot(failed).state is SnapshotState.FAILED
    with pytest.raises(SnapshotNotLockableError):
        lock(site, failed)


@pytest.mark.parametrize("hours", [0, 1])
def test_the_lock_on_an_unfinished_snapshot_counts_from_its_end(site, hours):
    snapshot_id = site.start_snapshot(site.make_imported(b"later"))
    view = lock(site, snapshot_id, days=1, hours=hours)
    expected = LockState.COOL_OFF if hours else LockState.COMPLIANCE
    assert (view.state, view.lock.expires_at) == (expected, None)
    with pytest.raises(SnapshotLockedError):
        site.delete(snapshot_id)
    site.clock.advance(timedelta(hours=12))
    site.work()
    assert list_states(site, snapshot_ids=[snapshot_id], state=expected) == [expected]
    site.clock.advance(timedelta(hours=23))
    with pytest.raises(SnapshotLockedError):
        site.delete(snapshot_id)
    site.clock.advance(timedelta(hours=1))
    site.delete(snapshot_id)


def test_retention_waits_for_the_lock(site):
    snapshot_id = site.make_snapshot(site.make_imported(b"x"), retention_days=10)
    site.clock.advance(5 * DAY)
    lock(site, snapshot_id, days=9)
    site.clock.advance(6 * DAY)
    expire_snapshots(site.installation)
    assert site.snapshot(snapshot_id).state is SnapshotState.ACCOMPLISHED
    site.clock.advance(3 * DAY)
    expire_snapshots(site.installation)
    assert site.snapshot(snapshot_id).state is SnapshotState.DELETING


def test_images_are_named_before_locks_and_locks_before_disks(site, snapshot_id):
    with site.scope() as scope:
        place_hold(scope.session, snapshot_id, HolderKind.IMAGE, "m-1")
        place_hold(scope.session, snapshot_id, HolderKind.DISK, "d-1")
    lock(site, snapshot_id, days=1, hours=24)
    with pytest.raises(SnapshotHeldByImageError, match="m-1"):
        site.delete(snapshot_id, force=True)
    with site.scope() as scope:
        release_holds(scope.session, HolderKind.IMAGE, "m-1")
    with pytest.raises(SnapshotLockedError):
        site.delete(snapshot_id, force=True)
    unlock(site, snapshot_id)
    with pytest.raises(SnapshotHeldByDiskError):
        site.delete(snapshot_id)
    site.delete(snapshot_id, force=True)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory):
    with open_site(tmp_path_factory.mktemp("locks")) as opened:
        yield opened


moves = st.lists(
    st.one_of(
        st.tuples(st.just("lock"), st.integers(1, 4), st.integers(0, 72)),
        st.tuples(st.just("unlock"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 60), st.just(0)),
        st.tuples(st.just("hold"), st.sampled_from(list(HolderKind)), st.just(0)),
        st.tuples(st.just("release"), st.sampled_from(list(HolderKind)), st.just(0)),
        st.tuples(st.just("delete"), st.booleans(), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(moves)
def test_a_snapshot_goes_only_when_nothing_keeps_it(shared_site, history):
    """A model of locks and holds, against the verbs: what the model keeps stays, everything else goes."""
    site = shared_site
    snapshot_id = site.make_snapshot(site.make_imported(b"x"))
    lock_state, holds = None, set()
    for verb, first, second in history:
        now = site.clock.now()
        if verb == "wait":
            site.clock.advance(timedelta(hours=first))
        elif verb == "lock":
            in_compliance = lock_state and lock_state[0] <= now < lock_state[1]
            with suppress(Refusal):
                lock(site, snapshot_id, days=first, hours=second)
                if in_compliance:
                    assert second == 0
                    assert first >= lock_state[2]
                    lock_state = (lock_state[0], lock_state[3] + first * DAY, first, lock_state[3])
                else:
                    lock_state = (now + timedelta(hours=second), now + first * DAY, first, now)
        elif verb == "unlock":
            is_open = lock_state is not None and now < lock_state[0]
            with suppress(LockNotFoundError, CoolOffOverError):
                unlock(site, snapshot_id)
                assert is_open
                lock_state = None
        elif verb in ("hold", "release"):
            with site.scope() as scope:
                if verb == "hold":
                    place_hold(scope.session, snapshot_id, first, f"{first.value}-1")
                    holds.add(first)
                else:
                    release_holds(scope.session, first, f"{first.value}-1")
                    holds.discard(first)
        else:
            is_kept = HolderKind.IMAGE in holds or (lock_state is not None and now < lock_state[1])
            is_kept = is_kept or (HolderKind.DISK in holds and not first)
            try:
                site.delete(snapshot_id, force=first)
            except Refusal:
                assert is_kept
                assert snapshot_id in site.list_stored()
            else:
                assert not is_kept
                return
    assert site.snapshot(snapshot_id).state is SnapshotState.ACCOMPLISHED


def start_group(site, *disk_ids):
    with site.scope() as scope:
        group_id = create_group(scope, NewGroup(disk_ids=disk_ids)).id
        [view] = list_groups(scope, GroupFilter(group_ids=[group_id]), Slice(limit=1)).items
        return group_id, {each.snapshot.disk_id: each.snapshot.id for each in view.members}


@pytest.mark.parametrize("hours", [0, 1])
def test_a_locked_member_keeps_its_unfinished_group_from_being_cancelled(site, hours):
    disks = [site.make_imported(content) for content in (b"one", b"two")]
    group_id, members = start_group(site, *disks)
    locked, free = members[disks[0]], members[disks[1]]
    lock(site, locked, hours=hours)
    for snapshot_id in (locked, free):
        with pytest.raises(SnapshotLockedError), site.scope() as scope:
            delete_snapshot(scope, snapshot_id, force=True)
    with site.scope() as scope:
        outcomes = delete_group(scope, group_id)
    assert {type(each.refusal) for each in outcomes} == {SnapshotLockedError}
    site.work()
    assert sorted(site.list_stored()) == sorted([locked, free])
    assert {site.snapshot(each).state for each in (locked, free)} == {SnapshotState.ACCOMPLISHED}
    site.delete(free)
    with pytest.raises(SnapshotLockedError):
        site.delete(locked)


@pytest.mark.parametrize("is_group", [False, True])
@pytest.mark.parametrize("is_locked", [False, True])
def test_a_locked_snapshot_in_the_making_is_finished_before_its_disk_goes(site, is_group, is_locked):
    instance_id = make_instance(site, is_running=True)
    disk_id = site.make_imported(b"kept" * 1000)
    attach(site, disk_id, instance_id, delete_with_instance=True)
    snapshot_id = start_group(site, disk_id)[1][disk_id] if is_group else site.start_snapshot(disk_id)
    if is_locked:
        lock(site, snapshot_id)
    with site.scope() as scope:
        delete_instance(scope, instance_id, force=True)
    for _ in range(3):
        site.work()
        restart_disks(site.installation)
    site.work()
    assert find_disk(site, disk_id) is None
    assert site.list_stored() == ([snapshot_id] if is_locked else [])
    if is_locked:
        copy = site.make_disk(size_gib=20, snapshot_id=snapshot_id)
        assert site.read(copy, 0, 4000) == b"kept" * 1000
