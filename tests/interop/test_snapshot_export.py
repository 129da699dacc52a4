"""Snapshots served over NBD, as the clients that people have see them: nbdinfo, nbdcopy, qemu-img, fio, debugfs."""

import json
import os
import shutil
import subprocess
import time

import pytest

from lamina.blockio.raw_file import RawFileSource
from lamina.clock import SystemClock
from lamina.engine.format import LEAF_BLOCKS
from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.objects.metered import MeteredStore
from lamina.engine.objects.store import RequestKind
from lamina.transfer.export import CHANGED_SINCE, ExportRequest, SnapshotExport
from tests import needs
from tests.factories.transfer import PlainDisk, content, make_repository, open_cold, take

MIB = 2**20
TIB = 2**40
BLOCK = 65536

pytestmark = needs.program("nbdinfo")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def map_of(uri, context="base:allocation"):
    rows = json.loads(run("nbdinfo", f"--map={context}", "--json", uri))
    return [(row["offset"], row["length"], row["type"]) for row in rows]


@pytest.fixture
def store(tmp_path):
    return MeteredStore(DirectoryStore.create(tmp_path / "store"), clock=SystemClock())


@pytest.fixture
def disk():
    """96 MiB and 1,000 bytes: a file system's worth of data, zeros and holes, with a short last block."""
    size = 96 * MIB + 1000
    blocks = {block: content(block) for block in [*range(40), *range(3 * LEAF_BLOCKS, 4 * LEAF_BLOCKS), 900]}
    blocks |= dict.fromkeys(range(50, 60))
    blocks[size // BLOCK] = content("last", 1000)
    return PlainDisk(size, blocks)


@pytest.fixture
def image(tmp_path, disk):
    path = tmp_path / "disk.img"
    path.write_bytes(disk.read(0, disk.size_bytes))
    return path


@pytest.fixture
def exported(serve, store, disk):
    """The URI of a snapshot of the disk, opened cold."""
    snapshot = take(make_repository(store), disk)
    with SnapshotExport(open_cold(store), snapshot) as export, serve(export) as uri:
        yield uri


def test_nbdinfo_tells_size_and_map(exported, disk):
    assert int(run("nbdinfo", "--size", exported)) == disk.size_bytes
    offset, expected = 0, []
    for length, flags in disk.runs(0, disk.size_bytes):
        expected.append((offset, length, flags))
        offset += length
    assert map_of(exported) == expected


def test_nbdcopy_brings_every_byte(exported, image, tmp_path):
    run("nbdcopy", exported, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == image.read_bytes()


def test_nbdcopy_with_many_connections_and_no_map_brings_every_byte(exported, image, tmp_path):
    run("nbdcopy", "--connections=4", "--requests=32", "--no-extents", exported, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == image.read_bytes()


def test_qemu_img_compares_converts_and_maps(exported, image, disk, tmp_path):
    # qemu counts in sectors: it shows the last one, of 488 bytes, filled up with zeros
    padded = tmp_path / "padded.img"
    shutil.copy(image, padded)
    os.truncate(padded, -(-disk.size_bytes // 512) * 512)
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", exported, str(padded))
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", exported, str(tmp_path / "copy.qcow2"))
    run("qemu-img", "compare", str(tmp_path / "copy.qcow2"), str(padded))
    rows = json.loads(run("qemu-img", "map", "-f", "raw", "--output=json", exported))
    data = sum(row["length"] for row in rows if row["data"] and not row["zero"])
    assert data // BLOCK == sum(block is not None for block in disk.blocks.values()) - 1


def test_the_map_of_what_changed(serve, store, disk):
    repository = make_repository(store)
    first = take(repository, disk)
    disk.blocks |= {5: content("five"), 6: content("six"), 1000: content("new")}
    disk.blocks[900] = None
    second = take(repository, disk, parent=first)
    request = ExportRequest(changed_since=first)
    with SnapshotExport(open_cold(store), second, request) as export, serve(export) as uri:
        rows = map_of(uri, CHANGED_SINCE + first)
        assert [(offset // BLOCK, length // BLOCK) for offset, length, kind in rows if kind == 1] == [
            (5, 2),
            (900, 1),
            (1000, 1),
        ]
        assert sum(length for _, length, _ in rows) == disk.size_bytes


def test_an_empty_disk_of_eight_tebibytes_is_mapped_at_once(serve, store):
    snapshot = take(make_repository(store), PlainDisk(8 * TIB))
    with SnapshotExport(open_cold(store), snapshot) as export, serve(export) as uri:
        started = time.monotonic()
        rows = map_of(uri)
        assert time.monotonic() - started < 5
        assert {kind for _, _, kind in rows} == {3}
        assert sum(length for _, length, _ in rows) == 8 * TIB


def test_damage_is_an_error_for_its_own_bytes_only(serve, store, disk):
    repository = make_repository(store)
    first = take(repository, disk)
    lost = [info.key for info in store.list("data/")]
    disk.blocks[1000] = content("in a pack of its own")
    second = take(repository, disk, parent=first)
    for key in lost:
        store.delete(key)
    with SnapshotExport(open_cold(store), second) as export, serve(export) as uri:
        bad = subprocess.run(
            ["qemu-io", "-r", "-f", "raw", "-c", "read 0 4096", uri], capture_output=True, check=False
        )
        assert b"Input/output error" in bad.stdout + bad.stderr
        good = run("qemu-io", "-r", "-f", "raw", "-c", f"read -v {1000 * BLOCK} 512", uri)
        assert "block in a" not in good
        assert "read 512/512" in good
        hole = run("qemu-io", "-r", "-f", "raw", "-c", f"read -P 0 {60 * BLOCK} 65536", uri)
        assert "failed" not in hole


@needs.program("fio")
def test_fio_finds_the_checksums_that_it_wrote(serve, store, tmp_path):
    path = tmp_path / "fio.img"
    job = ["fio", "--name=job", "--size=32M", "--bs=16k", "--verify=crc32c", "--randrepeat=1", "--minimal"]
    run(*job, f"--filename={path}", "--rw=randwrite", "--do_verify=0", "--ioengine=psync", cwd=tmp_path)
    with RawFileSource(path) as source:
        snapshot = take(make_repository(store), source)
    with SnapshotExport(open_cold(store), snapshot) as export, serve(export) as uri:
        run(*job, "--ioengine=nbd", f"--uri={uri}", "--rw=randread", "--iodepth=16", cwd=tmp_path)


@pytest.fixture
def file_system(tmp_path):
    """An ext4 image of 256 MiB with two files in it."""
    folder = tmp_path / "folder"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc" / "motd").write_text("restored one file at a time\n")
    (folder / "large").write_bytes(os.urandom(24 * MIB))
    path = tmp_path / "ext4.img"
    run("mkfs.ext4", "-q", "-d", str(folder), str(path), "256M")
    return path


@needs.ROOT
@needs.FUSE
@needs.program("nbdfuse")
def test_a_file_is_read_out_of_a_file_system_without_copying_the_disk(serve, store, file_system, tmp_path):
    with RawFileSource(file_system) as source:
        snapshot = take(make_repository(store), source)
    mounted = tmp_path / "mounted"
    mounted.touch()
    with SnapshotExport(open_cold(store), snapshot) as export, serve(export) as uri:
        before = store.snapshot().by_kind[RequestKind.GET_RANGE].bytes_received
        fuse = subprocess.Popen(["nbdfuse", "-r", str(mounted), uri])
        try:
            deadline = time.monotonic() + 10
            while mounted.stat().st_size == 0 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert run("debugfs", "-R", "cat /etc/motd", str(mounted)) == "restored one file at a time\n"
        finally:
            run("umount", str(mounted))
            fuse.wait(10)
        read = store.snapshot().by_kind[RequestKind.GET_RANGE].bytes_received - before
    assert read < 8 * MIB, "the large file was not read"


def test_a_file_is_read_out_of_a_copy(serve, store, file_system, tmp_path):
    with RawFileSource(file_system) as source:
        snapshot = take(make_repository(store), source)
    with SnapshotExport(open_cold(store), snapshot) as export, serve(export) as uri:
        run("nbdcopy", uri, str(tmp_path / "copy"))
    assert run("debugfs", "-R", "cat /etc/motd", str(tmp_path / "copy")) == "restored one file at a time\n"
    run("e2fsck", "-fn", str(tmp_path / "copy"))


def test_the_name_of_the_export_is_what_was_asked_for(serve, store, disk):
    repository = make_repository(store)
    snapshot = take(repository, disk, name="root")
    with (
        SnapshotExport(repository, snapshot, ExportRequest(name=snapshot)) as export,
        serve(export) as uri,
    ):
        told = json.loads(run("nbdinfo", "--json", "--list", uri))
        (row,) = told["exports"]
        assert row["export-name"] == snapshot
        assert row["is_read_only"]
        assert "root" in row["description"]
