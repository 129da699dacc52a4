"""`lamina migrate` between two accounts of a served installation: done, failed, interrupted, killed and cleaned up."""

import json
import os
import signal
import subprocess
from contextlib import ExitStack, contextmanager

import pytest

from lamina.cli.client import EcsClient, read_profile
from lamina.cli.disk.connection import connect_disk
from lamina.clock import SystemClock
from lamina.control.accounts.access_keys import add_access_key
from lamina.control.accounts.create import create_account
from lamina.control.installation import open_metadata
from lamina.settings import Settings
from tests.factories.service_process import LAMINA, SECONDS, serving
from tests.servers.late_line import late_line

REGION = "cn-hangzhou"
IN_REGION = {"RegionId": REGION}
FIRST, SECOND, SYSTEM = os.urandom(200_000), os.urandom(100_000), os.urandom(50_000)
CLOCK = SystemClock()
NOTHING = {"Image": [], "Instance": [], "Snapshot": [], "Disk": []}


class Account:
    """One account: its profile, and what it has."""

    def __init__(self, folder, name, profile):
        self.path = folder / f"{name}-{profile['account_id']}.json"
        self.path.write_text(json.dumps(profile))
        self.account_id = profile["account_id"]
        self.client = EcsClient(read_profile(self.path, Settings()))

    def list(self, noun):
        extra = {"ImageOwnerAlias": "self"} if noun == "Image" else {}
        return self.client.call(f"Describe{noun}s", {**IN_REGION, **extra})[f"{noun}s"][noun]

    def wait(self, noun, resource_id, status):
        deadline = CLOCK.monotonic() + SECONDS
        while True:
            found = [each["Status"] for each in self.list(noun) if each[f"{noun}Id"] == resource_id]
            if found == [status]:
                return
            assert CLOCK.monotonic() < deadline, found
            CLOCK.sleep(0.05)

    def make_disk(self, content, **options):
        new = {**IN_REGION, "ZoneId": "cn-hangzhou-h", "SizeInBytes": 1 << 30, **options}
        disk = self.client.call("ImportDisk", new)["DiskId"]
        self.wait("Disk", disk, "Available")
        with connect_disk(self.client, disk) as connection:
            connection.write(0, content)
            connection.flush()
        return disk

    def make_snapshot(self, content, name=None, **options):
        disk = self.make_disk(content, **options)
        snapshot = self.client.call("CreateSnapshot", {"DiskId": disk, "SnapshotName": name})["SnapshotId"]
        self.wait("Snapshot", snapshot, "accomplished")
        return snapshot

    def restore(self, snapshot, length):
        new = {**IN_REGION, "ZoneId": "cn-hangzhou-h", "SnapshotId": snapshot, "DiskCategory": "cloud_auto"}
        disk = self.client.call("CreateDisk", new)["DiskId"]
        self.wait("Disk", disk, "Available")
        with connect_disk(self.client, disk) as connection:
            return connection.read(0, -(-length // 512) * 512)[:length]

    def dump(self):
        """The ids of all that it has."""
        return {
            noun: sorted(each[f"{noun}Id"] for each in self.list(noun))
            for noun in ("Image", "Instance", "Snapshot", "Disk")
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("migrate")
    with serving(folder):
        yield folder


@pytest.fixture
def accounts(folder):
    with ExitStack() as stack:
        made = [Account(folder, name, make_profile(folder, name)) for name in ("from", "to")]
        for account in made:
            stack.callback(account.client.close)
        yield made


def make_profile(folder, name):
    """A new account, as `lamina account create --json` prints it."""
    first = json.loads((folder / "data" / "credentials.json").read_text())
    with open_metadata(folder / "data") as (database, vault), database.transaction() as session:
        account = create_account(session, CLOCK, name=name)
        key = add_access_key(session, vault, CLOCK, account.id)
    mine = {"account_id": account.id, "access_key_id": key.id, "access_key_secret": key.secret}
    return {**first, **mine}


def start_migration(accounts, *arguments):
    one, two = accounts
    command = [*LAMINA, "migrate", *arguments, "--from", one.path, "--to", two.path]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in a shell's background, SIGINT is ignored, which children inherit.
        preexec_fn=_heed_interrupts,  # noqa: PLW1509 - nobody forks while another thread holds a lock of ours
    )


def _heed_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def migrate(accounts, *arguments, status=0):
    process = start_migration(accounts, *arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, err
    return (json.loads(out) if out.startswith("{") else out), err


def test_b44_snapshots_of_data_disks_migrate_and_nothing_else_is_left(accounts):
    one, two = accounts
    snapshots = [one.make_snapshot(FIRST, "first"), one.make_snapshot(SECOND)]
    before = one.dump()
    report, told = migrate(accounts, *snapshots, "--json")
    assert [each["source"] for each in report["snapshots"]] == snapshots
    new = [each["snapshot"] for each in report["snapshots"]]
    assert (len(report["steps"]), report["left"]) == (5, None)
    assert "5/5" in told
    assert one.dump() == before
    assert two.dump() == {"Image": [], "Instance": [], "Snapshot": sorted(new), "Disk": []}
    (first,) = [each for each in two.list("Snapshot") if each["SnapshotId"] == new[0]]
    assert first["SnapshotName"] == "first"
    assert first["Tags"]["Tag"] == [{"TagKey": "lamina-migrated-from", "TagValue": snapshots[0]}]
    assert two.restore(new[0], len(FIRST)) == FIRST
    assert two.restore(new[1], len(SECOND)) == SECOND


def test_b44_a_snapshot_of_a_system_disk_migrates_with_one_of_a_data_disk(accounts):
    one, two = accounts
    snapshots = [one.make_snapshot(FIRST), one.make_snapshot(SYSTEM, DiskType="system")]
    report, _ = migrate(accounts, *snapshots, "--json")
    new = {each["source"]: each["snapshot"] for each in report["snapshots"]}
    assert two.restore(new[snapshots[0]], len(FIRST)) == FIRST
    assert two.restore(new[snapshots[1]], len(SYSTEM)) == SYSTEM
    assert one.dump()["Snapshot"] == sorted(snapshots)


def test_b44_all_disks_of_an_instance_migrate(accounts):
    one, two = accounts
    new = {**IN_REGION, "InstanceType": "ecs.g6.large", "ImageId": "lamina_empty_x86_64.vhd"}
    (instance,) = one.client.call("RunInstances", new)["InstanceIdSets"]["InstanceIdSet"]
    one.wait("Instance", instance, "Running")
    disk = one.make_disk(FIRST)
    one.client.call("AttachDisk", {"InstanceId": instance, "DiskId": disk})
    one.wait("Disk", disk, "In_use")
    before = one.dump()
    report, _ = migrate(accounts, instance, "--json")
    new = {each["source"]: each["snapshot"] for each in report["snapshots"]}
    assert len(new) == 2
    assert two.restore(new[disk], len(FIRST)) == FIRST
    assert one.dump() == before


def test_a_migration_that_fails_leaves_nothing(accounts, folder):
    one, two = accounts
    snapshot = one.make_snapshot(FIRST)
    before = one.dump()
    wrong = make_profile(folder, "wrong")["account_id"]
    _, told = migrate(accounts, snapshot, "--to-account", wrong, status=2)
    assert "does not see image" in told
    assert "undoing" in told
    assert one.dump() == before
    _, told = migrate(accounts, snapshot, "--instance-type", "ecs.none", status=2)
    assert "3/5" in told
    assert (one.dump(), two.dump()["Instance"]) == (before, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_migration_that_is_interrupted_leaves_nothing(accounts, number):
    one, two = accounts
    snapshot = one.make_snapshot(FIRST)
    before = one.dump()
    process = start_migration(accounts, snapshot)
    wait_for_step(process, "3/5")
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, "undoing" in told) == (4, True), told
    assert one.dump() == before
    assert two.dump() == NOTHING


def test_what_a_call_makes_during_which_a_migration_is_interrupted_goes_as_well(accounts):
    one, two = accounts
    snapshot = one.make_snapshot(FIRST)
    before = one.dump()
    with making_late(two, looks=2, seconds=1) as line:
        process = start_migration(accounts, snapshot)
        assert line.is_sent.wait(SECONDS)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, "undoing" in told) == (4, True), told
    assert one.dump() == before
    assert two.dump() == NOTHING


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_what_a_call_makes_whose_migration_was_killed_meanwhile_is_cleaned_up(accounts, looks):
    one, two = accounts
    snapshot = one.make_snapshot(FIRST)
    before = one.dump()
    with making_late(two, looks=looks) as line:
        process = start_migration(accounts, snapshot)
        migration_id = wait_for_step(process, "3/5")
        assert line.is_sent.wait(SECONDS)
        process.kill()
        process.communicate(timeout=60)
        migrate(accounts, "--clean-up", migration_id)
        assert line.is_answered.wait(SECONDS)
    assert one.dump() == before
    assert two.dump() == NOTHING


@pytest.mark.parametrize("step", ["1/5", "2/5", "3/5", "4/5", "5/5"])
def test_what_a_killed_migration_left_is_cleaned_up(accounts, step):
    one, two = accounts
    snapshot = one.make_snapshot(FIRST)
    before = one.dump()
    process = start_migration(accounts, snapshot)
    migration_id = wait_for_step(process, step)
    process.kill()
    process.communicate(timeout=60)
    cleaned, _ = migrate(accounts, "--clean-up", migration_id, "--json")
    assert cleaned["migration"] == migration_id
    assert one.dump() == before
    left = two.dump()
    kept = 1 if step == "5/5" else 0  # from then on the new snapshot stays
    assert (left["Image"], left["Instance"], len(left["Snapshot"]), left["Disk"]) == ([], [], kept, [])
    again, _ = migrate(accounts, "--clean-up", migration_id, "--json")
    assert again["removed"] == 0


@contextmanager
def making_late(account, **options):
    """Have an account's profile name a line on which an instance is made after somebody has looked for it."""
    origin = account.client.origin
    with late_line(origin, "RunInstances", looking="DescribeInstances", **options) as line:
        profile = json.loads(account.path.read_text())
        account.path.write_text(json.dumps({**profile, "endpoint": line.origin}))
        yield line


def wait_for_step(process, step):
    """Read what it tells until a step begins; answers the migration's id."""
    migration_id = None
    for line in process.stderr:
        if line.startswith("migration "):
            migration_id = line.split()[1].rstrip(";")
        if line.startswith(step):
            return migration_id
    raise AssertionError(f"it ended before step {step}")


def test_what_does_not_migrate_is_refused_before_anything_is_made(accounts):
    one, two = accounts
    encrypted = one.make_snapshot(FIRST, Encrypted="true")
    before = one.dump()
    system = [one.make_snapshot(SYSTEM, DiskType="system") for _ in range(2)]
    for arguments, message in (
        ([encrypted], "is encrypted"),
        (["s-none"], "there is no snapshot s-none"),
        (["i-none"], "there is no instance i-none"),
        (system, "one snapshot of a system disk"),
        (["i-one", "s-two"], "by itself"),
        ([], "name snapshots or an instance"),
    ):
        _, told = migrate(accounts, *arguments, status=2)
        assert message in told
    assert one.dump()["Image"] == before["Image"] == []
    profile = json.loads(two.path.read_text())
    del profile["account_id"]
    two.path.write_text(json.dumps(profile))
    _, told = migrate(accounts, system[0], status=2)
    assert "--to-account" in told
