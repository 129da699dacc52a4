"""Clones on xfs and btrfs: exact points in time under a writer, exact differences, clean accidents."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from itertools import pairwise

import pytest

from lamina.blockio.extents import Extent, ExtentKind
from lamina.blockio.file_volume import forget, freeze, list_frozen
from lamina.failures import Fault, Refusal
from tests.real.blockio.restless import MIB, RECORD, RestlessWriter, mounted, numbers_of, replay

DISK_BYTES = 16 * MIB


@pytest.fixture
def disk(reflink_place, request):
    folder = reflink_place / request.node.name.replace("/", "-")
    folder.mkdir()
    path = folder / "disk.raw"
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    yield path
    shutil.rmtree(folder)


def read_all(volume):
    data = bytearray(volume.source.size_bytes)
    volume.source.read_into(0, [data])
    return bytes(data)


def cover_blocks(extents):
    return {index for extent in extents for index in range(extent.offset // RECORD, -(-extent.end // RECORD))}


def test_every_cut_under_a_writer_is_an_exact_prefix_and_no_change_is_missed(disk):
    folder = disk.parent / "frozen"
    cuts = []
    with RestlessWriter(disk, DISK_BYTES) as writer:
        for index in range(22):
            time.sleep(0.02)
            since = f"cut-{index - 1}" if index else None
            with freeze(disk, folder, f"cut-{index}", since) as volume:
                cuts.append((numbers_of(read_all(volume)), volume.changed))
            if since is not None:
                forget(folder, since)  # a rewritten disk fills the file system in 22 clones
    assert cuts[0][1] is None
    assert max(cuts[-1][0]) > max(cuts[0][0]), "the writer never ran"
    for numbers, _ in cuts:
        assert numbers == replay(writer.log, max(numbers), writer.blocks)
    for (before, _), (after, changed) in pairwise(cuts):
        differing = {index for index in range(writer.blocks) if before[index] != after[index]}
        assert differing == cover_blocks(changed)


def test_holes_and_zeros_are_told_in_the_difference(disk):
    folder = disk.parent / "frozen"
    fd = os.open(disk, os.O_RDWR)
    try:
        os.pwrite(fd, b"a" * MIB, 0)
        freeze(disk, folder, "old", None).close()
        subprocess.run(["fallocate", "-p", "-o", "65536", "-l", "131072", disk], check=True)
        os.pwrite(fd, b"b" * 4096, 8 * MIB)
        subprocess.run(["fallocate", "-o", str(12 * MIB), "-l", str(MIB), disk], check=True)
        with freeze(disk, folder, "new", "old") as volume:
            assert volume.changed == (Extent(65536, 131072, ExtentKind.HOLE), Extent(8 * MIB, 4096))
            assert read_all(volume)[:MIB] == b"a" * 65536 + bytes(131072) + b"a" * (MIB - 196608)
    finally:
        os.close(fd)


def test_nothing_changed_is_an_empty_difference_and_an_unknown_base_is_none(disk):
    folder = disk.parent / "frozen"
    disk.write_bytes(os.urandom(DISK_BYTES))
    freeze(disk, folder, "old", None).close()
    with freeze(disk, folder, "new", "old") as volume:
        assert volume.changed == ()
    with freeze(disk, folder, "newer", "never-taken") as volume:
        assert volume.changed is None


def test_a_grown_disk_differs_where_it_grew_only(disk):
    folder = disk.parent / "frozen"
    os.truncate(disk, DISK_BYTES - 1000)  # an end within a block
    with disk.open("r+b") as file:
        file.write(b"x" * (DISK_BYTES - 1000))
    freeze(disk, folder, "old", None).close()
    os.truncate(disk, DISK_BYTES + 8192)
    with disk.open("r+b") as file:
        file.seek(DISK_BYTES + 4096)
        file.write(b"y" * 4096)
    with freeze(disk, folder, "new", "old") as volume:
        assert volume.source.size_bytes == DISK_BYTES + 8192
        assert Extent(DISK_BYTES + 4096, 4096) in volume.changed
        old = b"x" * (DISK_BYTES - 1000) + bytes(9192)
        new = read_all(volume)
        covered = cover_blocks(volume.changed)
    for index in range(len(new) // RECORD):
        here = slice(index * RECORD, (index + 1) * RECORD)
        assert index in covered or old[here] == new[here]


def test_the_same_token_gives_the_same_bytes_until_it_is_forgotten(disk):
    folder = disk.parent / "frozen"
    disk.write_bytes(b"1" * DISK_BYTES)
    freeze(disk, folder, "t", None).close()
    disk.write_bytes(b"2" * DISK_BYTES)
    with freeze(disk, folder, "t", None) as again:
        assert read_all(again) == b"1" * DISK_BYTES
    assert list_frozen(folder) == ("t",)
    forget(folder, "t")
    forget(folder, "t")
    assert list_frozen(folder) == ()
    with freeze(disk, folder, "t", None) as anew:
        assert read_all(anew) == b"2" * DISK_BYTES


def test_a_memory_mapped_writer_is_frozen_too(disk):
    program = """
        import mmap, struct, sys
        with open(sys.argv[1], "r+b") as file:
            memory = mmap.mmap(file.fileno(), 0)
        number = 0
        print("ready", flush=True)
        while True:
            number += 1
            block = number * 2654435761 % (len(memory) // 4096)
            memory[block * 4096 : block * 4096 + 8] = struct.pack("<Q", number)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(disk)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout.readline() == b"ready\n"
            for index in range(5):
                time.sleep(0.05)
                with freeze(disk, disk.parent / "frozen", f"m{index}", None) as volume:
                    data = read_all(volume)
                numbers = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), RECORD)]
                blocks = len(numbers)
                log = [number * 2654435761 % blocks for number in range(1, max(numbers) + 1)]
                assert numbers == replay(log, len(log), blocks)
                assert max(numbers) > 0
        finally:
            writer.kill()


def test_a_process_killed_between_clone_and_rename_leaves_nothing_behind(disk):
    folder = disk.parent / "frozen"
    program = """
        import os, pathlib, signal, sys
        from lamina.blockio.file_volume import freeze
        pathlib.Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        freeze(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), "t", None)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), disk, folder], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list_frozen(folder) == ()
    assert [path.name for path in folder.iterdir()] == ["t.part"]
    freeze(disk, folder, "u", None).close()
    assert [path.name for path in folder.iterdir()] == ["u.frozen"]


def test_a_full_file_system_is_a_retryable_fault_and_leaves_nothing_behind():
    with mounted("xfs", 320) as place:
        disk, folder, ballast = place / "disk.raw", place / "frozen", place / "ballast"
        fd = os.open(disk, os.O_RDWR | os.O_CREAT)
        for index in range(12_000):  # enough single-block extents that a clone needs map blocks of its own
            os.pwrite(fd, b"x" * 4096, index * 8192)
        os.close(fd)
        folder.mkdir()
        step = 64 * MIB
        with ballast.open("wb") as file:
            while step >= 4096:
                end = os.fstat(file.fileno()).st_size
                try:
                    os.posix_fallocate(file.fileno(), end, step)
                except OSError:
                    step //= 2
        with pytest.raises(Fault, match="cannot freeze") as caught:
            freeze(disk, folder, "t", None)
        assert caught.value.retryable
        assert list(folder.iterdir()) == []
        ballast.unlink()
        freeze(disk, folder, "t", None).close()
        assert list_frozen(folder) == ("t",)


@pytest.mark.parametrize("token", ["", "../up", ".hidden", "a/b", "a" * 201, "a\n", "ä"])
def test_a_token_cannot_leave_its_folder(disk, token):
    with pytest.raises(Refusal, match="cannot name a point in time"):
        freeze(disk, disk.parent / "frozen", token, None)
    with pytest.raises(Refusal, match="cannot name a point in time"):
        forget(disk.parent / "frozen", token)


def test_btrfs_compressed_and_inline_extents_count_as_changed():
    with mounted("btrfs", 400, "compress-force=zstd") as place:
        disk, folder = place / "disk.raw", place / "frozen"
        disk.write_bytes(b"a" * MIB)
        freeze(disk, folder, "old", None).close()
        with disk.open("r+b") as file:
            file.write(b"b" * 4096)
        with freeze(disk, folder, "new", "old") as volume:
            assert volume.changed == (Extent(0, MIB),)
        tiny = place / "tiny.raw"
        tiny.write_bytes(b"inline")
        freeze(tiny, place / "tiny", "old", None).close()
        with freeze(tiny, place / "tiny", "new", "old") as volume:
            assert volume.changed == (Extent(0, 6),)


def test_btrfs_without_copy_on_write_can_be_frozen():
    with mounted("btrfs") as place:
        pool = place / "pool"
        pool.mkdir()
        subprocess.run(["chattr", "+C", pool], check=True)
        disk, folder = pool / "disk.raw", place / "frozen"
        disk.write_bytes(b"1" * MIB)
        freeze(disk, folder, "old", None).close()
        with disk.open("r+b") as file:
            file.seek(65536)
            file.write(b"2" * 4096)
        with freeze(disk, folder, "new", "old") as volume, freeze(disk, folder, "old", None) as old:
            assert volume.changed == (Extent(65536, 4096),)
            assert read_all(old) == b"1" * MIB
