"""Real file systems in loop-mounted images, and a writer that never rests."""

import os
import random
import shutil
import struct
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1024 * 1024
RECORD = 4096

MAKERS = {
    "xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"],
    "btrfs": ["mkfs.btrfs", "-q"],
    "ext4": ["mkfs.ext4", "-q"],
}


@contextmanager
def mounted(kind, size_mib=400, *options):
    """A fresh file system of a kind, mounted from an image in memory where there is one."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix=f"blockio-{kind}-", dir=memory if memory.is_dir() else None))
    image, place = folder / "image", folder / "mounted"
    place.mkdir()
    try:
        with image.open("wb") as file:
            file.truncate(size_mib * MIB)
        maker = MAKERS[kind]
        if shutil.which(maker[0]) is None:
            pytest.skip(f"{maker[0]} is not installed")
        subprocess.run([*maker, str(image)], check=True, capture_output=True)
        subprocess.run(["mount", "-o", ",".join(["loop", *options]), str(image), str(place)], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)
    finally:
        shutil.rmtree(folder)


class RestlessWriter:
    """Writes numbered 4 KiB records to random places of a disk, and remembers the order."""

    def __init__(self, path, size_bytes, *, seed=1):
        self.log = []
        self.blocks = size_bytes // RECORD
        self._path = path
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        fd = os.open(self._path, os.O_WRONLY)
        try:
            while not self._stop.is_set():
                block, number = self._random.randrange(self.blocks), len(self.log) + 1
                self.log.append(block)
                os.pwrite(fd, struct.pack("<Q", number) * (RECORD // 8), block * RECORD)
        finally:
            os.close(fd)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def numbers_of(data):
    """The record number that each block holds, and that no record is torn."""
    numbers = []
    for start in range(0, len(data), RECORD):
        block = data[start : start + RECORD]
        assert block == block[:8] * (RECORD // 8), f"torn record at {start}"
        numbers.append(struct.unpack_from("<Q", block)[0])
    return numbers


def replay(log, count, blocks):
    """What the first `count` writes of a log leave behind."""
    numbers = [0] * blocks
    for number, block in enumerate(log[:count], start=1):
        numbers[block] = number
    return numbers
