"""Objects as files of a local directory, durable and atomic.

The key is the path below the root, so that a copy of the folder into a bucket is the same repository.
Temporary files live in `<root>/.tmp`, which no key can name. The order of every put is: write a temporary
file, `fdatasync` it, move or link it to its name, `fsync` the folder of that name and all folders above it up
to the root (another process may have made one of them a moment ago and not synced it yet).
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from lamina.engine.objects.file_system import (
    FOLDER_MODE,
    explain,
    file_holds,
    make_folders,
    open_file,
    open_folder,
    read_at,
    sync_folder,
)
from lamina.engine.objects.store import (
    Buffer,
    CreateOnlyUnsupportedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    check_key,
    check_prefix,
    check_range,
    view_bytes,
)
from lamina.engine.objects.temporary import sweep_leftovers, written_file
from lamina.failures import Fault, Refusal

_TEMPORARY: Final = ".tmp"
_NAME: Final = re.compile(r"[a-z0-9_-][a-z0-9_.-]*")
_ATTEMPTS_MAX: Final = 100  # each lost one means that a delete removed the empty folder at that very moment
_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


class DirectoryStore:
    """An object store in a directory of a local file system.

    Needs of the file system: atomic rename, hard links for `put_new`, and an honest fsync. Files are 0600 and
    folders 0700. Reading needs no right to write.
    """

    def __init__(self, root: Path) -> None:
        """Open the directory `root` and remove what killed writers left in it.

        Raises:
            Refusal: `root` is missing or not a directory.
            Fault: it could not be looked at.
        """
        self._root = root.absolute()
        try:
            status = self._root.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Refusal(
                f"the directory {self._root} does not exist; create it, or mount the disk that holds it"
            ) from error
        except OSError as error:
            raise explain("open", self._root, error) from error
        if not stat.S_ISDIR(status.st_mode):
            raise Refusal(f"{self._root} is not a directory; name one for the objects")
        self._identity = (status.st_dev, status.st_ino)
        self._temporary = self._root / _TEMPORARY
        sweep_leftovers(self._temporary)

    @classmethod
    def create(cls, root: Path) -> Self:
        """Make the directory, and the missing ones above it, durably; an existing one is opened as it is.

        Raises:
            Refusal: something that is not a directory stands in the way.
            Fault: it could not be made.
        """
        path = root.absolute()
        try:
            for folder in (*reversed(path.parents), path):
                if not folder.exists():
                    # FileExistsError: another process makes it too; or a dead link, which is refused below.
                    with suppress(FileExistsError):
                        folder.mkdir(FOLDER_MODE)
                    sync_folder(folder.parent)
        except NotADirectoryError as error:
            raise Refusal(f"{path} cannot be a directory, since there is a file above it") from error
        except OSError as error:
            raise explain("create", path, error) from error
        return cls(path)

    def put(self, key: str, data: Buffer) -> None:
        """Create or replace `key`: rename over the old file, whose readers keep it."""
        check_key(key)
        with self._faults("write", key), written_file(self._ready(), view_bytes(data)) as temporary:
            self._enter(key, lambda name, folder: os.rename(temporary, name, dst_dir_fd=folder))

    def put_new(self, key: str, data: Buffer) -> None:
        """Create `key` by a hard link, which one of several racing callers gets."""
        check_key(key)
        view = view_bytes(data)
        with self._faults("write", key), written_file(self._ready(), view) as temporary:
            self._enter(key, lambda name, folder: self._link(key, temporary, name, folder, view))

    def get(self, key: str) -> bytes:
        """All bytes of an object."""
        with self._reading(key) as (descriptor, size):
            return read_at(descriptor, 0, size)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`, as far as the object reaches."""
        check_range(offset, length)
        with self._reading(key) as (descriptor, size):
            return read_at(descriptor, offset, min(length, size - offset))

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes and the object's size."""
        check_range(0, length)
        with self._reading(key) as (descriptor, size):
            start = max(0, size - length)
            return read_at(descriptor, start, size - start), size

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix`; holds the names of one folder per level in memory."""
        check_prefix(prefix)
        folder, slash, start = prefix.rpartition("/")
        return self._walk(folder + slash, start)

    def delete(self, key: str) -> None:
        """Remove an object, and the folders above it that this leaves empty."""
        check_key(key)
        path = self._root / key
        with self._faults("delete", key):
            self._check_root()
            # No folder: there is no object, and no trace of it that a power cut could bring back.
            with suppress(FileNotFoundError, NotADirectoryError), open_folder(path.parent) as descriptor:
                with suppress(FileNotFoundError, IsADirectoryError):
                    os.unlink(path.name, dir_fd=descriptor)
                os.fsync(descriptor)  # also when it was gone: an earlier delete may have died before this
        self._remove_empty(path)

    def describe(self) -> str:
        """The directory's path."""
        return str(self._root)

    def _check_root(self) -> None:
        """Raise unless the root is still the directory that was opened.

        An unmounted disk leaves an empty directory behind; its objects are out of reach, not gone.
        """
        try:
            status = self._root.stat()
        except (FileNotFoundError, NotADirectoryError):
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._identity:
            raise Fault(
                f"{self._root} is not the directory that was opened any more; mount its disk and start over",
                retryable=False,
            )

    def _ready(self) -> Path:
        self._check_root()
        return self._temporary

    def _enter(self, key: str, move: Callable[[str, int], None]) -> None:
        """Give a written file its name with `move(name, folder descriptor)`, and make the name durable."""
        path = self._root / key
        folders = self._folders_above(path)
        for _ in range(_ATTEMPTS_MAX):
            try:
                with open_folder(path.parent) as descriptor:
                    move(path.name, descriptor)
                    os.fsync(descriptor)
            except FileNotFoundError:
                make_folders(folders[:-1])
                continue
            for folder in folders[1:]:  # not empty any more, so nobody can remove these
                sync_folder(folder)
            return
        raise Fault(
            f"cannot write {path}: its folder or its temporary file was removed {_ATTEMPTS_MAX} times; "
            "look for another program that deletes files there",
            retryable=True,
        )

    def _folders_above(self, path: Path) -> Sequence[Path]:
        """The folders that hold `path`, from the nearest one to the root."""
        depth = len(path.parts) - len(self._root.parts)
        return path.parents[:depth]

    def _link(self, key: str, temporary: Path, name: str, folder: int, data: memoryview) -> None:
        try:
            os.link(temporary, name, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError as error:
            if not file_holds(name, folder, data):
                raise ObjectExistsError(key) from error
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            raise CreateOnlyUnsupportedError(
                f"the file system of {self._root} has no hard links, so an object cannot be created without "
                "the risk of replacing one; use another file system, such as ext4 or XFS"
            ) from error

    def _remove_empty(self, path: Path) -> None:
        """Remove the folders above a deleted file, as far as they are empty."""
        # Any error ends it: a folder is in use, or a faster delete goes on from here.
        with suppress(OSError):
            for folder in self._folders_above(path)[:-1]:
                folder.rmdir()  # fails unless empty; a put that was about to use it makes it again

    @contextmanager
    def _reading(self, key: str) -> Iterator[tuple[int, int]]:
        """The open file of `key` and its size in bytes."""
        check_key(key)
        with self._faults("read", key):
            try:
                descriptor = open_file(self._root / key)
            except (FileNotFoundError, NotADirectoryError) as error:
                self._check_root()
                raise ObjectMissingError(key) from error
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ObjectMissingError(key)
                yield descriptor, status.st_size
            finally:
                os.close(descriptor)

    def _walk(self, folder: str, start: str) -> Iterator[ObjectInfo]:
        for name in self._level(folder, start):
            if name.endswith("/"):
                yield from self._walk(folder + name, "")
                continue
            with self._faults("list", folder):
                try:
                    size = (self._root / (folder + name)).lstat().st_size
                except (FileNotFoundError, NotADirectoryError):
                    continue  # deleted since its folder was read
            yield ObjectInfo(key=folder + name, size_bytes=size)

    def _level(self, folder: str, start: str) -> Iterator[str]:
        """Names in a folder, sub-folders with a slash, so that sorting them gives the order of whole keys."""
        with self._faults("list", folder):
            self._check_root()
            try:
                with os.scandir(self._root / folder) as entries:
                    # A set, since a file system may show a name twice that was replaced meanwhile.
                    names = {_listed(entry) for entry in entries if entry.name.startswith(start)}
            except (FileNotFoundError, NotADirectoryError):
                return iter(())
        return iter(sorted(names - {""}))

    @contextmanager
    def _faults(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise explain(verb, self._root / key, error) from error


def _listed(entry: os.DirEntry[str]) -> str:
    """An entry's name, a folder's with a slash, or nothing for what cannot be ours (`lost+found`, a link)."""
    if not _NAME.fullmatch(entry.name):
        return ""
    if entry.is_dir(follow_symlinks=False):
        return entry.name + "/"
    return entry.name if entry.is_file(follow_symlinks=False) else ""
