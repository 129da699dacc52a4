"""Where a restore goes: beside the name and then to it, or over what is there."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.blockio.opening import fsync_directory, unavailable
from lamina.blockio.raw_file import RawFileTarget
from lamina.blockio.writers import list_writers
from lamina.failures import Refusal

# What link(2) answers where there are no hard links.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


class TargetExistsError(Refusal):
    """Something is there already, and overwriting was not asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists already: choose another name, or overwrite it with --force")


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """What is being restored to.

    Attributes:
        disk: the target of the pipeline.
        path: the name that it has when it is finished.
        partial: the name that it has until then; None for what existed before.
        size_bytes: the size that a regular file has in the end.
    """

    disk: RawFileTarget
    path: Path
    partial: Path | None
    size_bytes: int

    def finish(self) -> None:
        """Give a new file its name, and an old one its size.

        Raises:
            TargetExistsError: somebody made a file of that name meanwhile.
        """
        if self.partial is not None:
            _rename(self.partial, self.path)
        elif self.path.is_file() and self.disk.size_bytes > self.size_bytes:
            _resize(self.path, self.size_bytes)


@contextmanager
def open_target(path: Path, size_bytes: int, *, force: bool) -> Iterator[RestoreTarget]:
    """Open a target of `size_bytes`; a new file that was not finished is removed at the end.

    An existing regular file becomes as large as the snapshot; a block device has to be at least that large.

    Raises:
        TargetExistsError: it exists, and `force` does not say to overwrite it.
        Refusal: it cannot be opened, is in use, or is a device that is too small.
    """
    if path.exists():
        if not force:
            raise TargetExistsError(path)
        with _open_existing(path, size_bytes) as disk:
            yield RestoreTarget(disk, path, None, size_bytes)
        return
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with RawFileTarget.create(partial, size_bytes) as disk:
            yield RestoreTarget(disk, path, partial, size_bytes)
    finally:
        partial.unlink(missing_ok=True)


def _open_existing(path: Path, size_bytes: int) -> RawFileTarget:
    writers = ", ".join(map(str, list_writers(path)))
    if writers:
        raise Refusal(
            f"{path} is open for writing by {writers}: stop that first, or restore to another place"
        )
    if path.is_file() and path.stat().st_size < size_bytes:
        _resize(path, size_bytes)
    return RawFileTarget.open(path, needed_bytes=size_bytes)


def _resize(path: Path, size_bytes: int) -> None:
    try:
        with path.open("r+b") as file:
            file.truncate(size_bytes)
            os.fsync(file.fileno())
    except OSError as error:
        raise unavailable(path, error) from error


def _rename(partial: Path, path: Path) -> None:
    """Move without ever replacing; the name is durable when this returns."""
    try:
        os.link(partial, path)
    except FileExistsError as error:
        raise TargetExistsError(path) from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise unavailable(path, error) from error
        partial.rename(path)
    with suppress(FileNotFoundError):
        partial.unlink()
    fsync_directory(path.parent)
