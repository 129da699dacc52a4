"""Block devices: sizes, claims, zeros that are guaranteed, and media that fail."""

import os
import subprocess
import time
from contextlib import contextmanager

import pytest

from lamina.blockio.extents import Extent
from lamina.blockio.file_volume import freeze
from lamina.blockio.nbd.listening import UnixAddress
from lamina.blockio.opening import DiskUnavailableError
from lamina.blockio.raw_file import RawFileSource, RawFileTarget, TargetTooSmallError
from lamina.blockio.still_file import VolumeInUseError
from lamina.failures import Fault, Refusal
from tests.interop.conftest import running
from tests.real.blockio.restless import MIB
from tests.unit.blockio.nbd.memory_export import MemoryExport


@contextmanager
def loop_device(path, *options):
    device = subprocess.run(
        ["losetup", "--find", "--show", *options, path], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        yield type(path)(device)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"x" * (4 * MIB))
    return path


@pytest.fixture
def device(image):
    with loop_device(image) as device:
        yield device


def content(path):
    with RawFileSource(path) as source:
        data = bytearray(source.size_bytes)
        source.read_into(0, [data])
    return bytes(data)


def test_a_device_has_its_own_size_and_one_extent(device):
    with RawFileSource(device) as source:
        assert source.size_bytes == 4 * MIB
        assert list(source.list_extents(512, MIB)) == [Extent(512, MIB)]
        buffer = bytearray(b"?" * 6)
        source.read_into(4 * MIB - 3, [buffer])
        assert buffer == b"xxx\0\0\0"


@pytest.mark.parametrize("action", ["punch", "zero"])
@pytest.mark.parametrize(("offset", "length"), [(0, MIB), (100, 5000), (513, 20), (4096, 512), (700, 1200)])
def test_clearing_any_range_leaves_zeros_there_and_nowhere_else(device, action, offset, length):
    expected = bytearray(b"x" * (4 * MIB))
    expected[offset : offset + length] = bytes(length)
    with RawFileTarget.open(device) as target:
        assert not target.is_blank
        getattr(target, action)(offset, length)
        data = bytearray(4 * MIB)
        target.read_into(0, [data])
        target.flush()
    assert data == expected
    assert content(device) == bytes(expected)


def test_writes_reach_the_device(device, image):
    with RawFileTarget.open(device, needed_bytes=4 * MIB) as target:
        target.write(MIB - 1, [b"abc", bytearray(b"def")])
        target.flush()
    assert content(device)[MIB - 1 : MIB + 5] == b"abcdef"


def test_a_device_is_never_created_emptied_or_overrun(device, image):
    with pytest.raises(DiskUnavailableError, match="in place"):
        RawFileTarget.create(device, MIB, replace=True)
    with pytest.raises(DiskUnavailableError, match="already"):
        RawFileTarget.create(device, MIB)
    with pytest.raises(TargetTooSmallError, match="larger target"):
        RawFileTarget.open(device, needed_bytes=4 * MIB + 1)
    assert content(device) == b"x" * (4 * MIB)


def test_a_mounted_device_is_refused(tmp_path, image):
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    place = tmp_path / "place"
    place.mkdir()
    with loop_device(image) as device:
        subprocess.run(["mount", device, place], check=True)
        try:
            with pytest.raises(DiskUnavailableError, match="mounted or claimed"):
                RawFileTarget.open(device)
            with pytest.raises(DiskUnavailableError, match="mounted or claimed"):
                freeze(device, tmp_path / "frozen", "t", None)
        finally:
            subprocess.run(["umount", place], check=True)


def test_a_device_is_frozen_by_reference_unless_somebody_writes(device, tmp_path):
    with freeze(device, tmp_path / "frozen", "t", "earlier") as volume:
        assert volume.changed is None
        assert volume.source.size_bytes == 4 * MIB
    fd = os.open(device, os.O_RDWR)
    try:
        with pytest.raises(VolumeInUseError, match=f"pid {os.getpid()}"):
            freeze(device, tmp_path / "frozen", "t", None)
    finally:
        os.close(fd)


def test_a_read_only_device_is_refused_for_writing(image):
    with loop_device(image, "--read-only") as device, pytest.raises(Refusal):
        RawFileTarget.open(device)


class BadMedium(MemoryExport):
    """A disk that cannot be read or written from 2 MiB to 3 MiB."""

    contexts = ()

    def read(self, offset, length):
        self._touch(offset, length)
        return super().read(offset, length)

    def write(self, offset, data):
        self._touch(offset, len(data))
        super().write(offset, data)

    def _touch(self, offset, length):
        if offset < 3 * MIB and offset + length > 2 * MIB:
            raise Fault("the medium is bad", retryable=False)


@contextmanager
def bad_device(folder):
    """A block device on a bad medium: our server, a FUSE file over it, a loop device over that."""
    place = folder / "medium"
    place.touch()
    address = UnixAddress(path=folder / "medium.sock")
    with running({"": BadMedium(4 * MIB)}, address) as uri, subprocess.Popen(["nbdfuse", place, uri]) as fuse:
        try:
            deadline = time.monotonic() + 10
            while place.stat().st_size != 4 * MIB:
                assert time.monotonic() < deadline, "nbdfuse did not mount"
                time.sleep(0.05)
            with loop_device(place) as device:
                yield device
        finally:
            subprocess.run(["umount", place], check=True)
            fuse.wait(10)


def test_a_medium_error_is_a_fault_that_names_the_bytes(tmp_path):
    with bad_device(tmp_path) as broken, RawFileTarget.open(broken) as target:
        target.read_into(0, [bytearray(MIB)])
        with pytest.raises(Fault, match=f"cannot read bytes {2 * MIB} to {3 * MIB}") as caught:
            target.read_into(2 * MIB, [bytearray(MIB)])
        assert not caught.value.retryable
        target.write(2 * MIB, [b"y" * MIB])
        with pytest.raises(Fault, match="cannot flush"):
            target.flush()
