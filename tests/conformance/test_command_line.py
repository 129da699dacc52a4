"""The command line against a running service, in processes of its own."""

import json
import os
import signal
import subprocess

import pytest

from tests import needs
from tests.conformance.conftest import LAMINA

MIB = 1 << 20


@pytest.fixture
def image(tmp_path):
    """A sparse file of an odd size: data, written zeros, a hole, data up to the last byte."""
    path = tmp_path / "image.raw"
    with path.open("wb") as file:
        file.write(os.urandom(9 * MIB))
        file.write(bytes(5 * MIB))
        file.seek(300 * MIB)
        file.write(os.urandom(MIB + 777))
    return path


def read_at(account, disk_id, image, offset, length):
    with image.open("rb") as file:
        file.seek(offset)
        return account.read(disk_id, length, offset) == file.read(length)


def test_import_snapshot_spoil_reset(account, image):
    disk = json.loads(account.run("disk", "import", image, "--name", "imported", "--json").stdout)
    assert (disk["Size"], disk["Status"], disk["DiskName"]) == (1, "Available", "imported")
    disk_id = disk["DiskId"]
    assert read_at(account, disk_id, image, 0, 16 * MIB)
    assert read_at(account, disk_id, image, 300 * MIB, MIB + 777)
    snapshot = json.loads(
        account.run("snapshot", "create", disk_id, "--name", "one", "--wait", "--json").stdout
    )
    assert snapshot["Status"] == "accomplished"
    assert 10 * MIB <= snapshot["FullSnapshotSizeInBytes"] <= 16 * MIB
    account.write(disk_id, os.urandom(MIB))
    account.run("disk", "reset", disk_id, snapshot["SnapshotId"], "--wait")
    assert read_at(account, disk_id, image, 0, 16 * MIB)
    listed = account.run("snapshot", "list", "--disk", disk_id).stdout
    assert snapshot["SnapshotId"] in listed
    assert "accomplished" in listed
    account.run("snapshot", "delete", snapshot["SnapshotId"])
    account.run("disk", "delete", disk_id)
    assert json.loads(account.run("disk", "list", "--json").stdout) == []


def test_a_failed_import_leaves_no_disk(account, tmp_path):
    done = account.run("disk", "import", tmp_path, check=False)
    assert done.returncode == 2
    empty = tmp_path / "empty"
    empty.touch()
    done = account.run("disk", "import", empty, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert json.loads(account.run("disk", "list", "--json").stdout) == []


def test_a_refusal_is_one_line_and_an_exit_status(account):
    done = account.run("snapshot", "create", "d-nothing", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("lamina: CreateSnapshot was refused: there is no disk d-nothing")
    assert "InvalidDiskId.NotFound, RequestId" in line


def test_a_service_that_is_not_there_is_a_fault(account):
    account.service = type(account.service)(
        account.service.data_dir, "http://127.0.0.1:1", account.service.log
    )
    done = account.run("ecs", "DeleteDisk", "--DiskId", "d-1", check=False)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr


def test_any_action(account):
    answer = json.loads(account.run("ecs", "describezones").stdout)
    assert answer["Zones"]["Zone"][0]["ZoneId"] == "cn-hangzhou-h"
    made = account.run(
        "ecs", "CreateDisk", "--ZoneId", "cn-hangzhou-h", "--Size", "1", "--DiskCategory", "cloud_auto",
        "--Tag.1.Key", "env", "--Tag.1.Value=prod", "--ClientToken", "t",
    )  # fmt: skip
    account.wait_disk(json.loads(made.stdout)["DiskId"])
    listed = json.loads(account.run("ecs", "DescribeDisks", "--Tag.1.Key", "env").stdout)
    assert listed["Disks"]["Disk"][0]["Tags"]["Tag"] == [{"TagKey": "env", "TagValue": "prod"}]
    assert account.run("ecs", "Nonsense", check=False).returncode == 2


def test_the_profile_that_the_service_wrote(account):
    profile = account.service.data_dir / "credentials.json"
    account.access_key_id = account.secret = ""
    assert account.run("disk", "list", check=False).returncode == 2
    assert json.loads(account.run("disk", "list", "--json", "--profile", profile).stdout) == []


@needs.program("nbdcopy")
def test_a_disk_over_nbd(account, image, tmp_path):
    disk_id = account.make_disk(size_gib=1)
    socket = tmp_path / "nbd.sock"
    server = subprocess.Popen(
        [LAMINA, "disk", "connect", disk_id, "--socket", socket, "--json"],
        env=account.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    uri = f"nbd+unix:///?socket={socket}"
    try:
        lines = []
        while not lines or lines[-1].strip() != "}":
            lines.append(server.stdout.readline())
            assert lines[-1], server.stderr.read()
        ready = json.loads("".join(lines))
        assert (ready["disk_id"], ready["size_bytes"]) == (disk_id, 1 << 30)
        with image.open("ab") as file:
            file.truncate(1 << 30)
        subprocess.run(["nbdcopy", "--flush", image, uri], check=True, timeout=120, capture_output=True)
        copy = tmp_path / "copy.raw"
        subprocess.run(["nbdcopy", uri, copy], check=True, timeout=120, capture_output=True)
        assert subprocess.run(["cmp", image, copy], check=False).returncode == 0
        refused = account.run("disk", "delete", disk_id, check=False)
        assert refused.returncode == 2
    finally:
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=30)
    assert (server.returncode, errors) == (0, "stopping; once more to stop without tidying up\n")
    assert not socket.exists()
    assert read_at(account, disk_id, image, 0, 16 * MIB)
    account.run("disk", "delete", disk_id)
