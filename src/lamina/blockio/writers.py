"""Who has a disk open for writing, as far as /proc and /sys tell: for messages to people."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_BLOCK_DEVICES = Path("/sys/block")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A process or device that may change a disk.

    Attributes:
        program: the name of the program, or the loop device.
        pid: its process id; None for a device.
    """

    program: str
    pid: int | None

    def __str__(self) -> str:
        return self.program if self.pid is None else f"{self.program} (pid {self.pid})"


def list_writers(disk: Path) -> tuple[Writer, ...]:
    """Programs and loop devices that hold the file or block device open for writing.

    Best effort: processes of other users are invisible without privileges, and so is the kernel's own use.
    """
    try:
        wanted = _identity(disk.stat())
    except OSError:
        return ()
    return (*_list_processes(wanted), *_list_loop_devices(disk))


def _identity(status: os.stat_result) -> tuple[str, int, int]:
    if stat.S_ISBLK(status.st_mode):
        return ("device", status.st_rdev, 0)
    return ("file", status.st_dev, status.st_ino)


def _list_processes(wanted: tuple[str, int, int]) -> Iterator[Writer]:
    for folder in _PROC.iterdir():
        if folder.name.isdecimal() and _writes_to(folder, wanted):
            try:
                program = (folder / "comm").read_text().strip()
            except OSError:
                continue  # it ended meanwhile
            yield Writer(program=program, pid=int(folder.name))


def _writes_to(process: Path, wanted: tuple[str, int, int]) -> bool:
    """Whether one of the process's descriptors or writable memory maps is the file."""
    return any(_is_same(handle, wanted) and _is_writable(handle) for handle in _list_handles(process))


def _list_handles(process: Path) -> Iterator[Path]:
    for folder in ("fd", "map_files"):
        try:
            yield from (process / folder).iterdir()
        except OSError:
            continue  # another user's, or it ended meanwhile


def _is_same(handle: Path, wanted: tuple[str, int, int]) -> bool:
    try:
        return _identity(handle.stat()) == wanted
    except OSError:
        return False


def _is_writable(handle: Path) -> bool:
    """Whether a descriptor or map was opened for writing: proc(5) shows it as the link's own mode bits."""
    try:
        return bool(handle.lstat().st_mode & stat.S_IWUSR)
    except OSError:
        return False


def _list_loop_devices(disk: Path) -> Iterator[Writer]:
    for backing in _BLOCK_DEVICES.glob("loop*/loop/backing_file"):
        try:
            is_same = Path(backing.read_text().strip()).samefile(disk)
            is_writable = (backing.parents[1] / "ro").read_text().strip() == "0"
        except OSError:
            continue  # detached meanwhile
        if is_same and is_writable:
            yield Writer(program=f"/dev/{backing.parents[1].name}", pid=None)
