"""An account that does not pay, through the official client: an installation of its own, whose clock is moved."""

import json
import os
from datetime import datetime, timedelta

import alibabacloud_ecs20140526.models as m
import pytest

from tests.conformance.conftest import REGION, serving, wait_until
from tests.conformance.instances import code_of, make_instance
from tests.conformance.test_policies import apply, create, get
from tests.factories.payments import write_terms
from tests.factories.service_process import advance_to, read_clock, run_here

SIZE = 1 << 20
SUSPENDED = (403, "InvalidAccountStatus.NotEnoughBalance")
LOCKED = (403, "InstanceExpiredOrInArrears")
EVERY_DAY = {"time_points": "[12]", "repeat_weekdays": "[1,2,3,4,5,6,7]", "retention_days": -1}
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def paid_service(tmp_path_factory):
    """Where a MiB costs a hundred dollars a month, to be paid a day after the bill."""
    folder = tmp_path_factory.mktemp("paid")
    write_terms(folder / "data")
    with serving(folder, "--movable-clock") as service:
        yield service


@pytest.fixture
def debtor(paid_service):
    account = paid_service.add_account()
    yield account
    account.close()


@pytest.fixture
def neighbour(paid_service):
    account = paid_service.add_account()
    yield account
    account.close()


def operate(account, *arguments):
    """A command of the operator's, on the data directory."""
    return run_here(account.service.data_dir, *arguments)


def advance(account, instant):
    advance_to(account.service.data_dir, instant)


def standing(account):
    return account.lamina().call("DescribeAccountStanding", {"MaxResults": 100})


def list_ids(account):
    body = (
        account.new_sdk().describe_snapshots(m.DescribeSnapshotsRequest(region_id=REGION, page_size=100)).body
    )
    return {each.snapshot_id for each in body.snapshots.snapshot}


def owed(account):
    [balance] = account.lamina().call("DescribeBalance")["Balances"]["Balance"]
    return balance


def fall_behind(account):
    """The month ends, its bill is made, and falls due; answers when."""
    now = read_clock(account.service.data_dir)
    month = (now.replace(day=1) + 32 * DAY).replace(day=1, hour=0, minute=0, second=0)
    advance(account, month + timedelta(hours=2))
    [charge] = account.lamina().call("DescribeLedger")["Entries"]["Entry"]
    assert (charge["Kind"], charge["Reference"]) == ("charge", f"{account.account_id}-{now:%Y-%m}")
    assert owed(account)["Amount"] == charge["Amount"] == charge["Balance"]
    assert standing(account)["Standing"] == "normal"
    due = datetime.fromisoformat(charge["DueTime"])
    advance(account, due)
    assert standing(account)["Standing"] == "overdue"
    return due


class Estate:
    """What the debtor has: snapshots of every kind, and a policy."""

    def __init__(self, account):
        self.account = account
        now = read_clock(account.service.data_dir)
        month_ends = (now.replace(day=1) + 32 * DAY).replace(day=1)
        self.bytes = {}
        self.disk_id = account.make_disk()
        self.plain = self.take()
        self.expiring = self.take(RetentionDays=(month_ends - now).days + 8)
        self.of_disk = self.take()
        self.locked = self.take()
        lock = {"SnapshotId": self.locked, "LockMode": "compliance", "LockDuration": 100, "CoolOffPeriod": 0}
        account.lamina().call("LockSnapshot", {"RegionId": REGION, **lock})
        self.copy = self.restore(self.of_disk)
        self.system = account.make_snapshot(account.make_disk(os.urandom(SIZE), DiskType="system"))
        self.image = account.lamina().call("CreateImage", {"RegionId": REGION, "SnapshotId": self.system})[
            "ImageId"
        ]
        self.instance = make_instance(account)

    def take(self, **options):
        data = os.urandom(SIZE)
        self.account.write(self.disk_id, data)
        snapshot_id = self.account.make_snapshot(self.disk_id, **options)
        self.bytes[snapshot_id] = data
        return snapshot_id

    def restore(self, snapshot_id):
        """A disk of a snapshot, with its exact bytes."""
        new = m.CreateDiskRequest(
            region_id=REGION, zone_id=f"{REGION}-h", snapshot_id=snapshot_id, disk_category="cloud_auto"
        )
        disk_id = self.account.new_sdk().create_disk(new).body.disk_id
        self.account.wait_disk(disk_id)
        assert self.account.read(disk_id, SIZE) == self.bytes[snapshot_id]
        return disk_id


def check_what_is_refused(estate, policy_id):
    """24 hours overdue: nothing that makes snapshots or is made from them; looking and deleting goes on."""
    account, sdk = estate.account, estate.account.new_sdk()
    snapshot = m.CreateSnapshotRequest(disk_id=estate.disk_id)
    group = m.CreateSnapshotGroupRequest(region_id=REGION, disk_id=[estate.disk_id])
    disk = m.CreateDiskRequest(
        region_id=REGION, zone_id=f"{REGION}-h", snapshot_id=estate.plain, disk_category="cloud_auto"
    )
    reset = m.ResetDiskRequest(disk_id=estate.disk_id, snapshot_id=estate.plain)
    resets = m.ResetDisksRequest(
        region_id=REGION, disk=[m.ResetDisksRequestDisk(disk_id=estate.disk_id, snapshot_id=estate.plain)]
    )
    image = m.CreateImageRequest(region_id=REGION, snapshot_id=estate.system)
    copy = m.CopyImageRequest(region_id=REGION, image_id=estate.image, destination_region_id="cn-beijing")
    for call, request in (
        (sdk.create_snapshot, snapshot),
        (sdk.create_snapshot_group, group),
        (sdk.create_disk, disk),
        (sdk.reset_disk, reset),
        (sdk.reset_disks, resets),
        (sdk.create_image, image),
        (sdk.copy_image, copy),
    ):
        assert code_of(call, request) == SUSPENDED, request
    assert code_of(create, account) == SUSPENDED
    assert code_of(apply, account, policy_id, estate.disk_id) == SUSPENDED
    assert code_of(sdk.start_instance, m.StartInstanceRequest(instance_id=estate.instance)) == LOCKED
    attach = m.AttachDiskRequest(instance_id=estate.instance, disk_id=estate.copy)
    assert code_of(sdk.attach_disk, attach) == LOCKED
    for noun, resource_id in (("Instance", estate.instance), ("Disk", estate.disk_id)):
        locks = account.describe(noun, resource_id)["OperationLocks"]
        assert "financial" in json.dumps(locks)
    assert get(account, policy_id).status == "Expire"


def test_b52_e05_e05a_e05b_from_the_bill_to_the_purge_and_back(debtor, neighbour):
    estate = Estate(debtor)
    due = fall_behind(debtor)
    purge = due + 15 * DAY
    policy_id = create(debtor, **EVERY_DAY)
    apply(debtor, policy_id, estate.disk_id)
    extra = estate.take()
    assert standing(debtor)["PurgeTime"] == f"{purge:%Y-%m-%dT%H:%M:%SZ}"

    advance(debtor, due + DAY)
    assert standing(debtor)["Standing"] == "suspended"
    check_what_is_refused(estate, policy_id)
    before = list_ids(debtor)
    automatic = before - estate.bytes.keys() - {estate.system}
    plan = debtor.lamina().call("DescribeArrearsForecast")["Departures"]["Departure"]
    goes = {each["ResourceId"]: each.get("GoesTime") for each in plan}
    assert {each for each, at in goes.items() if at == f"{purge:%Y-%m-%dT%H:%M:%SZ}"} == {
        estate.plain,
        extra,
        policy_id,
        *automatic,
    }
    assert goes[estate.of_disk] is goes[estate.system] is None
    shown = operate(debtor, "bill", "forecast", "--account", debtor.account_id)
    assert {each["resource"]: each["goes_at"] for each in shown} == goes

    advance(debtor, purge - timedelta(hours=1))
    assert list_ids(debtor) == before - {estate.expiring}, "only what is past its retention"
    assert get(debtor, policy_id).status == "Expire"
    sdk = debtor.new_sdk()
    sdk.delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=extra))

    advance(debtor, purge)
    assert standing(debtor)["Standing"] == "purging"
    left = {estate.of_disk, estate.system, estate.locked}
    assert list_ids(debtor) == left
    told = {each["Subject"] for each in standing(debtor)["Events"]["Event"] if each["Kind"] != "standing"}
    assert told == before - left - {extra} | {policy_id}, (
        "and nothing else; what the owner deleted is not told"
    )

    amount = owed(debtor)["DueAmount"]
    for _ in range(2):  # the same transfer is entered once
        entered = operate(debtor, "bill", "pay", debtor.account_id, amount, "--reference", "transfer 1")
        assert (entered["balance"], entered["standing"]) == ("0.00", "normal")
    assert code_of(apply, debtor, policy_id, estate.disk_id) == (404, "ParameterInvalid")
    for each in (estate.of_disk, estate.locked):
        estate.restore(each)
    estate.take()
    start = m.StartInstanceRequest(instance_id=estate.instance)
    sdk.start_instance(start)
    assert standing(neighbour)["Standing"] == "normal"
    assert neighbour.lamina().call("DescribeLedger")["Entries"]["Entry"] == []


def test_b52_nobody_sees_what_another_account_owes(debtor, neighbour):
    debtor.make_snapshot(debtor.make_disk(os.urandom(SIZE)))
    fall_behind(debtor)
    assert owed(debtor)["Amount"].startswith("-")
    assert neighbour.lamina().call("DescribeBalance") | {"RequestId": ""} == {
        "Balances": {"Balance": []},
        "Standing": "normal",
        "RequestId": "",
    }
    assert standing(neighbour)["Events"]["Event"] == []
    assert neighbour.lamina().call("DescribeArrearsForecast")["Departures"]["Departure"] == []
    row = next(
        each for each in operate(debtor, "bill", "accounts") if each["account_id"] == debtor.account_id
    )
    assert (row["standing"], row["overdue"]) == ("overdue", owed(debtor)["DueAmount"])
    assert debtor.account_id in debtor.run("account", "list", "--data", debtor.service.data_dir).stdout


def test_b52_e05a_paying_in_time_keeps_everything(debtor):
    disk_id = debtor.make_disk(os.urandom(SIZE))
    snapshot_id = debtor.make_snapshot(disk_id)
    due = fall_behind(debtor)
    advance(debtor, due + 14 * DAY)
    assert code_of(debtor.new_sdk().create_snapshot, m.CreateSnapshotRequest(disk_id=disk_id)) == SUSPENDED
    operate(debtor, "bill", "correct", debtor.account_id, "--note", "goodwill", "0.01")
    assert standing(debtor)["Standing"] == "suspended", "a part is not everything"
    operate(debtor, "bill", "pay", debtor.account_id, owed(debtor)["DueAmount"])
    again = debtor.make_snapshot(disk_id)
    advance(debtor, due + 16 * DAY)
    assert list_ids(debtor) == {snapshot_id, again}
    table = debtor.run("bill", "ledger").stdout
    assert ("payment" in table, "goodwill" in table) == (True, True)
    assert "normal" in debtor.run("bill", "standing").stdout
    assert "0.00" in debtor.run("bill", "balance").stdout


def test_b53_e06_advice_says_what_deleting_really_frees(paid_service, debtor):
    disk_id = debtor.make_disk(os.urandom(4 * SIZE))
    first = debtor.make_snapshot(disk_id)
    debtor.write(disk_id, os.urandom(SIZE))
    second = debtor.make_snapshot(disk_id)
    sdk = debtor.new_sdk()

    def usage():
        return sdk.describe_snapshots_usage(
            m.DescribeSnapshotsUsageRequest(region_id=REGION)
        ).body.snapshot_size

    wait_until(usage, lambda size: size == 5 * SIZE)
    advice = json.loads(debtor.run("bill", "advise", "--json").stdout)
    ranked = {each["SnapshotId"]: each for each in advice["Snapshots"]}
    assert ranked[first]["IncrementalBytes"] == 4 * SIZE
    assert (ranked[first]["SavedBytes"], ranked[second]["SavedBytes"]) == (SIZE, SIZE)
    assert ranked[first]["MonthlySaving"] == "97.656250"
    assert advice["MonthlyCost"] == "488.281250"
    sdk.delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=first))
    wait_until(usage, lambda size: size == 4 * SIZE)
    sdk.delete_disk(m.DeleteDiskRequest(disk_id=disk_id))
    wait_until(lambda: debtor.describe("Disk", disk_id), lambda disk: disk is None)
    advice = debtor.lamina().call("DescribeAdvice")
    [found] = advice["Findings"]["Finding"]
    assert (found["Kind"], found["Subject"]) == ("orphaned-chain", disk_id)
    assert found["MonthlySaving"] == advice["TotalSaving"] == "390.625000"
    assert "orphaned-chain" in debtor.run("bill", "advise").stdout


def test_b53_nobody_gets_advice_about_another_account(debtor, neighbour):
    debtor.make_snapshot(debtor.make_disk(os.urandom(SIZE)))
    advice = neighbour.lamina().call("DescribeAdvice")
    assert (advice["Snapshots"]["Snapshot"], advice["Findings"]["Finding"]) == ([], [])
    assert advice["MonthlyCost"] == "0.000000"
