"""The real qemu-img: what it makes is what was meant, and it stays within its limits."""

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lamina.blockio.qemu.formats import ImageFormat
from lamina.blockio.qemu.headers import check_headers
from lamina.blockio.qemu.image_tool import FileSource, ImageTool
from lamina.blockio.qemu.running import Limits, ProgramFailedError, ProgramMissingError, run
from lamina.failures import Cancelled
from lamina.units import GIB, KIB, MIB, TIB, round_up

ODD = 37 * MIB + 512
FORMATS = list(ImageFormat)
ROOMY = Limits(cpu_seconds=20, wall_seconds=20.0)


@pytest.fixture(autouse=True)
def no_child_stays():
    before = set(list_children())  # servers of other tests
    yield
    assert set(list_children()) <= before


@pytest.fixture
def tool(tmp_path):
    return ImageTool(tmp_path)


@pytest.fixture
def raw(tmp_path):
    """A disk with data at its beginning, in its middle and at its end, and holes between."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(ODD)
        for at in (0, 17 * MIB + 3, ODD - 700):
            file.seek(at)
            file.write(os.urandom(700))
    return FileSource(path=path, format=ImageFormat.RAW)


def ignore(_share):
    """Watch without interest."""


def convert(tool, raw, image_format):
    target = FileSource(path=raw.path.with_name(f"out.{image_format.value}"), format=image_format)
    tool.convert(raw, target, ODD, ignore)
    return target


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_disk_survives_the_way_there_and_back(tool, raw, image_format):
    made = convert(tool, raw, image_format)
    tool.check(made)
    assert check_headers(made.path, image_format) == tool.measure(made) == ODD
    assert made.path.stat().st_blocks * 512 < 5 * MIB  # the blocks of a VDI have 1 MiB
    back = FileSource(path=raw.path.with_name("back.raw"), format=ImageFormat.RAW)
    tool.convert(made, back, ODD, ignore)
    assert back.path.read_bytes() == raw.path.read_bytes()
    assert back.path.stat().st_blocks * 512 < MIB


@pytest.mark.parametrize("image_format", FORMATS)
def test_an_empty_disk_is_made_in_every_format(tool, tmp_path, image_format):
    made = FileSource(path=tmp_path / "empty", format=image_format)
    tool.create(made.path, image_format, 40 * GIB)
    tool.check(made)
    assert tool.measure(made) == 40 * GIB


def test_the_progress_goes_up_to_the_end(tool, tmp_path):
    raw = FileSource(path=tmp_path / "large.raw", format=ImageFormat.RAW)
    raw.path.write_bytes(os.urandom(MIB) * 64)
    seen = []
    target = FileSource(path=tmp_path / "out", format=ImageFormat.QCOW2)
    tool.convert(raw, target, 64 * MIB, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_watcher_stops_the_work(tool, raw):
    def stop(_share):
        raise Cancelled("enough")

    target = FileSource(path=raw.path.with_name("out"), format=ImageFormat.QCOW2)
    with pytest.raises(Cancelled, match="enough"):
        tool.convert(raw, target, ODD, stop)


def test_a_backing_file_is_never_opened(tool, raw, tmp_path):
    """Such a file is refused by its header; should one come so far, the tool still reads nothing else."""
    secret = tmp_path / "secret.raw"
    secret.write_bytes(b"secret" * 1024)
    overlay = tmp_path / "overlay.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", overlay, str(MIB)]
    subprocess.run(command, check=True)
    back = FileSource(path=tmp_path / "back.raw", format=ImageFormat.RAW)
    tool.convert(FileSource(path=overlay, format=ImageFormat.QCOW2), back, MIB, ignore)
    assert back.path.read_bytes() == bytes(MIB)


def test_a_file_of_another_format_is_not_read_as_that(tool, raw):
    made = convert(tool, raw, ImageFormat.QCOW2)
    for other in (ImageFormat.VHD, ImageFormat.VMDK, ImageFormat.VDI):
        with pytest.raises(ProgramFailedError, match="qemu-img failed"):
            tool.measure(FileSource(path=made.path, format=other))
    as_raw = FileSource(path=made.path, format=ImageFormat.RAW)
    assert tool.measure(as_raw) == made.path.stat().st_size // 512 * 512


def test_a_name_with_special_characters_is_a_name(tool, raw):
    odd = raw.path.rename(raw.path.with_name('a,b="c":{json: nbd:x} \'ü'))
    target = FileSource(path=odd.with_name("json:{}, out"), format=ImageFormat.QCOW2)
    tool.convert(FileSource(path=odd, format=ImageFormat.RAW), target, ODD, ignore)
    assert tool.measure(target) == ODD


def test_a_damaged_table_is_found_by_the_check(tool, raw):
    made = convert(tool, raw, ImageFormat.QCOW2)
    with made.path.open("r+b") as file:
        file.seek(48)  # the offset of the refcount table
        file.write((1 << 40).to_bytes(8, "big"))
    with pytest.raises(ProgramFailedError, match="qemu-img failed"):
        tool.check(made)


def test_a_missing_program_is_named_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissingError, match="qemu-utils"):
        ImageTool(tmp_path)


def attempt(tmp_path, code, limits):
    run([sys.executable, "-c", code], tmp_path, limits)


@pytest.mark.parametrize(
    ("code", "limits", "reason"),
    [
        ("while True: pass", Limits(cpu_seconds=1, wall_seconds=20.0), "processor time"),
        ("import time; time.sleep(60)", Limits(cpu_seconds=1, wall_seconds=0.5), "longer than"),
        (
            "open('f','wb').truncate(4097)",
            Limits(cpu_seconds=9, wall_seconds=20.0, file_bytes=4096),
            "File too large",
        ),
        ("bytearray(2 << 30)", ROOMY, "MemoryError"),
        ("import os; os.abort()", ROOMY, "gave up"),
        (
            "import os, time; os.close(1); os.close(2); time.sleep(60)",
            Limits(cpu_seconds=9, wall_seconds=0.5),
            "did not end",
        ),
        ("raise SystemExit(3)", ROOMY, "code 3"),
    ],
)
def test_a_program_ends_at_each_of_its_limits(tmp_path, code, limits, reason):
    started = time.monotonic()
    with pytest.raises(ProgramFailedError, match=reason):
        attempt(tmp_path, code, limits)
    assert time.monotonic() - started < 10


def test_a_program_cannot_write_where_only_reading_was_agreed(tmp_path):
    with pytest.raises(ProgramFailedError):
        attempt(tmp_path, "import os; os.write(os.open('f', os.O_CREAT | os.O_WRONLY), b'x')", ROOMY)


def test_a_talkative_program_costs_no_memory(tmp_path):
    output = run([sys.executable, "-c", "print('x' * (4 << 20))"], tmp_path, ROOMY)
    assert len(output) == 1 << 20


def test_a_program_dies_with_its_parent(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    deadline = time.monotonic() + 10
    while is_alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    parent.stdout.close()


_PARENT = """
import sys
from pathlib import Path
from lamina.blockio.qemu.running import Limits, run
def tell(output):
    if output.strip():
        print(output.strip(), flush=True)
code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
run([sys.executable, "-c", code], Path(sys.argv[1]), Limits(cpu_seconds=9, wall_seconds=60.0), tell)
"""


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def list_children():
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return text.split()


def make_endless(path, size_bytes):
    """A qcow2 of less than a MiB in which every block of the disk is the same cluster of zeros."""
    cluster = 64 * KIB
    tables = size_bytes // (cluster * cluster // 8)
    table_at, leaf_at = 3 * cluster, 3 * cluster + round_up(tables * 8, cluster)
    header = (b"QFI\xfb", 3, 0, 0, 16, size_bytes, 0, tables, table_at, cluster, 1, 0, 0, 0, 0, 0, 4, 104)
    with path.open("wb") as file:
        file.write(struct.pack(">4sIQIIQIIQQIIQQQQII", *header))
        file.seek(cluster)
        file.write(struct.pack(">Q", 2 * cluster))
        file.seek(table_at)
        file.write(struct.pack(">Q", 1 << 63 | leaf_at) * tables)
        file.seek(leaf_at)
        file.write(struct.pack(">Q", 1 << 63 | leaf_at + cluster) * (cluster // 8))
        file.truncate(leaf_at + 2 * cluster)
    return FileSource(path=path, format=ImageFormat.QCOW2)


def test_a_small_file_that_claims_a_large_disk_gets_the_time_of_a_small_file(tool, tmp_path, monkeypatch):
    endless = make_endless(tmp_path / "endless.qcow2", 8 * TIB)
    assert endless.path.stat().st_size < MIB
    assert tool.measure(endless) == check_headers(endless.path, ImageFormat.QCOW2) == 8 * TIB
    monkeypatch.setattr("lamina.blockio.qemu.image_tool._BASE_SECONDS", 0)
    monkeypatch.setattr("lamina.blockio.qemu.image_tool._CPU_SECONDS_PER_GIB", 1)
    monkeypatch.setattr("lamina.blockio.qemu.image_tool._CPU_SECONDS_PER_EMPTY_TIB", 0)
    target = FileSource(path=tmp_path / "disk.raw", format=ImageFormat.RAW)
    with pytest.raises(ProgramFailedError, match="processor time"):
        tool.convert(endless, target, 8 * TIB, ignore)
    assert target.path.stat().st_blocks * 512 < MIB
