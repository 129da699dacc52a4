"""Run a program that reads files of strangers: under limits, watched, and never longer than its parent.

The limits are the kernel's (setrlimit(2)), set by `prlimit` of util-linux before the program begins. `setpriv` of the
same package has the kernel kill the program when the thread that started it ends, and keeps it from getting rights
that its parent does not have. Both are part of every Debian system.
"""

import os
import selectors
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from lamina.clock import SystemClock
from lamina.failures import Fault, Refusal
from lamina.units import GIB

_LOOK_SECONDS: Final = 0.2
_STDOUT_MAX: Final = 1 << 20
_STDERR_MAX: Final = 1 << 14
_READ_BYTES: Final = 1 << 16
# One heap for all threads instead of one each: 64 MiB of address space apiece would count against the limit.
_ENVIRONMENT: Final[Mapping[str, str]] = {"LC_ALL": "C", "MALLOC_ARENA_MAX": "1"}
_SIGNALS: Final[Mapping[int, str]] = {
    signal.SIGXCPU: "it needed more processor time than it may have",
    signal.SIGKILL: "it needed more processor time than it may have, or the system killed it",
    signal.SIGXFSZ: "it wrote more than it may write",
    signal.SIGABRT: "it gave up, as it does when it needs more memory than it may have",
    signal.SIGSEGV: "it crashed",
    signal.SIGTRAP: "it gave up, as it does when it needs more memory than it may have",
}

Watch = Callable[[str], None]
"""Called five times a second with what the program wrote last to its standard output. What it raises ends the run."""


class ProgramMissingError(Refusal):
    """A program that this needs is not installed."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(
            f"{program} is not installed on the host of the service; install the Debian package {package}"
        )
        self.program = program


class ProgramFailedError(Fault):
    """A program ended badly.

    Attributes:
        program: which one.
        reason: its own words, or the limit that it met.
    """

    def __init__(self, program: str, reason: str) -> None:
        super().__init__(f"{program} failed: {reason}", retryable=True)
        self.program = program
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a program may use; it is killed at any of these.

    Attributes:
        cpu_seconds: of processor time, of all its threads together.
        wall_seconds: from its start to its end.
        file_bytes: the length of the longest file that it may write, holes included; 0 for a program that only reads.
        memory_bytes: of address space. qemu-img needs 512 MiB with 16 requests in flight.
    """

    cpu_seconds: int
    wall_seconds: float
    file_bytes: int = 0
    memory_bytes: int = 1 * GIB


def find_program(name: str, package: str) -> str:
    """The path of a program.

    Raises:
        ProgramMissingError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise ProgramMissingError(name, package)
    return path


def run(command: Sequence[str], folder: Path, limits: Limits, watch: Watch | None = None) -> str:
    """Run a program to its end in a folder, and answer what it wrote to its standard output.

    Args:
        command: the program's path and its arguments.
        folder: its working directory.
        limits: what it may use.
        watch: looks at it, and may stop it by raising something.

    Raises:
        ProgramMissingError: util-linux is not installed.
        ProgramFailedError: it ended with an error, or met a limit.
    """
    guard = [
        *(find_program("setpriv", "util-linux"), "--pdeathsig", "KILL", "--no-new-privs"),
        *(
            find_program("prlimit", "util-linux"),
            f"--as={limits.memory_bytes}",
            f"--cpu={limits.cpu_seconds}",
        ),
        *(f"--fsize={limits.file_bytes}", "--core=0", "--"),
    ]
    with subprocess.Popen(  # noqa: S603 - every argument is one of ours, or a path that we made
        [*guard, *command],
        cwd=folder,
        env={**_ENVIRONMENT, "PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C at a terminal goes to the service, which stops this in its own way
    ) as process:
        try:
            output = _follow(process, Path(command[0]).name, limits, watch)
        except BaseException:
            process.kill()
            raise
    return output


def _follow(process: subprocess.Popen[bytes], program: str, limits: Limits, watch: Watch | None) -> str:
    clock = SystemClock()
    deadline = clock.monotonic() + limits.wall_seconds
    out, err = _Tail(process.stdout, _STDOUT_MAX), _Tail(process.stderr, _STDERR_MAX)
    with selectors.DefaultSelector() as selector:
        for tail in (out, err):
            selector.register(tail.fd, selectors.EVENT_READ, tail)
        while selector.get_map():
            for key, _ in selector.select(_LOOK_SECONDS):
                if not key.data.read():
                    selector.unregister(key.fd)
            if watch is not None:
                watch(out.take_last())
            if clock.monotonic() > deadline:
                raise ProgramFailedError(program, f"it took longer than {limits.wall_seconds:.0f} seconds")
    try:
        code = process.wait(max(_LOOK_SECONDS, deadline - clock.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise ProgramFailedError(program, "it closed its outputs and did not end") from error
    if code != 0:
        raise ProgramFailedError(program, _explain(program, code, err.text))
    return out.text


def _explain(program: str, code: int, stderr: str) -> str:
    if code < 0:
        return _SIGNALS.get(-code, f"it ended by signal {-code}")
    said = " ".join(line.removeprefix(f"{program}: ") for line in stderr.splitlines() if line.strip())
    return said or f"it ended with code {code} and said nothing"


class _Tail:
    """One of a program's outputs; only its end is kept."""

    def __init__(self, stream: IO[bytes] | None, maximum: int) -> None:
        assert stream is not None, "it is a pipe"
        self.fd = stream.fileno()
        self._maximum = maximum
        self._data = bytearray()
        self._fresh = b""

    @property
    def text(self) -> str:
        return self._data.decode("utf-8", "replace")

    def read(self) -> bool:
        """Take what is there; False at the end."""
        data = os.read(self.fd, _READ_BYTES)
        self._fresh = data or self._fresh
        self._data += data
        del self._data[: -self._maximum]
        return bool(data)

    def take_last(self) -> str:
        """What came since the last call, as far as it came at once."""
        fresh, self._fresh = self._fresh, b""
        return fresh.decode("utf-8", "replace")
