"""Two services on one PostgreSQL database and one folder: one is killed, the database goes away and comes back."""

import http.client
import json
import random
import re
import signal
import threading
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import select

from lamina.cli.client import EcsClient, Profile
from lamina.clock import SystemClock
from lamina.control.installation import open_metadata
from lamina.tasks.owner import Owner
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import TaskState
from lamina.units import MIB
from tests.factories.raw_calls import RawCaller
from tests.factories.service_process import serving
from tests.servers.databases import settle_in
from tests.servers.postgresql import crash, revived, running

REGION = "cn-hangzhou"
CAPTURE = "capture-snapshot"
SECONDS = 90
OUTAGE_SECONDS = 3
DISKS = 3
CONTENT = 24 * MIB
CLOCK = SystemClock()
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@dataclass
class Caller:
    """Calls a service again and again, without ever trying twice, and writes down what it was answered."""

    caller: RawCaller
    answers: list[tuple[float, str]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def calling(self):
        thread = threading.Thread(target=self._call)
        thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            thread.join()

    def list_codes(self, *, since=0.0, until=float("inf")):
        return {code for at, code in self.answers if since <= at < until}

    def _call(self):
        while not self._stopping.wait(0.02):
            at = CLOCK.monotonic()
            try:
                code = self.caller.call("DescribeSnapshots", {"RegionId": REGION}).code
            except (OSError, http.client.HTTPException):
                self.caller.close()
                code = "no answer"
            self.answers.append((at, code))


@dataclass
class Site:
    """A folder with a database that several services share."""

    folder: object
    stack: ExitStack

    def serve(self):
        """One more service; answers its process, a client that is as patient as clients are, and a caller."""
        process, lines = self.stack.enter_context(serving(self.folder))
        known = json.loads((self.folder / "data" / "credentials.json").read_text())
        host = re.search(r"http://(\S+)", lines[-1])[1]
        key = {name: known[name] for name in ("access_key_id", "access_key_secret")}
        client = EcsClient(Profile(endpoint=f"http://{host}", region_id=REGION, **key))
        caller = Caller(RawCaller(host, *key.values()))
        self.stack.callback(caller.caller.close)
        return process, self.stack.enter_context(closing(client)), caller

    def list_captures(self):
        with open_metadata(self.folder / "data") as (database, _), database.reading() as session:
            return session.scalars(select(TaskRecord).where(TaskRecord.kind == CAPTURE)).all()

    def is_working(self, process):
        """Whether a service is making a snapshot at this moment."""
        return any(
            task.state is TaskState.RUNNING and Owner.parse(task.owner).pid == process.pid
            for task in self.list_captures()
        )


@contextmanager
def opened(folder, server):
    with ExitStack() as stack:
        stack.enter_context(contextmanager(settle_in)(server, folder / "data"))
        yield Site(folder, stack)


@contextmanager
def own_server(folder):
    """A PostgreSQL that no other test uses: it will be crashed."""
    (folder / "server").mkdir()
    with running(folder / "server", DURABLE) as server:
        yield server


def fill_disks(client):
    """Disks whose snapshots take a while."""
    return [fill_disk(client, number) for number in range(DISKS)]


def fill_disk(client, number):
    parameters = {"RegionId": REGION, "ZoneId": "cn-hangzhou-h", "SizeInBytes": 64 * MIB}
    disk_id = client.call("ImportDisk", parameters)["DiskId"]
    wait_until(lambda: describe(client, "Disk", disk_id)["Status"] == "Available")
    connection = client.call("ConnectDisk", {"DiskId": disk_id})["ConnectionId"]
    content = random.Random(number).randbytes(CONTENT)
    for offset in range(0, CONTENT, 4 * MIB):
        where = {"ConnectionId": connection, "Offset": offset}
        client.call("WriteDiskData", where, body=content[offset : offset + 4 * MIB])
    client.call("DisconnectDisk", {"ConnectionId": connection})
    return disk_id


def start_snapshots(client, disks):
    return [client.call("CreateSnapshot", {"DiskId": disk_id})["SnapshotId"] for disk_id in disks]


def describe(client, noun, resource_id):
    parameters = {"RegionId": REGION, f"{noun}Ids": json.dumps([resource_id])}
    [found] = client.call(f"Describe{noun}s", parameters)[f"{noun}s"][noun]
    return found


def wait_until(is_so):
    deadline = CLOCK.monotonic() + SECONDS
    while not is_so():
        assert CLOCK.monotonic() < deadline
        CLOCK.sleep(0.05)


def check_snapshots(client, snapshots):
    """Wait until they are there, whole."""
    for snapshot_id in snapshots:
        wait_until(lambda each=snapshot_id: describe(client, "Snapshot", each)["Status"] != "progressing")
        found = describe(client, "Snapshot", snapshot_id)
        assert (found["Status"], found["FullSnapshotSizeInBytes"]) == ("accomplished", CONTENT)


def test_the_other_service_finishes_what_a_killed_one_began(tmp_path, postgresql):
    with opened(tmp_path, postgresql) as site:
        doomed, its_client, _ = site.serve()
        _, client, caller = site.serve()
        disks = fill_disks(client)
        with caller.calling():
            snapshots = []
            while not site.is_working(doomed):  # the other one may take all of them
                check_snapshots(client, snapshots)
                snapshots += start_snapshots(its_client, disks)
            doomed.send_signal(signal.SIGKILL)
            doomed.wait()
            left = {task.id: count_owners(task, doomed) for task in site.list_captures()}
            check_snapshots(client, snapshots)
        assert caller.list_codes() == {"ok"}
        tasks = site.list_captures()
    assert {task.id: task.state for task in tasks} == dict.fromkeys(
        (task.id for task in tasks), TaskState.SUCCEEDED
    )
    assert len(tasks) == len(snapshots)
    assert {task.id: task.fence for task in tasks} == left, "what the killed one held has one more owner"
    assert set(left.values()) in ({2}, {1, 2}), "it held something, perhaps all of it"


def count_owners(task, ended):
    """How many owners a task will have had when one that ended by now is replaced."""
    is_held = task.state is TaskState.RUNNING and Owner.parse(task.owner).pid == ended.pid
    return task.fence + (is_held or task.state is TaskState.QUEUED)


def test_a_database_that_goes_away_and_comes_back_costs_answers_and_no_task(tmp_path):
    with own_server(tmp_path) as server, opened(tmp_path, server) as site:
        service, client, caller = site.serve()
        disks = fill_disks(client)
        site.stack.enter_context(caller.calling())  # ends before what it uses
        snapshots = start_snapshots(client, disks)
        wait_until(lambda: site.is_working(service))
        gone = CLOCK.monotonic()
        command = crash(server)
        CLOCK.sleep(OUTAGE_SECONDS)
        with revived(server, command):
            back = CLOCK.monotonic()
            check_snapshots(client, snapshots)
            tasks = site.list_captures()
            site.stack.close()
        assert service.poll() is not None
    assert {task.state for task in tasks} == {TaskState.SUCCEEDED}
    assert caller.list_codes(until=gone - 1) <= {"ok"}
    assert caller.list_codes(since=gone + 1, until=back - 1) == {"ServiceUnavailable"}
    assert caller.list_codes(since=back + 1) >= {"ok"}


def test_connections_that_died_unnoticed_cost_no_call(tmp_path):
    with own_server(tmp_path) as server, opened(tmp_path, server) as site:
        _, client, caller = site.serve()
        for _ in range(20):
            client.call("DescribeSnapshots", {"RegionId": REGION})
        command = crash(server)
        with revived(server, command):
            assert [caller.caller.call("DescribeRegions").code for _ in range(10)] == ["ok"] * 10
            assert caller.caller.call("CreateAutoSnapshotPolicy", POLICY).code == "ok"
            site.stack.close()


POLICY = {"regionId": REGION, "timePoints": '["1"]', "repeatWeekdays": '["1"]', "retentionDays": "1"}
