"""`lamina clock advance` on a served installation: what is due happens in order, exactly once, also after kill -9."""

import json
import signal
import subprocess
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from lamina.cli.client import EcsClient, Profile
from lamina.clock import SystemClock
from tests.factories.service_process import LAMINA, MIB, SECONDS, run, serving, wait_for

REGION = {"RegionId": "cn-hangzhou"}


def connect(folder) -> EcsClient:
    known = json.loads((folder / "data" / "credentials.json").read_text())
    return EcsClient(Profile(**{name: value for name, value in known.items() if name != "account_id"}))


def set_up(client: EcsClient) -> str:
    """A disk with a daily policy that keeps three days, and a manual snapshot that is kept for ever."""
    disk_id = client.call("ImportDisk", {**REGION, "ZoneId": "cn-hangzhou-h", "SizeInBytes": MIB})["DiskId"]
    wait_for(client, "Disk", "Status", "Available")
    connection = client.call("ConnectDisk", {"DiskId": disk_id})["ConnectionId"]
    client.call("WriteDiskData", {"ConnectionId": connection, "Offset": 0}, body=b"x" * 4096)
    client.call("DisconnectDisk", {"ConnectionId": connection})
    client.call("CreateSnapshot", {"DiskId": disk_id, "SnapshotName": "manual"})
    wait_for(client, "Snapshot", "Status", "accomplished")
    timetable = {"timePoints": '["12"]', "repeatWeekdays": "[1,2,3,4,5,6,7]", "retentionDays": 3}
    policy_id = client.call("CreateAutoSnapshotPolicy", {"regionId": "cn-hangzhou", **timetable})[
        "AutoSnapshotPolicyId"
    ]
    given = {"regionId": "cn-hangzhou", "autoSnapshotPolicyId": policy_id, "diskIds": json.dumps([disk_id])}
    client.call("ApplyAutoSnapshotPolicy", given)
    return disk_id


def list_runs(client: EcsClient) -> Counter:
    runs = client.call("DescribeAutoSnapshotPolicyRuns", {**REGION, "MaxResults": 100})
    return Counter(each["Outcome"] for each in runs["Runs"]["Run"])


def list_snapshots(client: EcsClient) -> list[dict]:
    return client.call("DescribeSnapshots", REGION)["Snapshots"]["Snapshot"]


def check_ten_days(client: EcsClient) -> None:
    assert list_runs(client) == {"started": 10, "finished": 10}  # of the policy, and of its disk
    names = [each["SnapshotName"] for each in list_snapshots(client)]
    assert names.count("manual") == 1
    assert len(names) == 1 + 3  # a day's snapshot goes before that of the third day after it is taken


def test_ten_days_pass_in_seconds(tmp_path):
    with serving(tmp_path, "--movable-clock"), closing(connect(tmp_path)) as client:
        set_up(client)
        before = datetime.now(UTC).replace(microsecond=0)
        moved = run(tmp_path, "clock", "advance", "10d", "--json")
        assert moved.returncode == 0, moved.stderr
        shown = datetime.fromisoformat(json.loads(moved.stdout)["now"])
        assert timedelta(days=10) <= shown - before < timedelta(days=10, minutes=5)
        check_ten_days(client)
    with serving(tmp_path):  # it is remembered, and needs no option
        shown = datetime.fromisoformat(json.loads(run(tmp_path, "clock", "show", "--json").stdout)["now"])
        assert timedelta(days=10) <= shown - before < timedelta(days=10, minutes=5)


def test_a_kill_in_between_loses_and_repeats_nothing(tmp_path):
    clock = SystemClock()
    with serving(tmp_path, "--movable-clock") as (service, _), closing(connect(tmp_path)) as client:
        set_up(client)
        command = [*LAMINA, "clock", "advance", "10d", "--data", str(tmp_path / "data")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as moving:
            deadline = clock.monotonic() + SECONDS
            while list_runs(client)["finished"] < 3:
                assert clock.monotonic() < deadline
                clock.sleep(0.02)
            service.send_signal(signal.SIGKILL)
            moving.kill()
    with serving(tmp_path), closing(connect(tmp_path)) as client:
        deadline = clock.monotonic() + SECONDS
        while list_runs(client)["finished"] < 10:
            assert clock.monotonic() < deadline
            clock.sleep(0.1)
        # a second request ends when the first one has: it is refused until then
        while run(tmp_path, "clock", "advance", "1s").returncode != 0:
            assert clock.monotonic() < deadline
        check_ten_days(client)


@pytest.mark.parametrize("wanted", [("advance", "1d"), ("show",)])
def test_an_installation_with_real_time_refuses(tmp_path, wanted):
    with serving(tmp_path):
        refused = run(tmp_path, "clock", *wanted)
        assert refused.returncode == 2
        assert "cannot be moved" in refused.stderr
    made = run(tmp_path, "serve", "--listen", "127.0.0.1:0", "--movable-clock")
    assert made.returncode == 2
    assert not (tmp_path / "data" / "clock.json").exists()


def test_nothing_moves_without_a_service(tmp_path):
    with serving(tmp_path, "--movable-clock") as (service, _):
        service.terminate()
        service.wait(timeout=SECONDS)
    refused = run(tmp_path, "clock", "advance", "1d")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no service runs" in refused.stderr
