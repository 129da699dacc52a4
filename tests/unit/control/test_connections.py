"""Connections to disks and the bytes behind them."""

import threading
from datetime import timedelta

import pytest

from lamina.blockio.extents import ExtentKind
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.channel import open_channel
from lamina.control.disks.connect import connect, disconnect, renew_connection
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.errors import (
    ConnectionNotFoundError,
    DiskConnectedError,
    DiskNotFoundError,
    DiskRangeError,
    DiskStateError,
)
from lamina.control.disks.queries import find_connection, get_disk
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.tidy import close_dead_connections
from lamina.control.disks.volumes import VolumeMissingError
from lamina.ids import ConnectionId, DiskId
from lamina.units import GIB, KIB, MIB
from tests.factories.installation import START, ZONE


def test_connecting_makes_a_disk_count_as_attached(site):
    disk_id = site.make_disk()
    with site.scope() as scope:
        assert not get_disk(scope, disk_id).was_attached
        connection = connect(scope, disk_id)
        assert (connection.opened_at, connection.expires_at) == (START, START + timedelta(seconds=15))
    disk = site.disk(disk_id)
    assert (disk.was_attached, disk.attached_at, disk.detached_at) == (True, START, None)
    site.clock.advance(timedelta(seconds=5))
    with site.scope() as scope:
        disconnect(scope, connection.id)
        assert find_connection(scope, disk_id) is None
    assert site.disk(disk_id).detached_at == START + timedelta(seconds=5)


def test_one_connection_at_a_time(site):
    disk_id = site.make_disk()
    with site.scope() as scope:
        first = connect(scope, disk_id)
        with pytest.raises(DiskConnectedError) as refused:
            connect(scope, disk_id)
        assert refused.value.connection_id == first.id


def test_a_connection_ends_unless_it_is_renewed(site):
    disk_id = site.make_disk()
    with site.scope() as scope:
        first = connect(scope, disk_id).id
    for _ in range(3):
        site.clock.advance(timedelta(seconds=14))
        with site.scope() as scope:
            renew_connection(scope, first)
    site.clock.advance(timedelta(seconds=15))
    with site.scope() as scope:
        for call in (renew_connection, disconnect):
            with pytest.raises(ConnectionNotFoundError):
                call(scope, first)
        with pytest.raises(ConnectionNotFoundError):
            open_channel(scope, site.installation.volumes, first)
        second = connect(scope, disk_id).id
    assert second != first


def test_a_clock_that_was_ahead_does_not_lock_a_disk_for_ever(site):
    disk_id = site.make_disk()
    with site.scope() as scope:
        connect(scope, disk_id)
    site.clock.advance(timedelta(hours=-5))
    with site.scope() as scope:
        connect(scope, disk_id)


def test_dead_connections_are_dropped_and_live_ones_are_not(site):
    dead_disk, live_disk = site.make_disk(), site.make_disk()
    with site.scope() as scope:
        connect(scope, dead_disk)
    site.clock.advance(timedelta(seconds=20))
    with site.scope() as scope:
        live = connect(scope, live_disk).id
    close_dead_connections(site.installation)
    assert site.disk(dead_disk).detached_at == START + timedelta(seconds=15)
    with site.scope() as scope:
        assert find_connection(scope, live_disk).id == live


def test_only_the_owner_connects_to_an_available_disk(site):
    with site.scope() as scope:
        creating = create_disk(scope, NewDisk(zone_id=ZONE, category=DiskCategory.CLOUD_AUTO, size_gib=1)).id
        with pytest.raises(DiskStateError):
            connect(scope, creating)
        with pytest.raises(DiskNotFoundError):
            connect(scope, DiskId("d-unknown"))
    site.work()
    stranger = site.as_another_account()
    with site.scope() as scope:
        mine = connect(scope, creating).id
    with stranger.scope() as scope:
        with pytest.raises(DiskNotFoundError):
            connect(scope, creating)
        with pytest.raises(ConnectionNotFoundError):
            open_channel(scope, site.installation.volumes, mine)
        with pytest.raises(ConnectionNotFoundError):
            disconnect(scope, ConnectionId("dc-unknown"))


def test_bytes_go_in_and_come_out(site):
    disk_id = site.make_imported()
    with site.connected(disk_id) as channel:
        channel.write(3, b"abc")
        channel.write(GIB - 2, b"yz")
        channel.flush()
        assert channel.read(0, 8) == b"\0\0\0abc\0\0"
        assert channel.read(GIB - 3, 3) == b"\0yz"
        assert channel.read(5, 0) == b""
    assert site.read(disk_id, 3, 3) == b"abc"


def test_zeros_and_extents(site):
    disk_id = site.make_imported(b"x" * 256 * KIB)
    with site.connected(disk_id) as channel:
        channel.zero(0, 64 * KIB, may_punch=True)
        channel.zero(128 * KIB, 64 * KIB, may_punch=False)
        assert channel.read(0, 64 * KIB) == bytes(64 * KIB)
        assert channel.read(64 * KIB, 1) == b"x"
        assert channel.read(128 * KIB, 64 * KIB) == bytes(64 * KIB)
        extents = channel.list_extents(0, MIB)
    assert sum(extent.length for extent in extents) == MIB
    assert extents[0].kind is ExtentKind.HOLE
    assert extents[0].length == 64 * KIB


@pytest.mark.parametrize(("offset", "length"), [(-1, 2), (0, -1), (GIB, 1), (GIB - 1, 2), (2**63, 1)])
def test_ranges_outside_the_disk_are_refused_and_change_nothing(site, offset, length):
    disk_id = site.make_imported(b"intact")
    with site.connected(disk_id) as channel:
        for call in (
            lambda: channel.read(offset, length),
            lambda: channel.zero(offset, length, may_punch=True),
            lambda: channel.list_extents(offset, length),
        ):
            with pytest.raises(DiskRangeError):
                call()
        with pytest.raises(DiskRangeError):
            channel.write(GIB - 1, b"two")
    assert site.installation.volumes.raw_path(disk_id).stat().st_size == GIB
    assert site.read(disk_id, 0, 6) == b"intact"


def test_a_late_write_of_an_ended_connection_never_reaches_a_rolled_back_disk(site):
    disk_id = site.make_imported(b"first")
    snapshot_id = site.make_snapshot(disk_id)
    with site.scope() as scope:
        connection = connect(scope, disk_id)
        late = open_channel(scope, site.installation.volumes, connection.id)
    site.clock.advance(timedelta(minutes=1))
    site.roll_back(disk_id, snapshot_id)
    with pytest.raises(ConnectionNotFoundError):
        late.write(0, b"stale")
    assert site.read(disk_id, 0, 5) == b"first"
    site.write(disk_id, 0, b"fresh")
    assert site.read(disk_id, 0, 5) == b"fresh"


def test_no_request_is_half_way_through_in_an_exclusive_moment(site):
    """Writers never stop coming, and still everybody who asks gets an exclusive moment."""
    disk_id = site.make_imported()
    volumes, stop, inside = site.installation.volumes, threading.Event(), []

    def write_all_the_time():
        while not stop.is_set():
            with volumes.shared(disk_id):
                inside.append(1)
                inside.pop()

    writers = [threading.Thread(target=write_all_the_time) for _ in range(4)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(20):
            with volumes.exclusive(disk_id):
                assert not inside
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def test_a_disk_whose_folder_is_gone_is_a_fault_that_names_it(site):
    with (
        pytest.raises(VolumeMissingError, match="d-nothing"),
        site.installation.volumes.shared(DiskId("d-nothing")),
    ):
        pytest.fail("there is nothing to share")
    with pytest.raises(VolumeMissingError):
        site.installation.volumes.open(DiskId("d-nothing"))


def test_rolling_back_needs_the_connection_closed(site):
    disk_id = site.make_imported(b"x")
    snapshot_id = site.make_snapshot(disk_id)
    with site.scope() as scope:
        connect(scope, disk_id)
    with pytest.raises(DiskConnectedError), site.scope() as scope:
        reset_disk(scope, disk_id, snapshot_id)
    site.clock.advance(timedelta(seconds=15))
    with site.scope() as scope:
        reset_disk(scope, disk_id, snapshot_id)
