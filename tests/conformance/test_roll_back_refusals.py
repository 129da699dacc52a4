"""Why a roll-back is impossible is told by the error: what failed, of what, and what to do (rows B33 and E27)."""

import os

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from lamina.control.accounts.standing import set_standing
from lamina.control.accounts.states import AccountStanding
from lamina.control.installation import open_metadata
from lamina.control.instances.locks import set_security_lock
from tests.conformance.conftest import REGION
from tests.conformance.instances import connected, data_disk, list_disks_of, make_instance, start

DATA = os.urandom(1 << 16)
LARGE = 24 << 20  # large enough that copying it takes longer than the next call


def refuse(account, disk_id, snapshot_id):
    """The status and code of the refusal, and its message."""
    with pytest.raises(ClientException) as refused:
        account.new_sdk().reset_disk(m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id))
    error = refused.value
    assert error.data["RequestId"], "support finds the call by this"
    return (error.status_code, error.code), error.message


def make(account, data=DATA):
    disk_id = account.make_disk(data)
    return disk_id, account.make_snapshot(disk_id)


def make_of_instance(account):
    instance_id = make_instance(account, data_disk())
    disk_id = list_disks_of(account, instance_id)[1]
    account.write(disk_id, DATA)
    return instance_id, disk_id, account.make_snapshot(disk_id)


def test_b33_what_does_not_exist(account, stranger):
    disk_id, snapshot_id = make(account)
    foreign_disk, foreign_snapshot = make(stranger, b"x")
    for unknown in ("d-unknown", foreign_disk):
        code, message = refuse(account, unknown, snapshot_id)
        assert code == (404, "InvalidDiskId.NotFound")
        assert unknown in message
    for unknown in ("s-unknown", foreign_snapshot):
        code, message = refuse(account, disk_id, unknown)
        assert code == (404, "InvalidSnapshotId.NotFound")
        assert unknown in message


def test_b33_the_snapshot_of_another_disk(account):
    disk_id, snapshot_id = make(account)
    other = account.make_disk(b"other")
    code, message = refuse(account, other, snapshot_id)
    assert code == (403, "InvalidParameter.Mismatch")
    assert all(each in message for each in (other, snapshot_id, disk_id, "Create a disk from the snapshot"))


def test_b33_the_instance_runs(account):
    instance_id, disk_id, snapshot_id = make_of_instance(account)
    start(account, instance_id)
    code, message = refuse(account, disk_id, snapshot_id)
    assert code == (403, "IncorrectInstanceStatus")
    assert all(each in message for each in (instance_id, "Running", "Stopped"))


def test_b33_the_instance_is_locked_or_its_account_overdue(service, account):
    instance_id, disk_id, snapshot_id = make_of_instance(account)

    def change(verb, *arguments, **options):
        with open_metadata(service.data_dir) as (database, _), database.transaction() as session:
            verb(session, *arguments, **options)

    change(set_security_lock, instance_id, is_locked=True)
    code, message = refuse(account, disk_id, snapshot_id)
    assert code == (403, "InstanceLockedForSecurity")
    assert instance_id in message
    assert "ask the operator" in message
    change(set_security_lock, instance_id, is_locked=False)
    change(set_standing, account.account_id, AccountStanding.SUSPENDED)
    code, message = refuse(account, disk_id, snapshot_id)
    assert code == (403, "InstanceExpiredOrInArrears")
    assert "settle" in message
    disks = [m.ResetDisksRequestDisk(disk_id=disk_id, snapshot_id=snapshot_id)]
    with pytest.raises(ClientException) as refused:
        account.new_sdk().reset_disks(m.ResetDisksRequest(region_id=REGION, disk=disks))
    assert (refused.value.status_code, refused.value.code) == (403, "InstanceExpiredOrInArrears")
    assert account.describe("Disk", disk_id)["Status"] == "In_use", "a refusal changes nothing"


def test_b33_the_account_is_overdue_and_the_disk_has_no_instance(service, account):
    disk_id, snapshot_id = make(account)
    with open_metadata(service.data_dir) as (database, _), database.transaction() as session:
        set_standing(session, account.account_id, AccountStanding.SUSPENDED)
    code, message = refuse(account, disk_id, snapshot_id)
    assert code == (403, "InvalidAccountStatus.NotEnoughBalance")
    assert "settle" in message
    assert account.describe("Disk", disk_id)["Status"] == "Available"
    assert account.read(disk_id, len(DATA)) == DATA


def test_b33_the_disk_is_open(account):
    disk_id, snapshot_id = make(account)
    with connected(account, disk_id):
        code, message = refuse(account, disk_id, snapshot_id)
        assert code == (403, "IncorrectDiskStatus")
        assert disk_id in message
        assert "close" in message


def test_b33_a_snapshot_is_not_finished(account):
    disk_id, snapshot_id = make(account)
    account.write(disk_id, os.urandom(LARGE))
    request = m.CreateSnapshotRequest(disk_id=disk_id)
    unfinished = account.new_sdk().create_snapshot(request).body.snapshot_id
    code, message = refuse(account, disk_id, snapshot_id)
    assert code == (403, "IncorrectDiskStatus.HasUnfinishedSnapshot")
    assert all(each in message for each in (unfinished, disk_id, "wait"))
    code, message = refuse(account, disk_id, unfinished)
    assert code == (403, "InvalidSnapshotId.NotReady")
    assert all(each in message for each in (unfinished, "wait"))
    account.wait_snapshot(unfinished)


def test_b33_the_disk_is_rolled_back_already(account):
    disk_id, snapshot_id = make(account, os.urandom(LARGE))
    account.write(disk_id, b"changed" * 1000)
    account.new_sdk().reset_disk(m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id))
    code, message = refuse(account, disk_id, snapshot_id)
    assert code == (403, "InvalidOperation.DiskResetInProgress")
    assert all(each in message for each in (disk_id, "wait"))
    account.wait_disk(disk_id)
