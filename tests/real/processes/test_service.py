"""`lamina serve` as a process: first start, signals, kill -9, and the commands beside it."""

import json
import os
import re
import resource
import signal
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from lamina.cli.client import EcsClient, Profile
from tests.factories.service_process import MIB, SECONDS, run, serving, wait_for


@pytest.fixture
def connect(tmp_path):
    """Makes clients with the first access key, or another one, and closes them."""
    with ExitStack() as stack:

        def connect(known: dict | None = None) -> EcsClient:
            known = known or json.loads((tmp_path / "data" / "credentials.json").read_text())
            known = {name: value for name, value in known.items() if name != "account_id"}
            return stack.enter_context(closing(EcsClient(Profile(**known))))

        yield connect


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_service_cleanly(tmp_path, connect, number):
    with serving(tmp_path) as (service, _):
        connect().call("DescribeRegions")
        service.send_signal(number)
        assert service.wait(timeout=SECONDS) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_the_access_key_is_told_once_and_never_logged(tmp_path, connect):
    with serving(tmp_path) as (service, first):
        secret = json.loads((tmp_path / "data" / "credentials.json").read_text())["access_key_secret"]
        assert any(secret in line for line in first)
        connect().call("DescribeRegions")
        service.terminate()
        service.wait(timeout=SECONDS)
    with serving(tmp_path) as (_, second):
        assert len(second) == 1
        connect().call("DescribeRegions")
    assert secret not in (tmp_path / "log").read_text()
    for line in (tmp_path / "log").read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("source", ["credential", "command"])
def test_the_root_key_comes_from_where_the_environment_says(tmp_path, connect, monkeypatch, source):
    with serving(tmp_path) as (service, _):
        service.terminate()
        service.wait(timeout=SECONDS)
    kept = tmp_path / "kept" / "lamina-root-key"
    kept.parent.mkdir()
    (tmp_path / "data" / "root.key").rename(kept)
    key = kept.read_bytes()
    if source == "credential":
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(kept.parent))
    else:
        monkeypatch.setenv("LAMINA_ROOT_KEY_COMMAND", f"cat {kept}")
    with serving(tmp_path) as (service, _):
        connect().call("DescribeRegions")  # signed with a secret that only this key opens
        service.terminate()
        service.wait(timeout=SECONDS)
    kept.write_bytes(bytes(reversed(key)))
    refused = run(tmp_path, "serve", "--listen", "127.0.0.1:0")
    assert refused.returncode != 0
    assert "not the one of the installation" in refused.stderr
    for path in [tmp_path / "log", *(tmp_path / "data").rglob("*")]:
        content = path.read_bytes() if path.is_file() else b""
        assert key not in content, path
        assert key.hex().encode() not in content, path
    assert not (tmp_path / "data" / "root.key").exists()


def test_a_service_that_crashes_leaves_no_core_file(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))  # the service inherits it
    try:
        with serving(tmp_path) as (service, _):
            limits = Path(f"/proc/{service.pid}/limits").read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)


def test_two_services_on_one_folder_or_one_port(tmp_path):
    with serving(tmp_path) as (_, lines):
        second = run(tmp_path, "serve", "--listen", "127.0.0.1:0")
        assert (second.returncode, second.stdout) == (2, "")
        assert "another lamina service" in second.stderr
        address = re.search(r"127\.0\.0\.1:\d+", lines[-1])[0]
        taken = run(tmp_path / "other", "serve", "--listen", address)
        assert taken.returncode == 2
        assert "cannot listen" in taken.stderr


def test_a_killed_service_goes_on_where_it_was(tmp_path, connect):
    content = os.urandom(MIB)
    with serving(tmp_path) as (service, _):
        client = connect()
        parameters = {"RegionId": "cn-hangzhou", "ZoneId": "cn-hangzhou-h", "SizeInBytes": 64 * MIB}
        disk_id = client.call("ImportDisk", parameters)["DiskId"]
        wait_for(client, "Disk", "Status", "Available")
        connection = client.call("ConnectDisk", {"DiskId": disk_id})["ConnectionId"]
        for number in range(16):
            where = {"ConnectionId": connection, "Offset": number * MIB}
            client.call("WriteDiskData", where, body=content)
        client.call("DisconnectDisk", {"ConnectionId": connection})
        client.call("CreateSnapshot", {"DiskId": disk_id, "SnapshotName": "before"})
        service.kill()
        service.wait(timeout=SECONDS)
    with serving(tmp_path):
        snapshot = wait_for(connect(), "Snapshot", "Status", "accomplished")
        assert snapshot["FullSnapshotSizeInBytes"] == 16 * MIB


def test_accounts_are_managed_beside_a_running_service(tmp_path, connect):
    with serving(tmp_path) as (_, lines):
        created = run(tmp_path, "account", "create", "ops", "--json")
        assert created.returncode == 0, created.stderr
        known = json.loads(created.stdout)
        account_id = known["account_id"]
        client = connect(known)
        assert client.call("DescribeDisks", {"RegionId": "cn-hangzhou"})["TotalCount"] == 0
        assert known["endpoint"] in lines[-1]
        listed = json.loads(run(tmp_path, "account", "list", "--json").stdout)
        assert [row["name"] for row in listed] == ["default", "ops"]
        more = json.loads(run(tmp_path, "account", "key", "create", account_id, "--json").stdout)
        assert more["account_id"] == account_id
        assert run(tmp_path, "account", "key", "disable", known["access_key_id"]).returncode == 0
        with pytest.raises(Exception, match="AccessKeyDisabled"):
            client.call("DescribeRegions")
        unknown = run(tmp_path, "account", "key", "create", "1")
        assert (unknown.returncode, "there is no account 1" in unknown.stderr) == (2, True)


def test_an_installation_without_its_database_is_recovered(tmp_path, connect):
    with serving(tmp_path) as (service, _):
        client = connect()
        parameters = {"RegionId": "cn-hangzhou", "ZoneId": "cn-hangzhou-h", "SizeInBytes": MIB}
        disk_id = client.call("ImportDisk", parameters)["DiskId"]
        wait_for(client, "Disk", "Status", "Available")
        snapshot_id = client.call("CreateSnapshot", {"DiskId": disk_id, "SnapshotName": "kept"})["SnapshotId"]
        wait_for(client, "Snapshot", "Status", "accomplished")
        service.terminate()
        service.wait(timeout=SECONDS)
    for path in (tmp_path / "data").glob("lamina.sqlite*"):
        path.unlink()
    recovered = run(tmp_path, "recover", "--json")
    assert recovered.returncode == 0, recovered.stderr
    report = json.loads(recovered.stdout)
    assert (report["snapshots"], report["disks"]) == ([snapshot_id], [disk_id])
    with serving(tmp_path):
        client = connect()
        assert wait_for(client, "Snapshot", "Status", "accomplished")["SnapshotName"] == "kept"
        client.call("ResetDisk", {"DiskId": disk_id, "SnapshotId": snapshot_id})
        wait_for(client, "Disk", "Status", "Available")
