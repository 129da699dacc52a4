"""Leases of connections, with a clock that the test moves; the bytes over HTTP are in tests/conformance."""

from datetime import timedelta

import pytest

from lamina.api.signature import BLAKE3_HEADER
from lamina.control.disks.records import ConnectionRecord, DiskRecord
from lamina.control.disks.states import DiskState
from lamina.units import GIB
from tests.factories.api import REGION, ZONE


@pytest.fixture
def disk_id(installation, caller):
    made = caller.call("ImportDisk", RegionId=REGION, ZoneId=ZONE, SizeInBytes=GIB - 1, DiskName="disk").json[
        "DiskId"
    ]
    installation.services.volumes.create(made, GIB).close()
    with installation.services.database.transaction() as session:
        session.get(DiskRecord, made).state = DiskState.AVAILABLE
    return made


@pytest.fixture
def connection(caller, disk_id):
    return caller.call("ConnectDisk", DiskId=disk_id).json


def expiry(installation, connection):
    with installation.services.database.reading() as session:
        return session.get(ConnectionRecord, connection["ConnectionId"]).expires_at


def read(caller, connection, **extra):
    given = {"ConnectionId": connection["ConnectionId"], "Offset": 0, "Length": 4, **extra}
    return caller.call("ReadDiskData", **given)


def test_an_imported_disk_has_whole_gib(caller, disk_id):
    [disk] = caller.call("DescribeDisks", RegionId=REGION).json["Disks"]["Disk"]
    assert (disk["DiskId"], disk["Size"]) == (disk_id, 1)


def test_a_connection_is_a_lease_of_fifteen_seconds(caller, connection):
    assert connection["ExpiredTime"] == "2026-03-01T12:00:15Z"
    assert (connection["LeaseSeconds"], connection["SizeInBytes"]) == (15, GIB)


def test_bytes_are_answered_with_their_digest(caller, connection):
    caller.call("WriteDiskData", body=b"abcd", ConnectionId=connection["ConnectionId"], Offset=0)
    answer = read(caller, connection)
    assert (answer.status, answer.reply.body) == (200, b"abcd")
    assert len(dict(answer.reply.headers)[BLAKE3_HEADER]) == 64


def test_a_lease_ends_by_itself(installation, caller, disk_id, connection):
    installation.clock.advance(timedelta(seconds=15))
    assert (read(caller, connection).status, read(caller, connection).code) == (
        404,
        "InvalidConnectionId.NotFound",
    )
    assert caller.call("RenewDiskConnection", ConnectionId=connection["ConnectionId"]).status == 404
    assert caller.call("ConnectDisk", DiskId=disk_id).json["ConnectionId"] != connection["ConnectionId"]


def test_a_renewed_lease_lasts(installation, caller, connection):
    for _ in range(5):
        installation.clock.advance(timedelta(seconds=14))
        assert caller.call("RenewDiskConnection", ConnectionId=connection["ConnectionId"]).status == 200
    assert read(caller, connection).status == 200


def test_reading_renews_when_a_third_of_the_lease_is_gone(installation, caller, connection):
    before = expiry(installation, connection)
    installation.clock.advance(timedelta(seconds=4))
    assert read(caller, connection).status == 200
    assert expiry(installation, connection) == before
    installation.clock.advance(timedelta(seconds=2))
    assert read(caller, connection).status == 200
    assert expiry(installation, connection) == installation.clock.now() + timedelta(seconds=15)


def test_a_write_that_was_held_up_does_not_reach_a_disk_that_was_rolled_back(
    installation, caller, disk_id, connection
):
    """The turn of the disk changes between the look at the connection and the write."""
    volumes = installation.services.volumes
    shared, calls = volumes.shared, []

    def late(wanted):
        if not calls:
            calls.append(wanted)
            volumes.end_turn(disk_id)
        return shared(wanted)

    volumes.shared = late
    answer = caller.call("WriteDiskData", body=b"late", ConnectionId=connection["ConnectionId"], Offset=0)
    assert (answer.status, answer.code) == (404, "InvalidConnectionId.NotFound")
    assert calls == [disk_id]


def test_a_form_in_the_body_is_no_data(caller, connection):
    query = f"ConnectionId={connection['ConnectionId']}&Offset=0"
    answer = caller.send(
        "WriteDiskData", query, b"a=b", **{"content-type": "application/x-www-form-urlencoded"}
    )
    assert (answer.status, answer.code) == (400, "InvalidParameter")
