"""Lamina's own data actions, over HTTP."""

import os

import pytest

from lamina.cli.client import CallRefusedError

MIB = 1 << 20


@pytest.fixture
def disk(account):
    return account.make_disk()


@pytest.fixture
def connection(account, disk):
    return account.lamina().call("ConnectDisk", {"DiskId": disk})["ConnectionId"]


def refusal(call, *arguments, **options):
    with pytest.raises(CallRefusedError) as refused:
        call(*arguments, **options)
    return refused.value.code


def test_bytes_come_back_as_they_were_written(account, connection):
    client, data = account.lamina(), os.urandom(4 * MIB)
    at = {"ConnectionId": connection, "Offset": 3 * MIB + 17}
    client.call("WriteDiskData", at, body=data)
    client.call("FlushDiskData", {"ConnectionId": connection})
    assert client.read("ReadDiskData", {**at, "Length": len(data)}) == data
    client.call("ZeroDiskData", {**at, "Length": 100})
    assert client.read("ReadDiskData", {**at, "Length": 200}) == bytes(100) + data[100:200]


def test_extents_tell_data_from_holes(account, connection):
    client = account.lamina()
    client.call("WriteDiskData", {"ConnectionId": connection, "Offset": 8 * MIB}, body=b"x" * MIB)
    runs = client.call("DescribeDiskExtents", {"ConnectionId": connection, "Offset": 0, "Length": 16 * MIB})
    extents = [(run["Offset"] // MIB, run["Length"] // MIB, run["Kind"]) for run in runs["Extents"]["Extent"]]
    assert extents == [(0, 8, "hole"), (8, 1, "data"), (9, 7, "hole")]
    client.call(
        "ZeroDiskData", {"ConnectionId": connection, "Offset": 8 * MIB, "Length": MIB, "MayPunch": True}
    )
    runs = client.call("DescribeDiskExtents", {"ConnectionId": connection, "Offset": 0, "Length": 16 * MIB})
    assert [run["Kind"] for run in runs["Extents"]["Extent"]] == ["hole"]


@pytest.mark.parametrize(
    "trial",
    [
        ("ReadDiskData", {"Offset": 0, "Length": 4 * MIB + 1}, b"", "InvalidParameter"),
        ("ReadDiskData", {"Offset": -1, "Length": 1}, b"", "InvalidParameter"),
        ("ReadDiskData", {"Offset": (1 << 30) - 1, "Length": 2}, b"", "InvalidParameter.Range"),
        ("WriteDiskData", {"Offset": (1 << 30) - 1}, b"ab", "InvalidParameter.Range"),
        ("WriteDiskData", {"Offset": 0}, b"", "InvalidParameter"),
        ("WriteDiskData", {"Offset": 0}, bytes(4 * MIB + 1), "RequestTooLarge"),
        ("ZeroDiskData", {"Offset": 1 << 30, "Length": 1}, b"", "InvalidParameter.Range"),
        ("DescribeDiskExtents", {"Offset": 0, "Length": 2 << 30}, b"", "InvalidParameter"),
        (
            "ReadDiskData",
            {"ConnectionId": "c-none", "Offset": 0, "Length": 1},
            b"",
            "InvalidConnectionId.NotFound",
        ),
    ],
)
def test_what_does_not_fit_is_refused(account, connection, trial):
    action, parameters, body, code = trial
    parameters = {"ConnectionId": connection, **parameters}
    assert refusal(account.lamina().call, action, parameters, body=body) == code


def test_a_disk_has_one_connection(account, disk, connection):
    assert refusal(account.lamina().call, "ConnectDisk", {"DiskId": disk}) == "IncorrectDiskStatus"
    account.lamina().call("DisconnectDisk", {"ConnectionId": connection})
    assert account.lamina().call("ConnectDisk", {"DiskId": disk})["LeaseSeconds"] == 15


def test_a_closed_connection_writes_nothing_any_more(account, disk, connection):
    client = account.lamina()
    client.call("DisconnectDisk", {"ConnectionId": connection})
    write = {"ConnectionId": connection, "Offset": 0}
    assert refusal(client.call, "WriteDiskData", write, body=b"late") == "InvalidConnectionId.NotFound"
    assert (
        refusal(client.call, "RenewDiskConnection", {"ConnectionId": connection})
        == "InvalidConnectionId.NotFound"
    )
    assert account.read(disk, 4) == bytes(4)


def test_a_snapshot_may_be_taken_while_the_disk_is_connected(account, disk, connection):
    client = account.lamina()
    client.call("WriteDiskData", {"ConnectionId": connection, "Offset": 0}, body=b"a" * MIB)
    snapshot_id = account.make_snapshot(disk)
    client.call("WriteDiskData", {"ConnectionId": connection, "Offset": 0}, body=b"b" * MIB)
    client.call("DisconnectDisk", {"ConnectionId": connection})
    client.call("ResetDisk", {"DiskId": disk, "SnapshotId": snapshot_id})
    account.wait_disk(disk)
    assert account.read(disk, MIB) == b"a" * MIB
