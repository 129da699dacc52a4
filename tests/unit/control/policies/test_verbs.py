"""Creating, changing, applying, cancelling and deleting policies, and looking them up."""

import pytest

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.errors import DiskCategoryError, DiskNotFoundError
from lamina.control.paging import Slice
from lamina.control.policies.cancel import cancel_policy
from lamina.control.policies.delete import delete_policy
from lamina.control.policies.errors import (
    PartlyUnsupportedError,
    PolicyNotFoundError,
    PolicyQuotaError,
)
from lamina.control.policies.modify import PolicyChanges, modify_policy
from lamina.control.policies.queries import (
    Coverage,
    PolicyFilter,
    list_calendar,
    list_covered_disks,
    list_policies,
    list_runs,
)
from lamina.control.policies.schedule import Timetable
from lamina.control.regions.create import NewRegion, create_region
from lamina.control.scope import Limits
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from tests.factories.installation import open_site
from tests.unit.control.policies.conftest import EVERY_HOUR, Policies, at

ALL = Slice(limit=100)
ANY = Coverage()


@pytest.fixture
def disk_id(site):
    return site.make_imported()


def test_a_new_policy_knows_its_next_point(policies):
    policy = policies.get(policies.make(timetable=Timetable.of([20, 8], [7, 1])))
    assert policy.timetable == Timetable(hours=(8, 20), weekdays=(1, 7))
    assert policy.next_run_at == at(0, day=4)  # Sunday 08:00 in Shanghai


def test_b21_a_second_policy_takes_the_place_of_the_first(site, policies, disk_id):
    first, second = policies.make(disk_id, name="first"), policies.make(name="second")
    policies.apply(second, disk_id)
    with site.scope() as scope:
        views = {view.policy.id: view for view in list_policies(scope, PolicyFilter(), ALL).items}
        assert (views[first].disk_count, views[second].disk_count) == (0, 1)
        assert [disk.policy_id for disk in list_covered_disks(scope, ANY, ALL).items] == [second]
        assert list_covered_disks(scope, Coverage(policy_id=first), ALL).items == ()


def test_applying_again_changes_nothing(site, policies, disk_id):
    policy_id = policies.make(disk_id)
    policies.advance(minutes=59)
    policies.apply(policy_id, disk_id)
    assert site.disk(disk_id).policy_applied_at == at(12)


def test_all_disks_or_none(site, policies, disk_id):
    local = site.make_imported(category=DiskCategory.LOCAL_SSD_PRO)
    policy_id = policies.make()
    with pytest.raises(PartlyUnsupportedError, match=local):
        policies.apply(policy_id, disk_id, local)
    with pytest.raises(DiskCategoryError):
        policies.apply(policy_id, local)
    with pytest.raises(DiskNotFoundError):
        policies.apply(policy_id, disk_id, "d-unknown")
    assert site.disk(disk_id).policy_id is None


def test_cancelling_takes_off_any_policy_or_the_one_named(site, policies, disk_id):
    first, second = policies.make(disk_id), policies.make()
    with site.scope() as scope:
        cancel_policy(scope, [disk_id], second)
    assert site.disk(disk_id).policy_id == first
    for _ in range(2):
        with site.scope() as scope:
            cancel_policy(scope, [disk_id])
        assert site.disk(disk_id).policy_id is None


def test_deleting_takes_a_policy_off_its_disks_and_keeps_their_snapshots(site, policies, disk_id):
    policy_id = policies.make(disk_id, tags={"k": "v"})
    policies.pass_hours()
    with site.scope() as scope:
        delete_policy(scope, policy_id)
    assert site.disk(disk_id).policy_id is None
    assert len(policies.automatic(disk_id)) == 1
    with site.scope() as scope:
        assert list_tags(scope.session, ResourceType.POLICY, [policy_id]) == {policy_id: {}}
        with pytest.raises(PolicyNotFoundError):
            delete_policy(scope, policy_id)
    policies.pass_hours()
    assert len(policies.automatic(disk_id)) == 1


def test_another_accounts_policies_and_disks_do_not_exist(site, policies, disk_id):
    policy_id = policies.make(disk_id)
    other = Policies(site.as_another_account())
    theirs = other.make()
    with other.site.scope() as scope:
        for attempt in (
            lambda: modify_policy(scope, policy_id, PolicyChanges(name="mine")),
            lambda: delete_policy(scope, policy_id),
            lambda: cancel_policy(scope, [], policy_id),
        ):
            with pytest.raises(PolicyNotFoundError):
                attempt()
        with pytest.raises(DiskNotFoundError):
            cancel_policy(scope, [disk_id])
        assert [view.policy.id for view in list_policies(scope, PolicyFilter(), ALL).items] == [theirs]
        assert list_calendar(scope, ANY, ALL, 5).items == ()
        assert list_runs(scope, ANY, ALL).items == ()
    with pytest.raises(DiskNotFoundError):
        other.apply(theirs, disk_id)


def test_a_policy_of_another_region_is_not_found_here(site, policies, disk_id):
    with site.scope() as scope:
        new = NewRegion(id="far", local_name="Far", store="store/far", time_zone="UTC", zones={})
        create_region(scope.session, site.clock, new)
    policy_id = policies.make()
    with site.scope(region_id="far") as scope, pytest.raises(PolicyNotFoundError):
        delete_policy(scope, policy_id)


def test_the_calendar_shows_the_next_runs_of_each_disk(site, policies, disk_id):
    policy_id = policies.make(disk_id, timetable=Timetable.of([22], [4, 6]))
    with site.scope() as scope:
        [entry] = list_calendar(scope, Coverage(disk_id=disk_id), ALL, 3).items
    assert (entry.disk.id, entry.policy.id) == (disk_id, policy_id)
    assert entry.next_runs == (at(14, day=1), at(14, day=3), at(14, day=8))


def test_there_are_only_so_many_policies(tmp_path):
    with open_site(tmp_path, limits=Limits(policies_per_region=2)) as site:
        policies = Policies(site)
        policies.make()
        policies.make()
        with pytest.raises(PolicyQuotaError):
            policies.make()
        Policies(site.as_another_account()).make()


def test_a_timetable_needs_a_point():
    with pytest.raises(AssertionError):
        Timetable.of([], [1])
    assert EVERY_HOUR.hours == tuple(range(24))
