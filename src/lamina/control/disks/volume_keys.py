"""The secrets of encrypted disks: DIR/disks/<disk id>/disk.key, sealed with a version of the key that the disk names.

Each disk has a secret of its own, so that rotating a key writes one small file per disk and not its bytes, and so that
whoever knows the secret of one disk knows nothing of others.
"""

import secrets
from pathlib import Path
from typing import Final

import msgspec

from lamina.blockio.encrypted_file import KEY_BYTES, UnitCipher
from lamina.control.keys.key_ring import KeyRing
from lamina.control.root_key import write_private
from lamina.failures import Corruption
from lamina.ids import DiskId, KeyId

_FILE: Final = "disk.key"


class _Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key_id: KeyId
    version: int
    sealed: bytes


class VolumeKeys:
    """Makes and opens the secrets of disks.

    Args:
        folder: of all disks; one subfolder per disk, named by its id.
        ring: the material of keys.
    """

    def __init__(self, folder: Path, ring: KeyRing) -> None:
        self._folder = folder
        self._ring = ring

    def make(self, disk_id: DiskId, key_id: KeyId, version: int) -> UnitCipher:
        """A secret for a disk whose folder is there; the one that it has, if there is one.

        Args:
            disk_id: which disk.
            key_id: what seals its secret.
            version: the version of the key that its row names; a newer one is used while the key is rotated.

        Raises:
            KeyDestroyedError: the key was destroyed.
            Fault: its material or the file cannot be read or written.
        """
        if not self._path(disk_id).exists():
            with self._ring.sealing(key_id, version) as newest:
                self._write(disk_id, key_id, newest, secrets.token_bytes(KEY_BYTES))
        return UnitCipher(self._open(disk_id, self._read(disk_id)))

    def open(self, disk_id: DiskId) -> UnitCipher | None:
        """The cipher of a disk; None if it is not encrypted.

        Raises:
            KeyDestroyedError: the key was destroyed: nobody reads the disk any more.
            KeyMaterialMissingError: the key's material is not there.
            Corruption: the file or the material was damaged.
        """
        if not self._path(disk_id).exists():
            return None
        return UnitCipher(self._open(disk_id, self._read(disk_id)))

    def find(self, disk_id: DiskId) -> tuple[KeyId, int] | None:
        """The key of a disk and the version that its secret is sealed with; None if it is not encrypted."""
        try:
            content = self._read(disk_id)
        except FileNotFoundError:
            return None
        return content.key_id, content.version

    def rewrap(self, disk_id: DiskId, version: int) -> None:
        """Seal a disk's secret with another version of its key; twice does no harm, nor does a disk that is gone.

        Raises:
            As `open`.
        """
        try:
            content = self._read(disk_id)
            if content.version != version:
                self._write(disk_id, content.key_id, version, self._open(disk_id, content))
        except FileNotFoundError:
            return

    def _open(self, disk_id: DiskId, content: _Content) -> bytes:
        return self._ring.open(content.key_id, content.version, content.sealed, owner=disk_id)

    def _read(self, disk_id: DiskId) -> _Content:
        path = self._path(disk_id)
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Content)
        except msgspec.MsgspecError as error:
            raise Corruption(
                f"the sealed secret of disk {disk_id} is not what this service wrote; bring {_FILE} back from a copy"
            ) from error

    def _write(self, disk_id: DiskId, key_id: KeyId, version: int, secret: bytes) -> None:
        sealed = self._ring.seal(key_id, version, secret, owner=disk_id)
        content = _Content(key_id=key_id, version=version, sealed=sealed)
        write_private(self._path(disk_id), msgspec.json.encode(content) + b"\n")

    def _path(self, disk_id: DiskId) -> Path:
        return self._folder / disk_id / _FILE
