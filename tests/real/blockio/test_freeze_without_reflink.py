"""Disks on file systems without reflink: they stand still while they are read, or the freeze is refused."""

import mmap
import os
import subprocess
import threading

import pytest

from lamina.blockio.file_volume import freeze, list_frozen
from lamina.blockio.still_file import VolumeInUseError
from lamina.failures import Fault
from tests.real.blockio.restless import MIB, mounted


@pytest.fixture(scope="module", params=["ext4", "tmpfs"])
def plain_place(request, tmp_path_factory):
    if request.param == "ext4":
        with mounted("ext4", 64) as place:
            yield place
    else:
        place = tmp_path_factory.mktemp("tmpfs")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)


@pytest.fixture
def disk(plain_place):
    path = plain_place / "disk.raw"
    with path.open("wb") as file:
        file.write(b"1" * MIB)
        file.truncate(2 * MIB)
    yield path
    path.unlink()


def read(volume, offset=0, length=MIB):
    data = bytearray(length)
    volume.source.read_into(offset, [data])
    return bytes(data)


def test_a_disk_that_nobody_writes_is_read_as_it_stands(disk):
    with freeze(disk, disk.parent / "frozen", "t", "earlier") as volume:
        assert read(volume) == b"1" * MIB
        assert [extent.kind.value for extent in volume.source.list_extents(0, 2 * MIB)] == ["data", "hole"]
        assert volume.changed is None
        assert list_frozen(disk.parent / "frozen") == ()
    with disk.open("r+b") as file:  # the lease is gone with the volume
        file.write(b"2")


def test_a_reader_does_not_disturb(disk):
    with disk.open("rb"), freeze(disk, disk.parent / "frozen", "t", None) as volume:
        assert disk.read_bytes()[:MIB] == read(volume)


def test_an_open_writer_is_refused_by_name(disk):
    with disk.open("r+b") as handle:
        writer = subprocess.Popen(["tail", "-f", "/dev/null"], stdout=handle)
    with writer:
        try:
            with pytest.raises(VolumeInUseError, match=rf"tail \(pid {writer.pid}\)") as caught:
                freeze(disk, disk.parent / "frozen", "t", None)
            assert "close it first" in str(caught.value)
            assert "xfs or btrfs" in str(caught.value)
            assert [who.pid for who in caught.value.writers] == [writer.pid]
        finally:
            writer.kill()
    freeze(disk, disk.parent / "frozen", "t", None).close()


def test_a_writable_memory_map_is_a_writer_though_its_descriptor_is_closed(disk):
    fd = os.open(disk, os.O_RDWR)
    memory = mmap.mmap(fd, MIB)
    os.close(fd)
    try:
        with pytest.raises(VolumeInUseError) as caught:
            freeze(disk, disk.parent / "frozen", "t", None)
        assert [who.pid for who in caught.value.writers] == [os.getpid()]
    finally:
        memory.close()


def test_a_loop_device_is_a_writer(disk):
    device = subprocess.run(
        ["losetup", "--find", "--show", disk], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        with pytest.raises(VolumeInUseError, match=device):
            freeze(disk, disk.parent / "frozen", "t", None)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_a_writer_that_comes_later_waits_and_ends_the_volume_before_it_changes_a_byte(disk):
    written = threading.Event()

    def write():
        with disk.open("r+b", buffering=0) as file:
            file.write(b"2" * MIB)
        written.set()

    with freeze(disk, disk.parent / "frozen", "t", None) as volume:
        assert read(volume) == b"1" * MIB
        writer = threading.Thread(target=write)
        writer.start()
        assert not written.wait(0.3), "the writer did not wait"
        assert disk.read_bytes()[:MIB] == b"1" * MIB
        with pytest.raises(Fault, match="no point in time") as caught:
            read(volume)
        assert caught.value.retryable
        assert written.wait(5), "the writer was not let go"
        writer.join()
        with pytest.raises(Fault):
            read(volume)
        with pytest.raises(Fault):
            list(volume.source.list_extents(0, MIB))


@pytest.mark.parametrize("action", ["truncate", "open-nonblocking"])
def test_attempts_to_change_the_disk_end_the_volume(disk, action):
    with freeze(disk, disk.parent / "frozen", "t", None) as volume:
        if action == "truncate":
            cutter = threading.Thread(target=os.truncate, args=(disk, 4096))
            cutter.start()
            cutter.join(0.2)
            assert cutter.is_alive()
            with pytest.raises(Fault):
                read(volume)
            cutter.join()
        else:
            with pytest.raises(BlockingIOError):
                os.open(disk, os.O_WRONLY | os.O_NONBLOCK)
            with pytest.raises(Fault):
                read(volume)


def test_changed_times_alone_end_the_volume(disk):
    """A host that shares the file system may write without breaking a lease of this kernel."""
    with freeze(disk, disk.parent / "frozen", "t", None) as volume:
        os.utime(disk, ns=(0, 12345))
        with pytest.raises(Fault, match="no point in time"):
            read(volume)


def test_a_folder_on_another_file_system_falls_back_to_standing_still(disk, tmp_path):
    with freeze(disk, tmp_path / "frozen", "t", None) as volume:
        assert read(volume) == b"1" * MIB
    with disk.open("r+b"), pytest.raises(VolumeInUseError, match="cloned"):
        freeze(disk, tmp_path / "frozen", "t", None)
