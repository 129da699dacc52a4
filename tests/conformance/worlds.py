"""An account with one resource of every kind, and its rows as they lie in the database."""

import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.request import Request, urlopen

from sqlalchemy import select

from lamina.blockio.qemu.formats import ImageFormat
from lamina.cli.client import CallRefusedError
from lamina.control.bulk_exports.records import BulkExportRecord, BulkItemRecord
from lamina.control.bulk_exports.states import BulkState, ItemState, SourceKind
from lamina.control.installation import open_metadata
from lamina.control.shown_tasks.records import ShownTaskRecord
from lamina.control.shown_tasks.states import TaskAction
from lamina.control.snapshots.records import ChainRecord, HoldRecord, SnapshotRecord
from lamina.database import Database, Record
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import ACTIVE, TaskState
from tests.conformance.conftest import REGION, ZONE, wait_until
from tests.factories.raw_calls import RawCaller

# Rows that the service itself changes while nobody calls.
_RESTLESS = {"calls", "connections", "client_tokens", "snapshot_usage"}


@dataclass
class World:
    """One account.

    Attributes:
        account: it, with its clients.
        raw: signs calls with its key.
        database: of the service.
        own: the id of a resource of each kind.
    """

    account: object
    raw: RawCaller
    database: Database
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
        is_own = ChainRecord.account_id == self.account.account_id
        return not self._has(select(ChainRecord).where(is_own, ChainRecord.is_counted.is_(False)))

    def _is_idle(self):
        is_own = TaskRecord.arguments.contains(self.account.account_id)
        return not self._has(select(TaskRecord).where(TaskRecord.state.in_(ACTIVE), is_own))

    def _has(self, query):
        with self.database.reading() as session:
            return session.scalars(query.limit(1)).first() is not None

    def dump(self):
        """All rows of the account, by table."""
        is_own = {
            table.name: table.c.account_id == self.account.account_id
            for table in Record.metadata.sorted_tables
            if "account_id" in table.c and table.name not in _RESTLESS
        }
        snapshots = select(SnapshotRecord.id).where(SnapshotRecord.account_id == self.account.account_id)
        is_own["snapshot_holds"] = HoldRecord.snapshot_id.in_(snapshots)
        with self.database.reading() as session:
            return {
                name: sorted(
                    map(repr, session.execute(select(Record.metadata.tables[name]).where(condition)))
                )
                for name, condition in is_own.items()
            }


@contextmanager
def build_world(service):
    """A new account with one resource of every kind, with real bytes."""
    account = service.add_account()
    raw = RawCaller(service.host, account.access_key_id, account.secret)
    try:
        with open_metadata(service.data_dir) as (database, _):
            world = World(account, raw, database, _make_resources(account))
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
    policy = _make_policy(account)
    bucket = f"bucket-{uuid.uuid4().hex[:20]}"
    call("CreateBucket", {**in_region, "BucketName": bucket})
    _put_object(account, bucket)
    return {
        **_make_image(account),
        **_make_keys(account),
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
        "group": _make_group(account, disk),
        "task": _add_task(account, disk),
        "bulk-export": _add_bulk_export(account, bucket, snapshot),
    }


def _make_keys(account):
    call, in_region = account.lamina().call, {"RegionId": REGION}
    key, doomed = (call("CreateKey", in_region)["KeyMetadata"]["KeyId"] for _ in range(2))
    call("ScheduleKeyDeletion", {**in_region, "KeyId": doomed, "PendingWindowInDays": 366})
    return {"key": key, "doomed_key": doomed}


def _make_policy(account):
    new = {"regionId": REGION, "timePoints": '["3"]', "repeatWeekdays": '["1"]', "retentionDays": 7}
    return account.lamina().call("CreateAutoSnapshotPolicy", new)["AutoSnapshotPolicyId"]


def _make_group(account, disk):
    call = account.lamina().call
    new = {"RegionId": REGION, "DiskId": [disk], "Name": "group"}
    group = call("CreateSnapshotGroup", new)["SnapshotGroupId"]
    wait_until(
        lambda: call("DescribeSnapshotGroups", {"RegionId": REGION, "SnapshotGroupId": [group]}),
        lambda found: found["SnapshotGroups"]["SnapshotGroup"][0]["Status"] == "accomplished",
    )
    return group


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


def _add_bulk_export(account, bucket, snapshot):
    """One that has ended, for the same reason."""
    bulk_id = f"be-{uuid.uuid4().hex[:20]}"
    now = datetime.now(UTC)
    with open_metadata(account.service.data_dir) as (database, _), database.transaction() as session:
        session.add(
            BulkExportRecord(
                id=bulk_id,
                account_id=account.account_id,
                region_id=REGION,
                bucket=bucket,
                format=ImageFormat.RAW,
                concurrency=1,
                deletes_images=False,
                state=BulkState.FINISHED,
                created_at=now,
                finished_at=now,
            )
        )
        session.flush()
        session.add(
            BulkItemRecord(
                bulk_export_id=bulk_id,
                number=1,
                source_kind=SourceKind.SNAPSHOT,
                source_id=snapshot,
                state=ItemState.FAILED,
                failure="made to have failed",
                started_at=now,
                finished_at=now,
            )
        )
    return bulk_id
