"""`qemu-img`: disks into files of other products, and such files into disks.

Nothing is ever probed: the format of every file is named, and what it consists of is spelled out down to the file
or socket below it. So a file cannot make the tool open another one, or a network address: a backing file that its
header names is overridden (`"backing": null`), and what cannot be overridden is refused before (`headers`).
The file names that the tool gets are given as JSON, which has no special characters of its own.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.blockio.qemu.formats import ImageFormat
from lamina.blockio.qemu.running import Limits, ProgramFailedError, find_program, run
from lamina.units import GIB, MIB, TIB, count_steps

_PROGRAM, _PACKAGE = "qemu-img", "qemu-utils"
_DRIVERS: Final[Mapping[ImageFormat, str]] = {
    ImageFormat.RAW: "raw",
    ImageFormat.QCOW2: "qcow2",
    ImageFormat.VHD: "vpc",
    ImageFormat.VMDK: "vmdk",
    ImageFormat.VDI: "vdi",
}
_WITH_BACKING: Final = (ImageFormat.QCOW2, ImageFormat.VMDK)
_WITH_CHECK: Final = (ImageFormat.QCOW2, ImageFormat.VMDK, ImageFormat.VDI)
# VHD: without force_size the size is rounded up to cylinders. VMDK: streamOptimized would be compressed, at 40 MB/s
# instead of 700; every reader of the one reads the other. qcow2 is not compressed for the same reason (60 MB/s).
_OPTIONS: Final[Mapping[ImageFormat, str]] = {
    ImageFormat.VHD: "subformat=dynamic,force_size=on",
    ImageFormat.VMDK: "subformat=monolithicSparse",
}
_REQUESTS: Final = "16"  # in flight; the most that qemu-img takes
_PROGRESS: Final = re.compile(r"\((\d+\.\d+)/100%\)")
_PERCENT: Final = 100.0
_LOOKING: Final = Limits(cpu_seconds=20, wall_seconds=60.0)
# Measured at 0.2 s of processor time and 1 s for each GiB from a file; a compressed one takes 6 s, a store any time.
_BASE_SECONDS, _CPU_SECONDS_PER_GIB, _WALL_FACTOR = 60, 60, 5
# The tables of a disk without data: 0.002 s for each GiB in clusters of 4 KiB, 0.0001 s in those of 64 KiB.
_CPU_SECONDS_PER_EMPTY_TIB: Final = 20
# A file of 1 MiB may say of each block of 32 TiB that it is the same one. What a file has of data is in it, though
# compressed: disks are compressed 2 to 5 times, and the limits have room for ten times of this.
_COMPRESSION_MAX: Final = 64
# What tables and headers of a format may take beyond the disk's own bytes: VHD and VMDK stay below 1 in 250.
_TABLES_SHARE: Final = 64

Watch = Callable[[float], None]
"""Called several times a second with the share that is done, from 0 to 1. What it raises ends the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file to read from.

    Attributes:
        path: where it is.
        format: what it is; never guessed.
    """

    path: Path
    format: ImageFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class NbdSource:
    """A disk that a server of this host serves.

    Attributes:
        socket: its Unix socket, which may be relative to the working folder: such a name is short enough for every
            program, however long the folder's is.
        export: the name of the disk there.
    """

    socket: Path
    export: str


class ImageTool:
    """Runs `qemu-img` in one folder."""

    def __init__(self, folder: Path) -> None:
        """Prepare the tool.

        Args:
            folder: its working directory; of the caller alone.

        Raises:
            ProgramMissingError: qemu-img is not installed.
        """
        self._folder = folder
        self._program = find_program(_PROGRAM, _PACKAGE)

    def measure(self, source: FileSource) -> int:
        """The size of the disk in a file, in bytes, by its tables; its data are not read.

        Raises:
            ProgramFailedError: it cannot be read as an image of that format.
        """
        answer = run([self._program, "info", "--output=json", self._describe(source)], self._folder, _LOOKING)
        try:
            return int(json.loads(answer)["virtual-size"])
        except (ValueError, KeyError, TypeError) as error:
            raise ProgramFailedError(
                _PROGRAM, f"its answer about {source.path.name} makes no sense"
            ) from error

    def check(self, source: FileSource) -> None:
        """Let only a file pass whose tables are in order. VHD has no such check, and raw nothing to check.

        Raises:
            ProgramFailedError: they are not.
        """
        if source.format in _WITH_CHECK:
            size_bytes = self.measure(source)
            limits = _limits_for(size_bytes, size_bytes)
            run([self._program, "check", "-q", self._describe(source)], self._folder, limits)

    def create(self, path: Path, image_format: ImageFormat, size_bytes: int) -> None:
        """Make an empty disk.

        Raises:
            ProgramFailedError: that is impossible.
        """
        limits = _limits_for(size_bytes, data_bytes=0)
        command = [
            "create",
            "-q",
            "-f",
            _DRIVERS[image_format],
            *_options(image_format),
            self._name(path),
            str(size_bytes),
        ]
        run([self._program, *command], self._folder, limits)

    def convert(
        self,
        source: FileSource | NbdSource,
        target: FileSource,
        size_bytes: int,
        watch: Watch,
    ) -> None:
        """Write a disk into a new file, with holes where the disk has holes or zeros. Not durable yet.

        Args:
            source: what to read.
            target: the file, and its format; what is there is overwritten.
            size_bytes: the size of the disk, by which the limits are set.
            watch: looks at the progress, and may stop it.

        Raises:
            ProgramFailedError: the source cannot be read, or the target not be written.
        """
        target.path.unlink(missing_ok=True)
        seen = 0.0

        def follow(output: str) -> None:
            nonlocal seen
            for share in _PROGRESS.findall(output)[-1:]:
                seen = float(share) / _PERCENT
            watch(seen)

        command = ["convert", "-p", "-m", _REQUESTS, "-O", _DRIVERS[target.format], *_options(target.format)]
        command += [self._describe(source), self._name(target.path)]
        data_bytes = size_bytes
        if isinstance(source, FileSource):
            data_bytes = min(size_bytes, source.path.stat().st_size * _COMPRESSION_MAX)
        run([self._program, *command], self._folder, _limits_for(size_bytes, data_bytes), follow)

    def _describe(self, source: FileSource | NbdSource) -> str:
        """The source, spelled out: see "json:" in qemu-img(1)."""
        node: dict[str, object]
        if isinstance(source, NbdSource):
            server = {"type": "unix", "path": str(source.socket)}
            node = {"driver": "raw", "file": {"driver": "nbd", "server": server, "export": source.export}}
        else:
            file = {"driver": "file", "filename": self._name(source.path)}
            node = {"driver": _DRIVERS[source.format], "file": file}
            if source.format in _WITH_BACKING:
                node["backing"] = None
        return "json:" + json.dumps(node)

    def _name(self, path: Path) -> str:
        """What the tool calls a file; it says so again when it fails, to users who need not know our folders."""
        return f"./{path.relative_to(self._folder)}" if path.is_relative_to(self._folder) else str(path)


def _limits_for(size_bytes: int, data_bytes: int) -> Limits:
    """The limits of work on a disk of this size, with so many bytes of data at most."""
    seconds = _BASE_SECONDS
    seconds += count_steps(data_bytes, GIB) * _CPU_SECONDS_PER_GIB
    seconds += count_steps(size_bytes, TIB) * _CPU_SECONDS_PER_EMPTY_TIB
    return Limits(
        cpu_seconds=seconds,
        wall_seconds=seconds * _WALL_FACTOR,
        file_bytes=size_bytes + size_bytes // _TABLES_SHARE + 64 * MIB,
    )


def _options(image_format: ImageFormat) -> list[str]:
    return ["-o", _OPTIONS[image_format]] if image_format in _OPTIONS else []
