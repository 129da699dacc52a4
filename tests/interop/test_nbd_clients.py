"""Real NBD clients against our server over raw files: libnbd's tools, QEMU's tools, fio."""

import json
import os
import random
import shutil
import subprocess
import time

import pytest

from lamina.blockio.file_export import RawFileExport
from lamina.blockio.nbd.listening import LoopbackAddress
from lamina.blockio.raw_file import RawFileSource
from lamina.failures import Fault
from tests.interop.conftest import running
from tests.unit.blockio.nbd.memory_export import MemoryExport

KIB = 1024
MIB = 1024 * KIB
SIZE = 24 * MIB + 1000  # no multiple of a sector


def run(*command, timeout=60, **options):
    """The output of a program that has to succeed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=timeout, check=False, **options
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture
def disk(tmp_path):
    """A raw disk with data at both ends and a hole between."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.write(random.Random(5).randbytes(4 * MIB))
        file.truncate(SIZE)
        file.seek(20 * MIB)
        file.write(b"tail" * (MIB // 4))
    return path


@pytest.fixture
def blank(tmp_path):
    path = tmp_path / "blank.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def test_nbdinfo_reads_what_we_offer(serve, disk):
    with RawFileExport(disk, description="a test disk") as export, serve(export) as uri:
        # What it guesses about the content is garbage, not even text, where the program `file` is missing.
        (told,) = json.loads(run("nbdinfo", "--no-content", "--json", uri))["exports"]
        assert told["description"] == "a test disk"
        assert told["export-size"] == SIZE
        assert told["contexts"] == ["base:allocation"]
        assert (told["block_size_minimum"], told["block_size_preferred"]) == (1, 64 * KIB)
        assert told["block_size_maximum"] == 32 * MIB
        offered = {
            "can_cache",
            "can_df",
            "can_fast_zero",
            "can_flush",
            "can_fua",
            "can_multi_conn",
            "can_trim",
        }
        assert offered <= {name for name, value in told.items() if value is True}
        assert told["is_read_only"] is False
        assert run("nbdinfo", "--size", uri).strip() == str(SIZE)
        run("nbdinfo", "--can", "structured-reply", uri)


def test_nbdinfo_maps_holes(serve, disk):
    with RawFileExport(disk) as export, serve(export) as uri:
        runs = json.loads(run("nbdinfo", "--map", "--json", uri))
        assert [(run["offset"], run["length"], run["type"]) for run in runs] == [
            (0, 4 * MIB, 0),
            (4 * MIB, 16 * MIB, 3),
            (20 * MIB, MIB, 0),
            (21 * MIB, SIZE - 21 * MIB, 3),
        ]


def test_nbdinfo_lists_exports_that_may_come_and_go(tmp_path, disk):
    with RawFileExport(disk, name="one", description="first") as one:
        two = MemoryExport(4096, name="two & ümlaut", is_read_only=True)
        exports = {"one": one, "two & ümlaut": two}
        with running(exports, LoopbackAddress()) as uri:
            told = json.loads(run("nbdinfo", "--list", "--json", uri))["exports"]
            assert [export["export-name"] for export in told] == ["one", "two & ümlaut"]
            assert [export["is_read_only"] for export in told] == [False, True]
            assert run("nbdinfo", "--size", f"{uri}/one").strip() == str(SIZE)
            del exports["two & ümlaut"]
            assert len(json.loads(run("nbdinfo", "--list", "--json", uri))["exports"]) == 1


@pytest.mark.parametrize("options", [[], ["--synchronous"], ["--connections=1", "--requests=64"]])
def test_nbdcopy_reads_the_disk_as_it_is(serve, disk, tmp_path, options):
    copy = tmp_path / "copy.raw"
    with RawFileExport(disk, is_read_only=True) as export, serve(export) as uri:
        run("nbdcopy", *options, uri, copy)
    assert copy.read_bytes() == disk.read_bytes()


@pytest.mark.parametrize("options", [[], ["--synchronous"], ["--flush", "--destination-is-zero"]])
def test_nbdcopy_writes_the_disk_and_keeps_its_holes(serve, disk, blank, options):
    with RawFileExport(blank) as export, serve(export) as uri:
        run("nbdcopy", *options, disk, uri)
    assert blank.read_bytes() == disk.read_bytes()
    assert blank.stat().st_blocks * 512 <= 6 * MIB


def test_qemu_img_maps_converts_and_compares(serve, disk, blank, tmp_path):
    with RawFileExport(disk, is_read_only=True) as export, serve(export) as uri:
        mapped = json.loads(run("qemu-img", "map", "--output=json", "-f", "raw", uri))
        # QEMU counts whole sectors, so the last runs end behind the disk
        assert [(run["start"], run["length"], run["zero"]) for run in mapped][:3] == [
            (0, 4 * MIB, False),
            (4 * MIB, 16 * MIB, True),
            (20 * MIB, MIB, False),
        ]
        assert all(run["zero"] for run in mapped[3:])
        run("qemu-img", "compare", "-f", "raw", "-F", "raw", uri, disk)
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", uri, tmp_path / "disk.qcow2")
    os.truncate(blank, SIZE // 512 * 512 + 512)
    with RawFileExport(blank) as export, serve(export) as uri:
        run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", tmp_path / "disk.qcow2", uri)
    assert blank.read_bytes()[:SIZE] == disk.read_bytes()


def test_qemu_io_writes_zeroes_discards_and_flushes(serve, disk):
    expected = bytearray(disk.read_bytes())
    expected[1 * MIB : 2 * MIB] = b"\xab" * MIB
    expected[MIB + 4096 : MIB + 8192] = bytes(4096)
    expected[MIB + 16384 : MIB + 32768] = bytes(16384)
    expected[2 * MIB : 3 * MIB] = bytes(MIB)
    expected[100:203] = b"\xcd" * 103
    commands = [
        "write -P 0xab 1M 1M",
        "write -z 1052672 4096",
        "write -z -u 1064960 16384",
        "discard 2M 1M",
        "write -f -P 0xcd 100 103",
        "flush",
        "read -P 0xab 1M 4096",
        "read -P 0 2M 1M",
    ]
    with RawFileExport(disk) as export, serve(export) as uri:
        arguments = [part for command in commands for part in ("-c", command)]
        output = run("qemu-io", "-f", "raw", "-d", "unmap", *arguments, uri)
        assert "verification failed" not in output
        assert disk.read_bytes() == bytes(expected)


def test_qemu_io_is_told_of_a_read_only_export(serve, disk):
    with RawFileExport(disk, is_read_only=True) as export, serve(export) as uri:
        done = subprocess.run(
            ["qemu-io", "-f", "raw", "-c", "write 0 512", uri], capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert "Permission denied" in done.stderr


def test_fio_verifies_what_it_wrote(serve, blank):
    if "nbd" not in run("fio", "--enghelp"):
        pytest.skip("this fio has no nbd engine")
    with RawFileExport(blank) as export, serve(export) as uri:
        run(
            "fio", "--name=verify", "--ioengine=nbd", f"--uri={uri}", "--rw=randwrite", "--bs=4k",
            "--iodepth=16", "--size=8M", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1",
            "--randseed=7", "--fsync=64",
            cwd=blank.parent,  # where it leaves its state file
        )  # fmt: skip


def test_a_read_error_passes_through_a_mounted_export_to_a_fault(serve, tmp_path):
    """Our source over nbdfuse over our server over a bad medium: EIO becomes a fault with a byte range."""
    if shutil.which("nbdfuse") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("nbdfuse or /dev/fuse is missing")
    export = MemoryExport(4 * MIB)
    healthy = export.read

    def read(offset, length):
        if offset + length > 2 * MIB:
            raise Fault("the medium is bad", retryable=False)
        return healthy(offset, length)

    export.read, export.contexts = read, ()
    place = tmp_path / "mounted"
    place.write_bytes(b"")
    with serve(export) as uri, subprocess.Popen(["nbdfuse", place, uri]) as fuse:
        try:
            deadline = time.monotonic() + 10
            while place.stat().st_size != 4 * MIB:
                assert time.monotonic() < deadline, "nbdfuse did not mount"
                time.sleep(0.05)
            with RawFileSource(place) as source:
                source.read_into(0, [bytearray(MIB)])
                with pytest.raises(Fault, match=rf"cannot read bytes {3 * MIB} to {4 * MIB}"):
                    source.read_into(3 * MIB, [bytearray(MIB)])
        finally:
            run("umount", place)
            fuse.wait(10)
