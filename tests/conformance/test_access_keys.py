"""Several keys for one account, made and ended by the command line while the service runs; and its audit log."""

import json

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.conformance.conftest import REGION, Account


@pytest.fixture
def manage(account):
    def run(*arguments):
        done = account.run(*arguments, "--data", account.service.data_dir)
        return json.loads(done.stdout) if "--json" in arguments else done.stderr

    return run


@pytest.fixture
def make_key(account, manage):
    made = []

    def make(*options):
        key = manage("account", "key", *options, "--json")
        client = Account(account.service, key["account_id"], key["access_key_id"], key["access_key_secret"])
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


def look(client):
    """`ok`, or why the key may not even look."""
    return try_it(client.new_sdk().describe_disks, m.DescribeDisksRequest(region_id=REGION))


def try_it(call, request):
    try:
        call(request)
    except ClientException as refused:
        return refused.status_code, refused.code
    return "ok"


def test_the_keys_of_an_account_share_its_resources(account, make_key):
    disk = account.make_disk(b"x" * 4096)
    second = make_key("create", account.account_id)
    assert second.account_id == account.account_id
    assert second.describe("Disk", disk)["DiskId"] == disk


def test_roles(account, make_key):
    disk = account.make_disk(b"x" * 4096)
    reader = make_key("create", account.account_id, "--role", "read-only")
    operator = make_key("create", account.account_id, "--role", "operator")
    create = m.CreateSnapshotRequest(disk_id=disk)
    assert look(reader) == "ok"
    assert try_it(reader.new_sdk().create_snapshot, create) == (403, "Forbidden.RAM")
    snapshot = operator.make_snapshot(disk)
    delete = m.DeleteSnapshotRequest(snapshot_id=snapshot)
    assert try_it(operator.new_sdk().delete_snapshot, delete) == (403, "Forbidden.RAM")
    assert account.describe("Snapshot", snapshot)["Status"] == "accomplished"
    assert try_it(account.new_sdk().delete_snapshot, delete) == "ok"


def test_a_key_that_was_disabled_or_deleted_ends_at_once(account, make_key, manage):
    key = make_key("create", account.account_id)
    assert look(key) == "ok"
    manage("account", "key", "disable", key.access_key_id)
    assert look(key) == (403, "Forbidden.AccessKeyDisabled")
    manage("account", "key", "enable", key.access_key_id)
    assert look(key) == "ok"
    manage("account", "key", "delete", key.access_key_id)
    assert look(key) == (400, "InvalidAccessKeyId.NotFound")
    again = account.run(
        "account", "key", "delete", key.access_key_id, "--data", account.service.data_dir, check=False
    )
    assert (again.returncode, "there is no access key" in again.stderr) == (2, True)
    assert look(account) == "ok"


def test_a_rotated_key_has_the_same_role_and_ends_when_its_time_is_over(account, make_key, manage):
    old = make_key("create", account.account_id, "--role", "operator")
    new = make_key("rotate", old.access_key_id)
    assert (look(old), look(new)) == ("ok", "ok")
    newest = make_key("rotate", old.access_key_id, "--overlap-hours", "0")
    assert (look(old), look(newest)) == ((403, "Forbidden.AccessKeyDisabled"), "ok")
    listed = {
        key["access_key_id"]: key for key in manage("account", "key", "list", account.account_id, "--json")
    }
    assert {listed[key.access_key_id]["role"] for key in (old, new, newest)} == {"operator"}
    assert listed[old.access_key_id]["expires_at"] is not None
    assert listed[new.access_key_id]["expires_at"] is None


def test_every_call_is_in_the_audit_log(account, make_key, manage):
    disk = account.make_disk(b"x" * 4096)
    reader = make_key("create", account.account_id, "--role", "read-only")
    with pytest.raises(ClientException) as refused:
        reader.new_sdk().delete_disk(m.DeleteDiskRequest(disk_id=disk))
    snapshot = account.new_sdk().create_snapshot(m.CreateSnapshotRequest(disk_id=disk)).body
    account.wait_snapshot(snapshot.snapshot_id)

    def find(**wanted):
        options = [part for name, value in wanted.items() for part in (f"--{name}", value)]
        return manage("audit", "list", *options, "--json")

    [created] = find(request=snapshot.request_id)
    assert (created["action"], created["outcome"], created["status"]) == ("CreateSnapshot", "ok", 200)
    assert created["resource"] == f"{disk},{snapshot.snapshot_id}"
    assert (created["account_id"], created["access_key_id"]) == (account.account_id, account.access_key_id)
    assert (created["client"], created["milliseconds"] > 0) == ("127.0.0.1", True)
    [forbidden] = find(account=account.account_id, action="DeleteDisk", since="10m")
    assert (forbidden["outcome"], forbidden["status"]) == ("Forbidden.RAM", 403)
    assert forbidden["request_id"] == refused.value.request_id
    assert forbidden["access_key_id"] == reader.access_key_id
    assert find(account=account.account_id, until="2020-01-01T00:00Z") == []
    assert len(find(limit="2")) == 2
    assert account.secret not in json.dumps(find(limit="1000000"))


def test_a_time_that_is_none_is_refused(account):
    done = account.run("audit", "list", "--since", "soon", check=False)
    assert (done.returncode, "is no time" in done.stderr) == (2, True)
