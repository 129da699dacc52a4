"""Which process holds a lease, and whether it is still there."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_STAT_START_TIME = 21  # field 22 of /proc/PID/stat, see proc(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One run of one process on one host.

    Attributes:
        host: the host's name.
        boot: the kernel's id of this boot of the host.
        pid: the process id.
        started: when the process started, in clock ticks since the boot; ids are used again, this is not.
    """

    host: str
    boot: str
    pid: int
    started: int

    @classmethod
    def current(cls) -> Self:
        """This process."""
        pid = os.getpid()
        started = _find_start(pid)
        assert started is not None, "this process is not in /proc"
        return cls(host=socket.gethostname(), boot=_read_boot(), pid=pid, started=started)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The owner that `str` wrote."""
        host, boot, pid, started = text.split(" ")
        return cls(host=host, boot=boot, pid=int(pid), started=int(started))

    def __str__(self) -> str:
        return f"{self.host} {self.boot} {self.pid} {self.started}"

    def is_known_gone(self) -> bool:
        """Whether this owner certainly ended: it ran on this host and is no more."""
        if self.host != socket.gethostname():
            return False
        return self.boot != _read_boot() or _find_start(self.pid) != self.started


def _read_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _find_start(pid: int) -> int | None:
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the program's name stands in parentheses and may itself hold blanks and parentheses
    fields = line.rpartition(")")[2].split()
    state, started = fields[0], int(fields[_STAT_START_TIME - 2])
    return None if state == "Z" else started  # a zombie does nothing any more
