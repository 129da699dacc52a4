"""System disks: replaced, rolled back, and what becomes of their snapshots; through the official client."""

import os

import pytest
from alibabacloud_ecs20140526 import models as m

from lamina.control.installation import open_metadata
from lamina.control.instances.locks import set_security_lock
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind
from tests.conformance.conftest import REGION, wait_until
from tests.conformance.instances import (
    IMAGE,
    code_of,
    connected,
    data_disk,
    list_disks_of,
    make_image,
    make_instance,
    start,
    stop,
    wait_in_use,
)

OLD, NEW = os.urandom(1 << 20), os.urandom(1 << 20)


def make_used_instance(account, *data, **options):
    """A stopped instance that ran, and its system disk."""
    instance_id = make_instance(account, *data, **options)
    start(account, instance_id)
    stop(account, instance_id)
    return instance_id, list_disks_of(account, instance_id)[0]


def replace(account, instance_id, image_id, **options):
    request = m.ReplaceSystemDiskRequest(instance_id=instance_id, image_id=image_id, **options)
    disk_id = account.new_sdk().replace_system_disk(request).body.disk_id
    wait_in_use(account, disk_id)
    return disk_id


def make_automatic(account, disk_id):
    """A snapshot of a disk, which counts as taken by a policy."""
    snapshot_id = account.make_snapshot(disk_id)
    with open_metadata(account.service.data_dir) as (database, _), database.transaction() as session:
        session.get(SnapshotRecord, snapshot_id).kind = SnapshotKind.AUTO
    return snapshot_id


def test_b31_e25_an_old_snapshot_does_not_roll_back_the_new_system_disk(account):
    sdk = account.new_sdk()
    image_id = make_image(account, NEW)
    instance_id, old = make_used_instance(account, data_disk())
    account.write(old, OLD)
    snapshot_id = account.make_snapshot(old)
    new = replace(account, instance_id, image_id, client_token="once")
    wait_until(lambda: account.describe("Disk", old), lambda found: found is None)
    assert list_disks_of(account, instance_id)[0] == new
    assert account.read(new, len(NEW)) == NEW
    disk = account.describe("Disk", new)
    assert (disk["Type"], disk["Device"], disk["ImageId"], disk["Size"]) == (
        "system",
        "/dev/xvda",
        image_id,
        20,
    )
    assert account.describe("Instance", instance_id)["ImageId"] == image_id
    reset = m.ResetDiskRequest(disk_id=new, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, reset) == (403, "InvalidParameter.Mismatch")
    reset = m.ResetDiskRequest(disk_id=old, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, reset) == (404, "InvalidDiskId.NotFound")
    assert account.describe("Snapshot", snapshot_id)["Status"] == "accomplished"
    start(account, instance_id)


@pytest.mark.parametrize("goes", [True, False])
def test_b13_e18_the_old_system_disk_decides_about_its_automatic_snapshots(account, goes):
    instance_id, old = make_used_instance(account)
    manual, automatic = account.make_snapshot(old), make_automatic(account, old)
    change = m.ModifyDiskAttributeRequest(disk_id=old, delete_auto_snapshot=goes)
    account.new_sdk().modify_disk_attribute(change)
    replace(account, instance_id, IMAGE)
    wait_until(lambda: account.describe("Disk", old), lambda found: found is None)
    assert (account.describe("Snapshot", automatic) is None) is goes
    assert account.describe("Snapshot", manual)["Status"] == "accomplished"


@pytest.mark.parametrize("goes", [True, False])
def test_b13_e18_a_released_instances_disk_decides_about_its_automatic_snapshots(account, goes):
    instance_id, system = make_used_instance(account)
    automatic = make_automatic(account, system)
    change = m.ModifyDiskAttributeRequest(disk_id=system, delete_auto_snapshot=goes)
    account.new_sdk().modify_disk_attribute(change)
    account.new_sdk().delete_instance(m.DeleteInstanceRequest(instance_id=instance_id))
    wait_until(lambda: account.describe("Disk", system), lambda found: found is None)
    assert (account.describe("Snapshot", automatic) is None) is goes


def test_b30_e24_a_system_disk_is_rolled_back(account):
    sdk = account.new_sdk()
    instance_id, system = make_used_instance(account, image_id=make_image(account, OLD))
    account.write(system, NEW)
    snapshot_id = account.make_snapshot(system)
    account.write(system, bytes(len(NEW)))
    sdk.reset_disk(m.ResetDiskRequest(disk_id=system, snapshot_id=snapshot_id))
    wait_in_use(account, system)
    assert account.read(system, len(NEW)) == NEW
    sdk.re_init_disk(m.ReInitDiskRequest(disk_id=system, auto_start_instance=True))
    wait_until(lambda: account.describe("Instance", instance_id), lambda found: found["Status"] == "Running")
    stop(account, instance_id)
    assert account.read(system, len(OLD)) == OLD


def test_b33_e27_why_a_system_disk_cannot_be_rolled_back(account, stranger):
    """Each precondition has its code; the first that is not met is told."""
    sdk = account.new_sdk()
    instance_id, system = make_used_instance(account, data_disk())
    snapshot_id = account.make_snapshot(system)
    reset = m.ResetDiskRequest(disk_id=system, snapshot_id=snapshot_id)

    def refusal(**other):
        given = {"disk_id": system, "snapshot_id": snapshot_id, **other}
        return code_of(sdk.reset_disk, m.ResetDiskRequest(**given))

    assert refusal(disk_id="d-nothing") == (404, "InvalidDiskId.NotFound")
    assert refusal(snapshot_id="s-nothing") == (404, "InvalidSnapshotId.NotFound")
    assert code_of(stranger.new_sdk().reset_disk, reset) == (404, "InvalidDiskId.NotFound")
    assert refusal(disk_id=list_disks_of(account, instance_id)[1]) == (403, "InvalidParameter.Mismatch")
    with connected(account, system):
        assert refusal() == (403, "IncorrectDiskStatus")
    start(account, instance_id)
    assert refusal() == (403, "IncorrectInstanceStatus")
    stop(account, instance_id)
    lock(account, instance_id, is_locked=True)
    assert refusal() == (403, "InstanceLockedForSecurity")
    lock(account, instance_id, is_locked=False)
    sdk.reset_disk(reset)
    wait_in_use(account, system)


def lock(account, instance_id, *, is_locked):
    with open_metadata(account.service.data_dir) as (database, _), database.transaction() as session:
        set_security_lock(session, instance_id, is_locked=is_locked)


def test_b32_e26_what_a_released_instance_leaves(account):
    """Its system disk is not brought back; a disk of its snapshot holds the same bytes."""
    sdk = account.new_sdk()
    instance_id, system = make_used_instance(account)
    account.write(system, OLD)
    snapshot_id = account.make_snapshot(system)
    sdk.delete_instance(m.DeleteInstanceRequest(instance_id=instance_id))
    wait_until(lambda: account.describe("Disk", system), lambda found: found is None)
    reset = m.ResetDiskRequest(disk_id=system, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, reset) == (404, "InvalidDiskId.NotFound")
    answer = sdk.create_image(m.CreateImageRequest(region_id=REGION, snapshot_id=snapshot_id))
    other = make_instance(account, image_id=answer.body.image_id)
    assert account.read(list_disks_of(account, other)[0], len(OLD)) == OLD


def test_what_keeps_a_system_disk_from_being_replaced(account, stranger):
    sdk = account.new_sdk()
    instance_id, system = make_used_instance(account)

    def refusal(client=sdk, size=None, **other):
        given = {"instance_id": instance_id, "image_id": IMAGE, **other}
        disk = m.ReplaceSystemDiskRequestSystemDisk(size=size)
        return code_of(client.replace_system_disk, m.ReplaceSystemDiskRequest(**given, system_disk=disk))

    assert refusal(stranger.new_sdk()) == (404, "InvalidInstanceId.NotFound")
    assert refusal(image_id=make_image(stranger, OLD)) == (404, "InvalidImageId.NotFound")
    assert refusal(image_id=account.make_snapshot(system)) == (404, "InvalidImageId.NotFound")
    assert refusal(size=19) == (404, "InvalidSystemDiskSize.LessThanMinSize")
    assert refusal(size=2049) == (404, "InvalidSystemDiskSize.MoreThanMaxSize")
    with connected(account, system):
        assert refusal() == (403, "IncorrectDiskStatus")
    start(account, instance_id)
    assert refusal() == (403, "IncorrectInstanceStatus")
    assert list_disks_of(account, instance_id) == [system]
