"""Copies of what policies make: where they go, how they are encrypted, and what becomes of those that cannot be."""

import pytest

from lamina.control.keys.choose import Encryption
from lamina.control.keys.errors import KeyNotEnabledError, KeyNotFoundError, KeyWithoutEncryptionError
from lamina.control.keys.modify import disable_key
from lamina.control.paging import Slice
from lamina.control.policies.copies import copy_automatic_snapshots
from lamina.control.policies.copy_rule import CopyRule
from lamina.control.policies.errors import CopyTargetMissingError, TargetRegionError
from lamina.control.policies.modify import PolicyChanges, modify_policy
from lamina.control.policies.queries import Coverage, list_runs
from lamina.control.policies.retention import Retention
from lamina.control.policies.set_copies import CopyWish
from lamina.control.scope import Limits
from lamina.control.snapshots.errors import CopyNotOfferedError
from lamina.control.snapshots.queries import get_snapshot
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from tests.factories.installation import open_site
from tests.factories.keys import list_stored, make_encrypted, make_key, with_key
from tests.factories.regions import FAR, NEAR, add_region
from tests.unit.control.policies.conftest import Policies

TO_FAR = CopyWish(is_enabled=True, region_id=FAR)
PLAIN = Encryption(is_encrypted=False)


@pytest.fixture
def site(tmp_path):
    """A site with a second region, whose operator allows copies."""
    with open_site(tmp_path, limits=Limits(may_copy_snapshots=True, automatic_snapshots_per_disk=2)) as made:
        add_region(made)
        yield made


def encrypted(key_id=None):
    return CopyWish(is_enabled=True, region_id=FAR, encryption=with_key(key_id))


def change(site, policy_id, **said):
    with site.scope() as scope:
        modify_policy(scope, policy_id, PolicyChanges(copies=CopyWish(**said)))


def pass_hour(policies, disk_id):
    """One point with its copy; answers what became of it."""
    site = policies.site
    policies.pass_hours()
    copy_automatic_snapshots(site.installation)
    copy_automatic_snapshots(site.installation)
    site.work()
    with site.scope() as scope:
        return list_runs(scope, Coverage(disk_id=disk_id), Slice(limit=1)).items[0]


def get_copy(site, run):
    with site.scope() as scope:
        return get_snapshot(scope, run.copy_id)


def test_copies_are_refused_unless_the_operator_allows_them(tmp_path):
    with open_site(tmp_path) as site:
        add_region(site)
        with pytest.raises(CopyNotOfferedError):
            Policies(site).make(copies=TO_FAR)


@pytest.mark.parametrize("wrong", [NEAR, "nowhere"])
def test_copies_go_to_another_region(policies, wrong):
    with pytest.raises(TargetRegionError, match=wrong):
        policies.make(copies=CopyWish(is_enabled=True, region_id=wrong))


def test_copies_go_somewhere(site, policies):
    with pytest.raises(CopyTargetMissingError):
        policies.make(copies=CopyWish(is_enabled=True))
    policy_id = policies.make()
    with pytest.raises(CopyTargetMissingError):
        change(site, policy_id, is_enabled=True)
    assert not policies.get(policy_id).copies


def test_copies_go_to_the_other_region_once_a_snapshot_is_accomplished(site, policies):
    disk_id = site.make_imported(b"x" * 4096)
    kept = Retention(3)
    policy_id = policies.make(disk_id, copies=CopyWish(is_enabled=True, region_id=FAR, retention=kept))
    runs = [pass_hour(policies, disk_id) for _ in range(3)]
    copies = [get_copy(site, run) for run in runs[1:]]
    assert [copy.state for copy in copies] == [SnapshotState.ACCOMPLISHED] * 2
    assert {(copy.region_id, copy.kind, copy.retention_days, copy.key_id) for copy in copies} == {
        (FAR, SnapshotKind.AUTO, 3, None)
    }
    # the quota of two counts in each region by itself
    assert len(policies.automatic(disk_id)) == 4
    change(site, policy_id, is_enabled=False)
    run = pass_hour(policies, disk_id)
    assert (run.copy_rule, run.copy_id) == (None, None)


def test_what_is_not_said_stays(site, policies):
    key_id = make_key(site, region_id=FAR)
    policy_id = policies.make(copies=TO_FAR)
    change(site, policy_id, retention=Retention(5))
    change(site, policy_id, encryption=with_key(key_id))
    rule = CopyRule(region_id=FAR, retention_days=5, encryption=with_key(key_id))
    assert policies.get(policy_id).copy_rule == rule
    change(site, policy_id, is_enabled=False)
    assert not policies.get(policy_id).copies
    change(site, policy_id, is_enabled=True)
    assert policies.get(policy_id).copies
    assert policies.get(policy_id).copy_rule == rule
    change(site, policy_id, encryption=PLAIN, retention=Retention(None))
    assert policies.get(policy_id).copy_rule == CopyRule(region_id=FAR, retention_days=None, encryption=PLAIN)


def test_copies_are_encrypted_with_a_key_of_the_account_in_their_region(site, policies):
    far_key = make_key(site, region_id=FAR)
    stranger = site.as_another_account()
    for wrong in (make_key(site), make_key(stranger, region_id=FAR), "no-key"):
        with pytest.raises(KeyNotFoundError):
            policies.make(copies=encrypted(wrong))
    with pytest.raises(KeyWithoutEncryptionError):
        policies.make(copies=CopyWish(is_enabled=True, region_id=FAR, encryption=Encryption(key_id=far_key)))
    with site.scope(region_id=FAR) as scope:
        disable_key(scope, far_key)
    policy_id = policies.make(copies=TO_FAR)
    with pytest.raises(KeyNotEnabledError):
        change(site, policy_id, encryption=with_key(far_key))
    assert policies.get(policy_id).copy_rule == CopyRule(region_id=FAR, retention_days=None, encryption=PLAIN)


@pytest.mark.parametrize("is_source_encrypted", [False, True])
@pytest.mark.parametrize("is_key_named", [False, True])
def test_encrypted_copies_lie_where_their_key_protects_them(
    site, policies, is_source_encrypted, is_key_named
):
    disk_id = make_encrypted(site, b"y" * 4096) if is_source_encrypted else site.make_imported(b"y" * 4096)
    key_id = make_key(site, region_id=FAR) if is_key_named else None
    policies.make(disk_id, copies=encrypted(key_id))
    copy = get_copy(site, pass_hour(policies, disk_id))
    assert (copy.state, copy.region_id) == (SnapshotState.ACCOMPLISHED, FAR)
    assert copy.key_id is not None
    assert key_id in (None, copy.key_id)
    assert list_stored(site, copy.key_id, FAR) == [copy.id]
    assert list_stored(site, None, FAR) == []


def test_an_encrypted_snapshot_is_not_copied_in_clear(site, policies):
    disk_id = make_encrypted(site, b"y" * 4096)
    policy_id = policies.make(disk_id, copies=TO_FAR)
    run = pass_hour(policies, disk_id)
    assert run.copy_id is None
    assert "it was not copied: " in run.reason
    assert "is encrypted; set Encrypted" in run.reason
    change(site, policy_id, encryption=with_key())
    assert get_copy(site, pass_hour(policies, disk_id)).state is SnapshotState.ACCOMPLISHED


def test_a_key_that_is_disabled_meanwhile_stops_the_copies_and_not_the_snapshots(site, policies):
    key_id = make_key(site, region_id=FAR)
    disk_id = site.make_imported(b"y" * 4096)
    policies.make(disk_id, copies=encrypted(key_id))
    with site.scope(region_id=FAR) as scope:
        disable_key(scope, key_id)
    run = pass_hour(policies, disk_id)
    assert run.copy_id is None
    assert f"it was not copied: key {key_id} is Disabled" in run.reason
    [snapshot] = policies.automatic(disk_id)
    assert snapshot.state is SnapshotState.ACCOMPLISHED
