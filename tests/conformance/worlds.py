"""An account with one resource of every kind, and its rows as they lie in the database."""

import sqlite3
import time
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.request import Request, urlopen

from lamina.cli.client import CallRefusedError
from lamina.control.installation import open_metadata
from lamina.control.shown_tasks.records import ShownTaskRecord
from lamina.control.shown_tasks.states import TaskAction
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import TaskState
from tests.conformance.conftest import REGION, ZONE, wait_until
from tests.factories.raw_calls import RawCaller

# Rows that the service itself changes while nobody calls.
_RESTLESS = {"calls", "connections", "client_tokens"}


@dataclass
class World:
    """One account.

    Attributes:
        account: it, with its clients.
        raw: signs calls with its key.
        own: the id of a resource of each kind.
    """

    account: object
    raw: RawCaller
    own: dict[str, str]

    def renew(self):
        """A connection ends after a few seconds; on a slow machine it may have ended already."""
        call = self.account.lamina().call
        try:
            call("RenewDiskConnection", {"ConnectionId": self.own["connection"]})
        except CallRefusedError:
            self.own["connection"] = call("ConnectDisk", {"DiskId": self.own["connected"]})["ConnectionId"]

    def settle(self):
        """Wait until no task of this account is under way; other tests share the service, and theirs may pause."""
        wait_until(self._is_idle, lambda is_idle: is_idle)

    def count_rows(self):
        """How many rows the account has, by table."""
        return {table: len(rows) for table, rows in self.dump().items()}

    def is_counted(self):
        """Whether the sizes of all snapshots are counted; that may begin two seconds after the last was made."""
        with closing(self._open()) as database:
            uncounted = "SELECT count(*) FROM snapshot_chains WHERE account_id = ? AND NOT is_counted"
            return database.execute(uncounted, (self.account.account_id,)).fetchone() == (0,)

    def _is_idle(self):
        with closing(self._open()) as database:
            active = "SELECT count(*) FROM tasks WHERE state IN ('queued', 'running') AND arguments LIKE ?"
            return database.execute(active, (f"%{self.account.account_id}%",)).fetchone() == (0,)

    def _open(self):
        path = self.account.service.data_dir / "lamina.sqlite"
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def dump(self):
        """All rows of the account, by table."""
        rows = {}
        with closing(self._open()) as database:
            tables = [
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            for table in tables:
                columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                if "account_id" in columns and table not in _RESTLESS:
                    query = f"SELECT * FROM {table} WHERE account_id = ? ORDER BY 1, 2, 3"
                    rows[table] = database.execute(query, (self.account.account_id,)).fetchall()
            holds = "SELECT * FROM snapshot_holds WHERE snapshot_id IN (SELECT id FROM snapshots WHERE account_id = ?)"
            rows["snapshot_holds"] = database.execute(
                f"{holds} ORDER BY 1, 2, 3", (self.account.account_id,)
            ).fetchall()
        return rows


@contextmanager
def build_world(service):
    """A new account with one resource of every kind, with real bytes."""
    account = service.add_account()
    raw = RawCaller(service.host, account.access_key_id, account.secret)
    try:
        world = World(account, raw, _make_resources(account))
        wait_until(lambda: _is_quiet(world), lambda is_quiet: is_quiet)
        yield world
    finally:
        account.close()
        raw.close()


def _make_resources(account):
    call = account.lamina().call
    disk = account.make_disk(b"data" * 1024, size_gib=20, Tag=[{"Key": "key", "Value": "value"}])
    snapshot = account.make_snapshot(disk)
    connected = account.make_disk()
    connection = call("ConnectDisk", {"DiskId": connected})["ConnectionId"]
    in_region = {"RegionId": REGION}
    machine = {
        "InstanceType": "ecs.g6.large",
        "ImageId": "lamina_empty_x86_64.vhd",
        "ZoneId": ZONE,
        "SystemDisk.Category": "cloud_essd",
    }
    instance = call("CreateInstance", {**in_region, **machine})["InstanceId"]
    running = call("CreateInstance", {**in_region, **machine})["InstanceId"]
    doomed = call("CreateInstance", {**in_region, **machine})["InstanceId"]
    wait_until(
        lambda: call("DescribeInstances", in_region)["Instances"]["Instance"],
        lambda found: {each["Status"] for each in found} == {"Stopped"},
    )
    call("StartInstance", {"InstanceId": running})
    attached = account.make_disk(size_gib=20)
    wait_until(
        lambda: call("DescribeInstances", {**in_region, "Status": "Running"})["TotalCount"],
        lambda count: count == 1,
    )
    call("AttachDisk", {"InstanceId": running, "DiskId": attached})
    wait_until(lambda: account.describe("Disk", attached)["Status"], lambda status: status == "In_use")
    locked = account.make_snapshot(disk)
    lock = {"LockMode": "compliance", "LockDuration": 1, "CoolOffPeriod": 24}
    call("LockSnapshot", {**in_region, "SnapshotId": locked, **lock})
    policy = call(
        "CreateAutoSnapshotPolicy",
        {"regionId": REGION, "timePoints": '["3"]', "repeatWeekdays": '["1"]', "retentionDays": 7},
    )["AutoSnapshotPolicyId"]
    group = call("CreateSnapshotGroup", {**in_region, "DiskId": [disk], "Name": "group"})["SnapshotGroupId"]
    wait_until(
        lambda: call("DescribeSnapshotGroups", {**in_region, "SnapshotGroupId": [group]}),
        lambda found: found["SnapshotGroups"]["SnapshotGroup"][0]["Status"] == "accomplished",
    )
    bucket = f"bucket-{uuid.uuid4().hex[:20]}"
    call("CreateBucket", {**in_region, "BucketName": bucket})
    _put_object(account, bucket)
    return {
        **_make_image(account),
        "bucket": bucket,
        "disk": disk,
        "snapshot": snapshot,
        "chain": "sl-" + disk.removeprefix("d-"),
        "connected": connected,
        "connection": connection,
        "attached": attached,
        "locked": locked,
        "instance": instance,
        "running": running,
        "doomed": doomed,
        "policy": policy,
        "group": group,
        "task": _add_task(account, disk),
    }


def _make_bucket(account):
    name = f"bucket-{uuid.uuid4().hex[:20]}"
    account.lamina().call("CreateBucket", {"RegionId": REGION, "BucketName": name})
    return name


def _put_object(account, bucket):
    """An object that an image can be imported from."""
    new = {"RegionId": REGION, "BucketName": bucket, "ObjectKey": "system.raw", "Method": "PUT"}
    link = account.lamina().call("CreateBucketLink", new)["Link"]
    request = Request(link, data=b"system" * 1024, method="PUT")
    with urlopen(request, timeout=20) as reply:
        assert reply.status == 200


def _make_image(account):
    system = account.make_snapshot(account.make_disk(b"system" * 1024, DiskType="system"))
    tags = [{"Key": "key", "Value": "value"}]
    new = {"RegionId": REGION, "SnapshotId": system, "ImageFamily": "web", "Tag": tags}
    return {"system": system, "image": account.lamina().call("CreateImage", new)["ImageId"]}


def _is_quiet(world):
    """Whether nothing of what was made is still counted, settled or forgotten in the background."""
    before = world.dump()
    time.sleep(0.5)
    world.renew()
    return world.is_counted() and world.dump() == before


def _add_task(account, disk):
    """A task that has ended; those that run would change the rows of the account."""
    task_id = f"t-{uuid.uuid4().hex[:20]}"
    now = datetime.now(UTC)
    with open_metadata(account.service.data_dir) as (database, _), database.transaction() as session:
        session.add(
            TaskRecord(
                id=task_id,
                kind="spec",
                lane="quick",
                key=disk,
                arguments="{}",
                state=TaskState.SUCCEEDED,
                created_at=now,
                finished_at=now,
            )
        )
        session.add(
            ShownTaskRecord(
                task_id=task_id,
                account_id=account.account_id,
                region_id=REGION,
                action=TaskAction.EXPORT_IMAGE,
                resource_id=disk,
                created_at=now,
            )
        )
    return task_id
