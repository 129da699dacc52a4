"""What policies do, with real bytes: a served installation whose clock the test moves."""

import hashlib
import json
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from lamina.api.asgi import server_config
from lamina.clock import ManualClock
from lamina.control.accounts.standing import set_standing
from lamina.control.accounts.states import AccountStanding
from lamina.control.first_start import furnish
from lamina.control.installation import Installation, open_installation
from lamina.control.policies.copies import copy_automatic_snapshots
from lamina.control.policies.due import run_due_policies
from lamina.control.regions.create import NewRegion, create_region
from lamina.control.scope import Limits
from lamina.control.snapshots.expire import expire_snapshots
from lamina.processes.api import make_app
from lamina.processes.worker import working
from lamina.settings import Settings
from tests.conformance.conftest import REGION, Service, wait_until
from tests.conformance.test_policies import apply, create, describe, modify, refusal

DATA = os.urandom(1 << 20) + bytes(1 << 20) + os.urandom(4096)
EVERY_HOUR = {
    "time_points": json.dumps([str(hour) for hour in range(24)]),
    "repeat_weekdays": json.dumps([str(day) for day in range(1, 8)]),
}
QUOTA = 2
FAR, FAR_ZONE = "eu-far-1", "eu-far-1-a"


@dataclass
class Movable(Service):
    """A served installation in the test's own process."""

    installation: Installation
    clock: ManualClock

    def advance(self, **step):
        """Move the clock, and have the reconcilers that depend on it look at once."""
        self.clock.advance(timedelta(**step))
        run_due_policies(self.installation)
        expire_snapshots(self.installation)


@contextmanager
def listening(installation):
    server = uvicorn.Server(server_config(make_app(installation), "127.0.0.1", 0))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, bool)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def movable(tmp_path):
    clock = ManualClock(datetime(2026, 1, 1, 12, 0, tzinfo=UTC))
    limits = Limits(automatic_snapshots_per_disk=QUOTA, may_copy_snapshots=True)
    settings = Settings(cache_dir=tmp_path / "cache", workers=2)
    with open_installation(tmp_path / "data", settings, clock, limits=limits) as installation:
        furnish(installation)
        with working(installation), listening(installation) as port:
            yield Movable(tmp_path / "data", f"http://127.0.0.1:{port}", tmp_path, installation, clock)


@pytest.fixture
def owner(movable):
    made = movable.add_account()
    yield made
    made.close()


def list_snapshots(account, disk_id, **options):
    request = m.DescribeSnapshotsRequest(region_id=REGION, disk_id=disk_id, **options)
    return account.new_sdk().describe_snapshots(request).body.snapshots.snapshot


def wait_for(account, disk_id, count):
    """The automatic snapshots of a disk, newest first, when there are so many and all are accomplished."""
    return wait_until(
        lambda: list_snapshots(account, disk_id, snapshot_type="auto"),
        lambda found: len(found) == count and all(each.status == "accomplished" for each in found),
    )


def list_runs(account, disk_id=None):
    answer = account.lamina().call("DescribeAutoSnapshotPolicyRuns", {"RegionId": REGION, "DiskId": disk_id})
    return answer["Runs"]["Run"]


def wait_for_run(account, disk_id, point):
    found = wait_until(
        lambda: [run for run in list_runs(account, disk_id) if run["PointTime"] == point], bool
    )
    return found[0]


def test_b11_b20_an_automatic_snapshot_holds_the_bytes_of_its_disk(movable, owner):
    disk_id = owner.make_disk(DATA)
    policy_id = create(owner, **{**EVERY_HOUR, "retention_days": 1})
    apply(owner, policy_id, disk_id)
    movable.advance(hours=1)
    [snapshot] = wait_for(owner, disk_id, 1)
    assert snapshot.snapshot_name == f"auto2.0_20260101_{policy_id}"
    assert (snapshot.snapshot_type, snapshot.retention_days) == ("auto", 1)
    assert (snapshot.source_disk_id, snapshot.usage) == (disk_id, "none")
    assert snapshot.creation_time == "2026-01-01T13:00:00Z"
    owner.write(disk_id, os.urandom(len(DATA)))
    assert owner.read(disk_id, len(DATA)) != DATA
    owner.new_sdk().reset_disk(m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot.snapshot_id))
    owner.wait_disk(disk_id)
    assert hashlib.sha256(owner.read(disk_id, len(DATA))).digest() == hashlib.sha256(DATA).digest()
    run = wait_for_run(owner, disk_id, "2026-01-01T13:00:00Z")
    assert (run["Outcome"], run["SnapshotId"]) == ("started", snapshot.snapshot_id)
    owner.lamina().call("CancelAutoSnapshotPolicy", {"RegionId": REGION, "diskIds": json.dumps([disk_id])})
    movable.advance(days=1)
    wait_for(owner, disk_id, 0)


def test_b07_e08_a_manual_snapshot_waits_for_the_automatic_one(movable, owner):
    disk_id = owner.make_disk(os.urandom(48 << 20))
    other = owner.make_disk(DATA)
    apply(owner, create(owner, **EVERY_HOUR), disk_id)
    movable.advance(hours=1)
    wait_until(lambda: list_snapshots(owner, disk_id), bool)
    with pytest.raises(ClientException) as refused:
        owner.new_sdk().create_snapshot(m.CreateSnapshotRequest(disk_id=disk_id))
    assert (refused.value.status_code, refused.value.code) == (403, "IncorrectDiskStatus.CreatingSnapshot")
    owner.make_snapshot(other)  # other disks are free
    wait_for(owner, disk_id, 1)
    owner.make_snapshot(disk_id)


def test_e08a_a_point_during_a_manual_snapshot_is_skipped_and_recorded(movable, owner):
    disk_id = owner.make_disk(os.urandom(48 << 20))
    apply(owner, create(owner, **EVERY_HOUR), disk_id)
    manual = owner.lamina().call("CreateSnapshot", {"DiskId": disk_id})["SnapshotId"]
    movable.advance(hours=1)
    run = wait_for_run(owner, disk_id, "2026-01-01T13:00:00Z")
    assert run["Outcome"] == "skipped"
    assert manual in run["Reason"]
    owner.wait_snapshot(manual)
    movable.advance(hours=1)
    [automatic] = wait_for(owner, disk_id, 1)
    assert automatic.creation_time == "2026-01-01T14:00:00Z"


def test_b12_b22_at_the_quota_the_earliest_goes_unless_a_disk_uses_it(movable, owner):
    disk_id = owner.make_disk(DATA)
    manual = owner.make_snapshot(disk_id)
    apply(owner, create(owner, **{**EVERY_HOUR, "retention_days": -1}), disk_id)
    seen = []
    for number, count in enumerate((1, 2, 2, 2), 1):
        movable.advance(hours=1)
        wait_until(lambda: list_runs(owner, disk_id), lambda found, number=number: len(found) == number)
        newest, *rest = wait_for(owner, disk_id, count)
        assert [each.snapshot_id for each in rest] == seen[-1:][: count - 1]
        seen.append(newest.snapshot_id)
    used = seen[-2]
    created = owner.new_sdk().create_disk(
        m.CreateDiskRequest(
            region_id=REGION, zone_id="cn-hangzhou-h", disk_category="cloud_auto", snapshot_id=used
        )
    )
    owner.wait_disk(created.body.disk_id)
    movable.advance(hours=1)
    wait_until(lambda: list_runs(owner, disk_id), lambda found: len(found) == len(seen) + 1)
    kept = {each.snapshot_id for each in wait_for(owner, disk_id, QUOTA)}
    assert used in kept
    assert seen[-1] not in kept
    assert owner.describe("Snapshot", manual)["Status"] == "accomplished"
    assert owner.read(created.body.disk_id, len(DATA)) == DATA


def test_e16_a_changed_retention_counts_for_later_snapshots_only(movable, owner):
    disk_id = owner.make_disk(DATA)
    policy_id = create(owner, **{**EVERY_HOUR, "retention_days": 1})
    apply(owner, policy_id, disk_id)
    movable.advance(hours=1)
    wait_for(owner, disk_id, 1)
    modify(owner, policy_id, retention_days=-1, time_points='["22"]')
    movable.advance(hours=1)
    newest, oldest = wait_for(owner, disk_id, 2)
    assert (newest.retention_days, oldest.retention_days) == (None, 1)
    movable.advance(hours=23)
    assert [each.snapshot_id for each in wait_for(owner, disk_id, 1)] == [newest.snapshot_id]


def test_what_was_missed_is_recorded_and_not_made_up_for(movable, owner):
    disk_id = owner.make_disk(DATA)
    apply(owner, create(owner, **{**EVERY_HOUR, "time_points": '["22"]'}), disk_id)
    movable.advance(days=2, hours=7)  # two points, the later one five hours ago
    runs = list_runs(owner)
    assert [(run["PointTime"], run["Outcome"]) for run in runs] == [
        ("2026-01-03T14:00:00Z", "missed"),
        ("2026-01-02T14:00:00Z", "missed"),
        ("2026-01-01T14:00:00Z", "missed"),
    ]
    assert list_snapshots(owner, disk_id) == []


def make_key(account, region_id):
    return account.lamina().call("CreateKey", {"RegionId": region_id})["KeyMetadata"]["KeyId"]


def copying(**options):
    """A policy of every hour whose copies go to the far region, encrypted so."""
    configuration = m.CreateAutoSnapshotPolicyRequestCopyEncryptionConfiguration(**options)
    return {
        **EVERY_HOUR,
        "enable_cross_region_copy": True,
        "target_copy_regions": json.dumps([FAR]),
        "copy_encryption_configuration": configuration,
    }


def encrypt_copies(account, policy_id, **options):
    configuration = m.ModifyAutoSnapshotPolicyExRequestCopyEncryptionConfiguration(**options)
    modify(account, policy_id, copy_encryption_configuration=configuration, copied_snapshots_retention_days=4)


@pytest.fixture
def far_key(movable, owner):
    """A key of the owner in a second region."""
    far = NewRegion(id=FAR, local_name="Far", store="store/far", time_zone="UTC", zones={FAR_ZONE: "A"})
    with movable.installation.database.transaction() as session:
        create_region(session, movable.clock, far)
    return make_key(owner, FAR)


def test_e10b_copies_are_encrypted_with_keys_of_their_region_only(owner, far_key):
    near_key = make_key(owner, REGION)
    for options, code in (
        ({"encrypted": True, "kmskey_id": near_key}, (403, "InvalidOperation.KMSKeyIdNotFound")),
        ({"kmskey_id": far_key}, (400, "InvalidParameter.EncryptedIllegal")),
    ):
        assert refusal(lambda options=options: create(owner, **copying(**options))) == code
    policy_id = create(owner, **copying(encrypted=True, kmskey_id=far_key))
    for options, code in (
        ({"encrypted": True, "kmskey_id": near_key}, (404, "InvalidParameter.KMSKeyId.NotFound")),
        ({"kmskey_id": far_key}, (403, "ParameterInvalid")),
    ):
        assert refusal(lambda options=options: encrypt_copies(owner, policy_id, **options)) == code
    owner.lamina().call("DisableKey", {"RegionId": FAR, "KeyId": far_key})
    disabled = (403, "InvalidParameter.KMSKeyId.CMKNotEnabled")
    using = {"encrypted": True, "kmskey_id": far_key}
    assert refusal(lambda: create(owner, **copying(**using))) == disabled
    assert refusal(lambda: encrypt_copies(owner, policy_id, **using)) == disabled
    [shown] = describe(owner).auto_snapshot_policies.auto_snapshot_policy
    assert (shown.auto_snapshot_policy_id, shown.copied_snapshots_retention_days) == (policy_id, -1)


def test_e10b_b60_automatic_copies_are_encrypted_with_a_key_of_their_region(movable, owner, far_key):
    policy_id = create(owner, **copying(encrypted=True))
    assert "the service's key" in owner.run("policy", "show", policy_id).stdout
    encrypt_copies(owner, policy_id, encrypted=True, kmskey_id=far_key)
    [shown] = describe(owner).auto_snapshot_policies.auto_snapshot_policy
    encryption = shown.copy_encryption_configuration
    assert (encryption.encrypted, encryption.kmskey_id) == (True, far_key)
    role = m.ModifyAutoSnapshotPolicyExRequestCopyEncryptionConfigurationArn(rolearn="acs:ram::1:role/r")
    encrypt_copies(owner, policy_id, arn=[role])  # which says nothing of encryption, so that it stays
    [shown] = describe(owner).auto_snapshot_policies.auto_snapshot_policy
    encryption = shown.copy_encryption_configuration
    assert (encryption.encrypted, encryption.kmskey_id) == (True, far_key)
    assert (shown.target_copy_regions, shown.copied_snapshots_retention_days) == (f'["{FAR}"]', 4)
    assert far_key in owner.run("policy", "show", policy_id).stdout

    disk_id = owner.make_disk(DATA, Encrypted=True)
    apply(owner, policy_id, disk_id)
    movable.advance(hours=1)
    wait_for(owner, disk_id, 1)
    copy_automatic_snapshots(movable.installation)
    sdk = owner.new_sdk()
    wanted = m.DescribeSnapshotsRequest(region_id=FAR, disk_id=disk_id)
    [copy] = wait_until(
        lambda: sdk.describe_snapshots(wanted).body.snapshots.snapshot,
        lambda found: found and found[0].status == "accomplished",
    )
    assert (copy.encrypted, copy.kmskey_id, copy.retention_days) == (True, far_key, 4)
    request = m.CreateDiskRequest(
        region_id=FAR, zone_id=FAR_ZONE, disk_category="cloud_auto", snapshot_id=copy.snapshot_id
    )
    far_disk = sdk.create_disk(request).body.disk_id
    disks = m.DescribeDisksRequest(region_id=FAR, disk_ids=json.dumps([far_disk]))
    wait_until(
        lambda: sdk.describe_disks(disks).body.disks.disk, lambda found: found[0].status == "Available"
    )
    assert owner.read(far_disk, len(DATA)) == DATA


def test_e05_a_suspended_account_has_no_runs(movable, owner):
    disk_id = owner.make_disk(DATA)
    policy_id = create(owner, **EVERY_HOUR)
    apply(owner, policy_id, disk_id)
    with movable.installation.database.transaction() as session:
        set_standing(session, owner.account_id, AccountStanding.SUSPENDED)
    movable.advance(hours=1)
    assert [run["Outcome"] for run in list_runs(owner)] == ["suspended"]
    assert list_snapshots(owner, disk_id) == []
    [shown] = describe(owner).auto_snapshot_policies.auto_snapshot_policy
    assert (shown.auto_snapshot_policy_id, shown.status) == (policy_id, "Expire")


def test_b13_e18_a_released_disk_takes_its_automatic_snapshots_along_if_it_says_so(movable, owner):
    sdk = owner.new_sdk()
    goes, stays = owner.make_disk(DATA), owner.make_disk(DATA)
    sdk.modify_disk_attribute(m.ModifyDiskAttributeRequest(disk_id=goes, delete_auto_snapshot=True))
    sdk.modify_disk_attribute(m.ModifyDiskAttributeRequest(disk_id=stays, delete_auto_snapshot=False))
    manual = owner.make_snapshot(goes)
    policy_id = create(owner, **{**EVERY_HOUR, "retention_days": 1})
    apply(owner, policy_id, goes, stays)
    movable.advance(hours=1)
    wait_for(owner, goes, 1)
    [kept] = wait_for(owner, stays, 1)
    for disk_id in (goes, stays):
        sdk.delete_disk(m.DeleteDiskRequest(disk_id=disk_id))
    wait_for(owner, goes, 0)
    assert owner.describe("Snapshot", manual)["SourceDiskId"] == goes  # E11
    assert [each.snapshot_id for each in wait_for(owner, stays, 1)] == [kept.snapshot_id]
    [shown] = describe(owner).auto_snapshot_policies.auto_snapshot_policy
    assert shown.disk_nums == 0
    movable.advance(hours=24)
    wait_for(owner, stays, 0)
    assert owner.describe("Snapshot", manual)["Status"] == "accomplished"


def test_b12_e17_an_automatic_snapshot_is_deleted_by_hand(movable, owner):
    disk_id = owner.make_disk(DATA)
    apply(owner, create(owner, **EVERY_HOUR), disk_id)
    movable.advance(hours=1)
    [snapshot] = wait_for(owner, disk_id, 1)
    owner.new_sdk().delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=snapshot.snapshot_id))
    wait_for(owner, disk_id, 0)
    movable.advance(hours=1)
    wait_for(owner, disk_id, 1)
