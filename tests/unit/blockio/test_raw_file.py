"""Raw files: holes at metadata speed, vectored I/O, punching, blankness, refusals before any change."""

import os
import time

import pytest

from lamina.blockio.extents import Extent, ExtentKind
from lamina.blockio.file_extents import FileExtents
from lamina.blockio.opening import DiskUnavailableError
from lamina.blockio.raw_file import RawFileSource, RawFileTarget, TargetTooSmallError
from lamina.blockio.vectored import IOV_MAX, read_fully, write_fully, write_zeros
from lamina.failures import Fault, Refusal

TIB = 2**40
KIB = 1024


def content(path):
    return path.read_bytes()


def test_an_empty_file_of_eight_tebibytes_is_one_hole_at_once(tmp_path):
    with RawFileTarget.create(tmp_path / "disk", 8 * TIB) as target:
        started = time.process_time()
        assert list(target.list_extents(0, 8 * TIB)) == [Extent(0, 8 * TIB, ExtentKind.HOLE)]
        assert time.process_time() - started < 0.5
        assert (tmp_path / "disk").stat().st_blocks == 0


def test_extents_cover_any_window_exactly(tmp_path):
    path = tmp_path / "disk"
    with RawFileTarget.create(path, 1000 * KIB) as target:
        target.write(128 * KIB, [b"x" * (64 * KIB)])
        target.write(512 * KIB, [b"y"])
    with RawFileSource(path) as source:
        block = path.stat().st_blksize
        assert list(source.list_extents(0, 1010 * KIB)) == [
            Extent(0, 128 * KIB, ExtentKind.HOLE),
            Extent(128 * KIB, 64 * KIB),
            Extent(192 * KIB, 320 * KIB, ExtentKind.HOLE),
            Extent(512 * KIB, block),
            Extent(512 * KIB + block, 498 * KIB - block, ExtentKind.HOLE),
        ]
        assert list(source.list_extents(130 * KIB, 10)) == [Extent(130 * KIB, 10)]
        assert list(source.list_extents(900 * KIB, 10)) == [Extent(900 * KIB, 10, ExtentKind.HOLE)]
        assert list(source.list_extents(2 * TIB, 10)) == [Extent(2 * TIB, 10, ExtentKind.HOLE)]
        assert list(source.list_extents(5, 0)) == []


def test_what_cannot_tell_its_holes_is_one_extent_of_data():
    """Files of /proc answer EINVAL to SEEK_DATA, as file systems without holes do."""
    fd = os.open("/proc/self/maps", os.O_RDONLY)
    try:
        assert list(FileExtents(fd, "maps", 1000).list(10, 90)) == [Extent(10, 90)]
    finally:
        os.close(fd)


def test_reads_scatter_over_more_buffers_than_one_call_takes(tmp_path):
    path = tmp_path / "disk"
    data = os.urandom(3 * IOV_MAX + 7)
    path.write_bytes(data)
    with RawFileSource(path) as source:
        buffers = [bytearray(b"?") for _ in range(len(data) + 5)]
        source.read_into(0, buffers)
        assert b"".join(buffers) == data + bytes(5)


@pytest.mark.parametrize("offset", [0, 5, 95, 100, 101, 2**62])
def test_bytes_past_the_end_are_zero(tmp_path, offset):
    path = tmp_path / "disk"
    path.write_bytes(b"x" * 100)
    buffers = [bytearray(b"?" * 4), bytearray(), bytearray(b"?" * 200)]
    with RawFileSource(path) as source:
        source.read_into(offset, buffers)
    assert b"".join(buffers) == (b"x" * max(0, 100 - offset)).ljust(204, b"\0")


def test_a_file_cut_short_behind_our_back_is_a_fault_and_not_zeros(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(b"x" * 100)
    with RawFileSource(path) as source:
        os.truncate(path, 60)
        with pytest.raises(Fault, match=r"cannot read bytes 60 to 100.*cut short"):
            source.read_into(0, [bytearray(100)])


def test_what_the_system_refuses_is_a_fault_with_its_byte_range(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(b"x" * 100)
    write_only, read_only = os.open(path, os.O_WRONLY), os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(Fault, match="disk: cannot read bytes 10 to 30") as caught:
            read_fully(write_only, "disk", 10, [bytearray(20)], 100)
        assert isinstance(caught.value.__cause__, OSError)
        with pytest.raises(Fault, match="disk: cannot write bytes 10 to 30"):
            write_fully(read_only, "disk", 10, [bytes(20)])
    finally:
        os.close(write_only)
        os.close(read_only)


def test_a_full_disk_is_a_fault_that_may_pass():
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(Fault, match="make room") as caught:
            write_zeros(fd, "disk", 0, 10)
        assert caught.value.retryable
    finally:
        os.close(fd)


def test_writes_gather_many_buffers_of_any_kind(tmp_path):
    path = tmp_path / "disk"
    parts = [bytes([index % 251]) * (index % 3) for index in range(2 * IOV_MAX)]
    flat = b"".join(parts)
    kinds = (bytes, bytearray, memoryview)
    with RawFileTarget.create(path, len(flat) + 10) as target:
        target.write(10, [kinds[index % 3](part) for index, part in enumerate(parts)])
    assert content(path) == bytes(10) + flat


def test_writing_past_the_end_is_a_bug_of_the_caller(tmp_path):
    with RawFileTarget.create(tmp_path / "disk", 100) as target:
        for call in (lambda: target.write(90, [bytes(11)]), lambda: target.punch(90, 11)):
            with pytest.raises(AssertionError):
                call()
    assert (tmp_path / "disk").stat().st_size == 100


@pytest.mark.parametrize("action", ["punch", "zero"])
@pytest.mark.parametrize(("offset", "length"), [(0, 200_000), (1, 1), (4095, 70_000), (8192, 4096), (5, 0)])
def test_clearing_leaves_zeros_there_and_nowhere_else(tmp_path, action, offset, length):
    path = tmp_path / "disk"
    path.write_bytes(b"x" * 200_000)
    expected = bytearray(b"x" * 200_000)
    expected[offset : offset + length] = bytes(length)
    with RawFileTarget.open(path) as target:
        getattr(target, action)(offset, length)
        target.flush()
    assert content(path) == bytes(expected)


def test_punched_ranges_give_their_space_back_and_zeroed_ones_keep_it(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(b"x" * (1024 * KIB))
    with RawFileTarget.open(path) as target:
        target.flush()
        full = path.stat().st_blocks
        target.zero(0, 512 * KIB)
        target.flush()
        assert path.stat().st_blocks >= full
        target.punch(0, 512 * KIB)
        assert path.stat().st_blocks <= full // 2 + 16


def test_only_a_target_that_made_or_emptied_its_file_is_blank(tmp_path):
    path = tmp_path / "disk"
    with RawFileTarget.create(path, 100) as target:
        assert target.is_blank
        target.write(0, [b"x"])
        target.flush()
    with RawFileTarget.open(path) as target:
        assert not target.is_blank
        buffer = bytearray(2)
        target.read_into(0, [buffer])
        assert buffer == b"x\0"
    with pytest.raises(DiskUnavailableError, match="already"):
        RawFileTarget.create(path, 100)
    assert content(path)[:1] == b"x"
    with RawFileTarget.create(path, 50, replace=True) as target:
        assert target.is_blank
        assert target.size_bytes == 50
    assert content(path) == bytes(50)


def test_a_target_that_is_too_small_is_refused_untouched(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(b"x" * 100)
    with pytest.raises(TargetTooSmallError, match="100 bytes but 101 are needed"):
        RawFileTarget.open(path, needed_bytes=101)
    assert content(path) == b"x" * 100
    RawFileTarget.open(path, needed_bytes=100).close()


def test_a_size_that_the_file_system_cannot_hold_leaves_things_as_they_were(tmp_path):
    path = tmp_path / "disk"
    with pytest.raises(Fault, match="allocate"):
        RawFileTarget.create(path, 2**63 - 1)
    assert not path.exists()
    path.write_bytes(b"x")
    with pytest.raises(Fault, match="allocate"):
        RawFileTarget.create(path, 2**63 - 1, replace=True)
    assert content(path) == b"x"
    with pytest.raises(Refusal, match="makes no sense"):
        RawFileTarget.create(path, -1, replace=True)


def test_what_is_no_disk_is_refused_with_a_reason(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, reason in [
        (tmp_path, "neither a regular file nor a block device"),
        (tmp_path / "pipe", "neither"),
        (tmp_path / "missing", "no such file"),
    ]:
        with pytest.raises(DiskUnavailableError, match=reason):
            RawFileSource(path)
        with pytest.raises(DiskUnavailableError, match=reason):
            RawFileTarget.open(path)
    with pytest.raises(DiskUnavailableError, match="no such file"):
        RawFileTarget.create(tmp_path / "missing" / "disk", 1)
    with pytest.raises(DiskUnavailableError, match="not a regular file"):
        RawFileTarget.create(tmp_path / "pipe", 1, replace=True)


def test_closing_twice_does_no_harm(tmp_path):
    target = RawFileTarget.create(tmp_path / "disk", 1)
    source = RawFileSource(tmp_path / "disk")
    for disk in (target, source, target, source):
        disk.close()
