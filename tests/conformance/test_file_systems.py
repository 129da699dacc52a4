"""File systems, disks and snapshots: what counts, and what deleting files does (rows E12 to E15).

A real ext4 file system is made in a file, and changed with debugfs; its bytes go to a disk through the API.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from alibabacloud_ecs20140526 import models as m

from lamina.cli.disk.connection import connect_disk
from tests.conformance.conftest import REGION, ZONE, Account
from tests.conformance.test_snapshot_service import find_link, sizes_of

BLOCK = 64 << 10
FILE_SYSTEM_BYTES = 32 << 20
MARK = b"only the deleted file says this: "


class FileSystem:
    """An ext4 file system in a file.

    Attributes:
        content: its files by name.
        written: its blocks that the disk has already.
    """

    def __init__(self, folder: Path) -> None:
        self.written: dict[int, bytes] = {}
        self.content = {
            "kept": os.urandom(1 << 20),
            "doomed": (MARK + os.urandom(4096 - len(MARK))) + os.urandom(3 << 20),
        }
        tree = folder / "tree"
        tree.mkdir()
        for name, content in self.content.items():
            (tree / name).write_bytes(content)
        self.path = folder / "ext4.raw"
        run("mkfs.ext4", "-q", "-d", tree, self.path, f"{FILE_SYSTEM_BYTES >> 20}M")

    def change(self, command: str) -> None:
        run("debugfs", "-w", "-R", command, self.path)

    def count_free_bytes(self) -> int:
        told = run("dumpe2fs", "-h", self.path)
        free, size = (int(re.search(rf"{name}:\s+(\d+)", told)[1]) for name in ("Free blocks", "Block size"))
        return free * size

    def list_data(self) -> Iterator[tuple[int, bytes]]:
        """Blocks that hold anything but zeros, as the FAQ counts them."""
        with self.path.open("rb") as file:
            for offset in range(0, FILE_SYSTEM_BYTES, BLOCK):
                block = file.read(BLOCK)
                if block.strip(b"\0"):
                    yield offset, block

    def read_file(self, name: str) -> bytes:
        found = self.path.with_name("found")
        run("debugfs", "-R", f"dump /{name} {found}", self.path)
        return found.read_bytes()


def run(*command) -> str:
    done = subprocess.run(
        list(map(str, command)),
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
    )
    return done.stdout


@pytest.fixture
def file_system(tmp_path):
    return FileSystem(tmp_path)


def write_all(account: Account, disk_id: str, file_system: FileSystem) -> None:
    """What a virtual machine's writes would have made of the disk."""
    now = dict(file_system.list_data())
    with connect_disk(account.lamina(), disk_id) as connection:
        for offset in sorted(now.keys() | file_system.written.keys()):
            block = now.get(offset, bytes(BLOCK))
            if file_system.written.get(offset) != block:
                connection.write(offset, block)
        connection.flush()
    file_system.written = now


def full_size(account: Account, snapshot_id: str) -> int:
    return account.describe("Snapshot", snapshot_id)["FullSnapshotSizeInBytes"]


def count_used(file_system: FileSystem) -> int:
    return BLOCK * sum(1 for _ in file_system.list_data())


def test_e12_the_first_snapshot_is_as_large_as_the_used_capacity_in_bytes(account, file_system):
    disk_id = account.make_disk()
    write_all(account, disk_id, file_system)
    used = count_used(file_system)
    assert used < FILE_SYSTEM_BYTES // 2, "the file system is mostly empty"
    snapshot_id = account.make_snapshot(disk_id)
    assert full_size(account, snapshot_id) == used
    link = find_link(account, disk_id)
    assert (link.total_size, link.source_disk_size) == (used, 1)


def test_e13_deleted_files_stay_in_later_snapshots(account, file_system):
    disk_id = account.make_disk()
    write_all(account, disk_id, file_system)
    before = account.make_snapshot(disk_id)
    free = file_system.count_free_bytes()
    file_system.change("rm doomed")
    assert file_system.count_free_bytes() - free >= 3 << 20, "for the file system there is more room"
    write_all(account, disk_id, file_system)
    after = account.make_snapshot(disk_id)
    assert full_size(account, after) == full_size(account, before), "the snapshot is not smaller"
    changed = sizes_of(account, before, after)[after]["IncrementalBytes"]
    assert 0 < changed < 1 << 20, "deleting changes a few blocks of metadata, and these are what it costs"


def test_e14_what_was_ever_written_counts_also_metadata_and_deleted_files(account, file_system):
    disk_id = account.make_disk()
    write_all(account, disk_id, file_system)
    file_system.change("rm doomed")
    write_all(account, disk_id, file_system)
    snapshot_id = account.make_snapshot(disk_id)
    shown = len(file_system.content["kept"])
    assert full_size(account, snapshot_id) > shown + len(file_system.content["doomed"])
    account.write(disk_id, bytes(BLOCK), FILE_SYSTEM_BYTES + BLOCK)
    later = account.make_snapshot(disk_id)
    assert full_size(account, later) == full_size(account, snapshot_id), "blocks of zeros are empty"
    account.write(disk_id, b"one byte is enough", FILE_SYSTEM_BYTES + BLOCK)
    last = account.make_snapshot(disk_id)
    assert full_size(account, last) == full_size(account, snapshot_id) + BLOCK


def test_e15_a_snapshot_holds_the_disks_blocks_whatever_lies_in_them(account, file_system, tmp_path):
    disk_id = account.make_disk()
    write_all(account, disk_id, file_system)
    whole = account.make_snapshot(disk_id)
    file_system.change("rm doomed")
    write_all(account, disk_id, file_system)
    deleted = account.make_snapshot(disk_id)
    image = file_system.path.read_bytes()

    copy = make_from(account, deleted)
    assert account.read(copy, FILE_SYSTEM_BYTES) == image, "every byte, of files or not"
    assert MARK in account.read(copy, FILE_SYSTEM_BYTES), "the blocks of the deleted file are still there"

    account.new_sdk().reset_disk(m.ResetDiskRequest(disk_id=disk_id, snapshot_id=whole))
    account.wait_disk(disk_id)
    file_system.path.write_bytes(account.read(disk_id, FILE_SYSTEM_BYTES))
    assert file_system.read_file("doomed") == file_system.content["doomed"], "and the file is back"
    run("e2fsck", "-fn", file_system.path)


def make_from(account: Account, snapshot_id: str) -> str:
    request = m.CreateDiskRequest(
        region_id=REGION, zone_id=ZONE, disk_category="cloud_auto", snapshot_id=snapshot_id
    )
    disk_id = account.new_sdk().create_disk(request).body.disk_id
    account.wait_disk(disk_id)
    return disk_id
