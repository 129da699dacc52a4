"""A disk image with a real ext4 file system and real files on it, and a changed copy of it. Nothing is mounted."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
SECTOR_RUN: Final = 4096  # the unit in which two images are compared: a block of the file system

# Places that every Linux machine fills with real files, and their share of the disk.
_PLACES: Final = ((Path("/usr/lib"), 0.75), (Path("/usr/share"), 0.25))
_LARGEST_FILE: Final = 48 * MIB
_REMOVED_FILES: Final = 12
_NEW_FILE: Final = "var/ledger.db"
_NEW_BYTES: Final = 3 * MIB


class ImageError(Exception):
    """A program that makes or reads images failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A raw disk image.

    Attributes:
        path: the file.
        files: paths on its file system, each with the file on this machine that it was copied from.
        file_bytes: the sum of their sizes.
    """

    path: Path
    files: dict[str, Path]
    file_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Bytes that differ: `data` at `offset`."""

    offset: int
    data: bytes


def make_image(folder: Path, *, disk_bytes: int, file_bytes: int) -> Image:
    """Make an ext4 disk in `folder` and fill it with up to `file_bytes` of this machine's system files."""
    tree = folder / "tree"
    files: dict[str, Path] = {}
    total = 0
    for place, share in _PLACES:
        room = int(file_bytes * share)
        for path in _list_files(place):
            size = path.stat().st_size
            if size > min(room, _LARGEST_FILE):
                continue
            name = path.relative_to("/").as_posix()
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, tree / name)
            files[name] = path
            room -= size
            total += size
    image = folder / "web-data.img"
    with image.open("wb") as file:
        file.truncate(disk_bytes)
    # One inode per 8 KiB: system files are small, and the default for small disks is one per 16 KiB.
    _run("mkfs.ext4", "-q", "-F", "-L", "web-data", "-i", "8192", "-d", str(tree), str(image))
    shutil.rmtree(tree)
    return Image(path=image, files=files, file_bytes=total)


def change_copy(image: Image, changed: Path) -> int:
    """Copy the image and work on the copy as a busy machine would; returns how many files were touched."""
    _run("cp", "--sparse=always", "--reflink=auto", str(image.path), str(changed))
    ledger = changed.with_suffix(".ledger")
    ledger.write_bytes(_noise(_NEW_BYTES))
    step = max(1, len(image.files) // _REMOVED_FILES)
    removed = list(islice(image.files, 0, None, step))[:_REMOVED_FILES]
    script = changed.with_suffix(".debugfs")
    commands = [f'rm "/{name}"' for name in removed]
    commands += ["mkdir var", f"write {ledger} {_NEW_FILE}"]
    script.write_text("\n".join(commands) + "\n")
    _run("debugfs", "-w", "-f", str(script), str(changed))
    _run("e2fsck", "-f", "-n", str(changed))
    return len(removed) + 1


def find_differences(old: Path, new: Path) -> Iterator[Run]:
    """What differs between two images of one size, in runs of whole file-system blocks."""
    start, pending = 0, bytearray()
    with old.open("rb") as before, new.open("rb") as after:
        for offset in range(0, new.stat().st_size, MIB):
            was, now = before.read(MIB), after.read(MIB)
            if was == now and not pending:
                continue
            for at in range(0, len(now), SECTOR_RUN):
                piece = now[at : at + SECTOR_RUN]
                if piece != was[at : at + SECTOR_RUN]:
                    start = start if pending else offset + at
                    pending += piece
                elif pending:
                    yield Run(offset=start, data=bytes(pending))
                    pending.clear()
    if pending:
        yield Run(offset=start, data=bytes(pending))


def locate_file(image: Path, name: str) -> list[tuple[int, int]]:
    """Where a file's bytes lie on the disk, as (offset, length) in the order of the file."""
    block_bytes = int(_search(r"Block size:\s+(\d+)", _run("dumpe2fs", "-h", str(image))))
    numbers = [int(text) for text in _run("debugfs", "-R", f'blocks "/{name}"', str(image)).split()]
    return [(number * block_bytes, block_bytes) for number in numbers]


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _list_files(place: Path) -> Iterator[Path]:
    """Regular files below a place that can be read, in the order of their names. Links are not followed."""
    for folder, subfolders, names in os.walk(place, followlinks=False):
        subfolders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK) and '"' not in str(path):
                yield path


def _noise(length: int) -> bytes:
    """Bytes that do not compress, the same in every run."""
    return hashlib.shake_128(b"demo").digest(length)


def _run(*command: str) -> str:
    """Run a program of e2fsprogs or coreutils and return what it printed.

    Raises:
        ImageError: it failed; the message is what it said.
    """
    env = {**os.environ, "LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise ImageError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def _search(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ImageError(f"cannot find {pattern!r} in: {text}")
    return found[1]
