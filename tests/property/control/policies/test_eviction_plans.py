"""What goes at the quota of automatic snapshots: never a wrong one, never too many, always the earliest."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lamina.control.policies.retention import Candidate, plan_eviction
from lamina.control.snapshots.states import SnapshotKind
from lamina.ids import SnapshotId

START = datetime(2026, 1, 1, tzinfo=UTC)


@st.composite
def histories(draw):
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from(SnapshotKind), st.integers(0, 30), st.booleans(), st.booleans()),
            max_size=40,
        )
    )
    return [
        Candidate(
            id=SnapshotId(f"s-{at:03}"),
            kind=kind,
            created_at=START + timedelta(hours=age),
            is_held=is_held,
            is_failed=is_failed,
        )
        for at, (kind, age, is_held, is_failed) in enumerate(rows)
    ]


def by_age(snapshots):
    """Failed ones first, since they hold nothing."""
    return sorted(snapshots, key=lambda each: (not each.is_failed, each.created_at, each.id))


@given(histories(), st.integers(0, 45))
def test_only_automatic_snapshots_that_may_go_are_named(snapshots, maximum):
    named = set(plan_eviction(snapshots, maximum).evict)
    assert named <= {each.id for each in snapshots if each.kind is SnapshotKind.AUTO and not each.is_held}


@given(histories(), st.integers(0, 45))
def test_the_quota_is_kept_exactly(snapshots, maximum):
    plan = plan_eviction(snapshots, maximum)
    count = sum(each.kind is SnapshotKind.AUTO for each in snapshots)
    left = count - len(plan.evict)
    if plan.has_room:
        assert left + 1 == min(count + 1, maximum)
    else:
        held = sum(each.kind is SnapshotKind.AUTO and each.is_held for each in snapshots)
        assert plan.evict == ()
        assert held + 1 > maximum


@given(histories(), st.integers(0, 45))
def test_the_newest_stay(snapshots, maximum):
    plan = plan_eviction(snapshots, maximum)
    free = [each.id for each in by_age(snapshots) if each.kind is SnapshotKind.AUTO and not each.is_held]
    assert list(plan.evict) == free[: len(plan.evict)]


@given(histories(), st.integers(0, 45), st.randoms())
def test_order_and_manual_snapshots_make_no_difference(snapshots, maximum, random):
    plan = plan_eviction(snapshots, maximum)
    shuffled = [each for each in snapshots if each.kind is SnapshotKind.AUTO]
    random.shuffle(shuffled)
    assert plan_eviction(shuffled, maximum) == plan


@given(histories(), st.integers(1, 45))
def test_one_that_is_held_is_passed_over_for_the_next_earliest(snapshots, maximum):
    plan = plan_eviction(snapshots, maximum)
    if not plan.evict:
        return
    held = [replace(each, is_held=each.is_held or each.id == plan.evict[0]) for each in snapshots]
    again = plan_eviction(held, maximum)
    assert again.evict[: len(plan.evict) - 1] == plan.evict[1:] if again.has_room else again.evict == ()
