"""Where the bytes of disks are: one folder per disk, with the raw file and the clones that captures read from.

Whether a disk is encrypted tells its folder: callers read and write in clear, and only here is it known.
"""

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lamina.blockio.encrypted_file import EncryptedSource, EncryptedTarget
from lamina.blockio.file_volume import FrozenVolume, freeze
from lamina.blockio.opening import fsync_directory
from lamina.blockio.raw_file import RawFileSource, RawFileTarget
from lamina.control.disks.volume_keys import VolumeKeys
from lamina.control.keys.key_ring import KeyRing
from lamina.failures import Fault
from lamina.ids import DiskId, KeyId

_RAW: Final = "disk.raw"
_FROZEN: Final = "frozen"
_GATE: Final = "gate.lock"
_ROOM: Final = "room.lock"
_TURN: Final = "turn"
_TURN_BYTES: Final = 16


Volume = RawFileTarget | EncryptedTarget
"""The bytes of a disk, in clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What a disk is encrypted with: a key, and which version of it."""

    key_id: KeyId
    version: int


class VolumeMissingError(Fault):
    """A disk that the database knows has no file."""

    def __init__(self, disk_id: DiskId, path: Path) -> None:
        super().__init__(
            f"the bytes of disk {disk_id} are missing: there is no {path}; is its file system mounted? Otherwise bring "
            "the file back from a copy, or make a new disk from a snapshot",
            retryable=False,
        )


class Volumes:
    """The folder of all disks of this host.

    Attributes:
        folder: the folder; one subfolder per disk, named by its id.
        keys: the secrets of encrypted ones.
    """

    def __init__(self, folder: Path, ring: KeyRing) -> None:
        self.folder = folder
        self.keys = VolumeKeys(folder, ring)

    def raw_path(self, disk_id: DiskId) -> Path:
        """The raw file of a disk."""
        return self.folder / disk_id / _RAW

    def frozen_folder(self, disk_id: DiskId) -> Path:
        """Where the clones of a disk are."""
        return self.folder / disk_id / _FROZEN

    def list_disks(self) -> list[DiskId]:
        """The disks that have a folder, sorted; not what else lies there, such as the `lost+found` of a file system."""
        return sorted(DiskId(path.name) for path in self.folder.glob("d-*") if path.is_dir())

    def create(self, disk_id: DiskId, size_bytes: int, sealing: Sealing | None = None) -> Volume:
        """An empty disk, durable after its first flush; one that is there already is emptied.

        Args:
            disk_id: which disk.
            size_bytes: how large.
            sealing: what a new disk is encrypted with; one that is there stays as it is.

        Raises:
            KeyDestroyedError: the key of the disk was destroyed.
            Fault: the file system has no room, or failed.
        """
        path = self.raw_path(disk_id)
        self._make_folder(path.parent)
        cipher = self.keys.open(disk_id)
        if cipher is None and sealing is not None:
            cipher = self.keys.make(disk_id, sealing.key_id, sealing.version)
        target = RawFileTarget.create(path, size_bytes, replace=True)
        return target if cipher is None else EncryptedTarget(target, cipher)

    def open(self, disk_id: DiskId) -> Volume:
        """The bytes of a disk, for reading and writing.

        Raises:
            VolumeMissingError: there are none.
            KeyDestroyedError: the key of the disk was destroyed.
        """
        path = self._find(disk_id)
        cipher = self.keys.open(disk_id)
        target = RawFileTarget.open(path)
        return target if cipher is None else EncryptedTarget(target, cipher)

    def open_source(self, disk_id: DiskId) -> RawFileSource | EncryptedSource:
        """The bytes of a disk, for reading only, while others may write them.

        Raises:
            VolumeMissingError: there are none.
            KeyDestroyedError: the key of the disk was destroyed.
        """
        path = self._find(disk_id)
        cipher = self.keys.open(disk_id)
        source = RawFileSource(path)
        return source if cipher is None else EncryptedSource(source, cipher)

    def freeze(self, disk_id: DiskId, token: str, since: str | None) -> FrozenVolume:
        """The point in time of a disk; see `lamina.blockio.file_volume.freeze`.

        Raises:
            KeyDestroyedError: the key of the disk was destroyed.
        """
        cipher = self.keys.open(disk_id)
        frozen = freeze(self.raw_path(disk_id), self.frozen_folder(disk_id), token, since)
        return frozen if cipher is None else replace(frozen, source=EncryptedSource(frozen.source, cipher))

    def resize(self, disk_id: DiskId, size_bytes: int) -> None:
        """Give a disk's file another size, durably; what is new reads as zero, and what is cut off is lost.

        Raises:
            VolumeMissingError: there are no bytes.
            Fault: the file system refused.
        """
        path = self.raw_path(disk_id)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise VolumeMissingError(disk_id, path) from error
        try:
            os.ftruncate(fd, size_bytes)
            os.fsync(fd)  # the size as well
        except OSError as error:
            raise Fault(f"{path} cannot get {size_bytes} bytes: {error.strerror}", retryable=False) from error
        finally:
            os.close(fd)

    def remove(self, disk_id: DiskId) -> None:
        """Remove a disk's bytes and clones; one that is not there counts as removed.

        Raises:
            Fault: the file system refused.
        """
        path = self.folder / disk_id
        try:
            # the raw file goes first: what is left after a crash is then no disk any more
            self.raw_path(disk_id).unlink(missing_ok=True)
            if path.exists():
                shutil.rmtree(path)
            fsync_directory(self.folder)
        except OSError as error:
            raise Fault(f"{path} cannot be removed: {error.strerror}", retryable=True) from error

    @contextmanager
    def shared(self, disk_id: DiskId) -> Iterator[None]:
        """Keep `exclusive` away while a disk is read or written for a moment.

        Raises:
            VolumeMissingError: the disk has no folder.
        """
        with self._locked(disk_id, _GATE, fcntl.LOCK_SH), ExitStack() as inside:
            inside.enter_context(self._locked(disk_id, _ROOM, fcntl.LOCK_SH))
            through = inside.pop_all()
        with through:
            yield

    @contextmanager
    def exclusive(self, disk_id: DiskId) -> Iterator[None]:
        """Wait until nobody reads or writes a disk through this service, and keep everybody away.

        A gate in front of the room keeps newcomers out meanwhile: an uninterrupted stream of requests, of which
        always one is in the room, would otherwise let this wait for ever.

        Raises:
            VolumeMissingError: the disk has no folder.
        """
        with self._locked(disk_id, _GATE, fcntl.LOCK_EX), self._locked(disk_id, _ROOM, fcntl.LOCK_EX):
            yield

    def read_turn(self, disk_id: DiskId) -> bytes:
        """A mark that stays the same until `end_turn`; empty before the first one.

        Raises:
            VolumeMissingError: the disk has no folder.
        """
        path = self.folder / disk_id / _TURN
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            if path.parent.exists():
                return b""
            raise VolumeMissingError(disk_id, path.parent) from error

    def end_turn(self, disk_id: DiskId) -> None:
        """Let requests that are under way finish, and make those that have not begun notice that it is too late.

        Raises:
            VolumeMissingError: the disk has no folder.
        """
        with self.exclusive(disk_id):
            (self.folder / disk_id / _TURN).write_bytes(secrets.token_bytes(_TURN_BYTES))

    @contextmanager
    def _locked(self, disk_id: DiskId, name: str, how: int) -> Iterator[None]:
        path = self.folder / disk_id
        try:
            fd = os.open(path / name, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError as error:
            raise VolumeMissingError(disk_id, path) from error
        try:
            fcntl.flock(fd, how)  # the kernel frees it when the descriptor closes or the process dies
            yield
        finally:
            os.close(fd)

    def _find(self, disk_id: DiskId) -> Path:
        path = self.raw_path(disk_id)
        if not path.exists():
            raise VolumeMissingError(disk_id, path)
        return path

    def _make_folder(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            fsync_directory(self.folder)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise Fault(f"{path} cannot be made: {error.strerror}", retryable=is_full) from error
