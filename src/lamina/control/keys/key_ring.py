"""The material of keys: DIR/keys/<key id>/<version>, 32 random bytes each, wrapped by the root key.

Files and not rows: a row that is deleted lives on in logs, free pages and backups of the database. A file is
overwritten before it is removed, and it is the only place where its content was. (On media that never overwrite, and in
copies of the folder, it lives on as well; the operator's manual says so.) Material is made when it is needed first, so
that making a key is a matter of its row.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lamina.blockio.opening import fsync_directory
from lamina.control.keys.errors import KeyDestroyedError, KeyMaterialMissingError
from lamina.control.root_key import RootKey, write_private
from lamina.failures import Corruption, Fault
from lamina.ids import KeyId

_MATERIAL_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TOMBSTONE: Final = "destroyed"
_PURPOSE: Final = "keys"


class KeyRing:
    """The material of all keys of an installation. Safe for any number of threads and processes.

    Whoever asks has looked at the key's state: the ring knows only what was destroyed.

    Args:
        folder: where it lies; made when it is needed.
        root_key: wraps it.
    """

    def __init__(self, folder: Path, root_key: RootKey) -> None:
        self._folder = folder
        self._cipher = AESGCM(root_key.derive(_PURPOSE))

    def derive(self, key_id: KeyId, version: int, purpose: str, length: int = 32) -> bytes:
        """A secret for one purpose; the same every time (HKDF-SHA256, RFC 5869).

        Raises:
            KeyDestroyedError, KeyMaterialMissingError, Corruption: as `seal`.
        """
        kdf = HKDF(algorithm=SHA256(), length=length, salt=None, info=b"lamina/1/" + purpose.encode())
        return kdf.derive(self._read(key_id, version))

    def seal(self, key_id: KeyId, version: int, secret: bytes, *, owner: str) -> bytes:
        """Nonce and ciphertext of a secret, for a file or an object. `owner` names it: it opens nowhere else.

        Raises:
            KeyDestroyedError: the key was destroyed.
            KeyMaterialMissingError: its file cannot be read.
            Corruption: its file was damaged, or the root key is another installation's.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._read(key_id, version)).encrypt(nonce, secret, owner.encode())

    def open(self, key_id: KeyId, version: int, sealed: bytes, *, owner: str) -> bytes:
        """The secret.

        Raises:
            KeyDestroyedError, KeyMaterialMissingError: as `seal`.
            Corruption: what is sealed was damaged or moved, or as `seal`.
        """
        cipher = AESGCM(self._read(key_id, version))
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode())
        except InvalidTag as failure:
            raise Corruption(
                f"the secret of {owner} does not open with version {version} of key {key_id}"
            ) from failure

    def make(self, key_id: KeyId, version: int) -> None:
        """Have material for a version, durably; nothing happens if it is there.

        Raises:
            KeyDestroyedError: the key was destroyed.
            Fault: the file system refused.
        """
        folder = self._folder / key_id
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fsync_directory(self._folder)
            self._check(key_id)
            path = folder / str(version)
            if path.exists():
                return
            material, nonce = secrets.token_bytes(_MATERIAL_BYTES), secrets.token_bytes(_NONCE_BYTES)
            unfinished = folder / f"{version}.{secrets.token_hex(8)}"
            write_private(unfinished, nonce + self._cipher.encrypt(nonce, material, _name(key_id, version)))
            with suppress(FileExistsError):  # of two that make it at once, one wins
                path.hardlink_to(unfinished)
            unfinished.unlink()
            fsync_directory(folder)
        except OSError as error:
            raise Fault(f"{folder} cannot be written: {error.strerror}", retryable=True) from error

    @contextmanager
    def sealing(self, key_id: KeyId, known: int) -> Iterator[int]:
        """The version that something new is sealed with; no newer one is made until the block ends.

        Args:
            key_id: which key.
            known: the version that its row names. The first one is made here; one of a rotation must be there.

        Raises:
            KeyDestroyedError, KeyMaterialMissingError, Fault: as `make` and `seal`.
        """
        with self._turn(key_id, fcntl.LOCK_SH):
            newest = max(self.list_versions(key_id), default=0)
            if newest == 0 and known == 1:
                self.make(key_id, known)
                newest = known
            if newest < known:
                raise KeyMaterialMissingError(key_id, known, "it is not there")
            yield newest

    def renew(self, key_id: KeyId, version: int) -> None:
        """Have a newer version, which everything new is sealed with from now on; twice does no harm.

        What is being sealed with the one before is finished when this returns.

        Raises:
            KeyDestroyedError, Fault: as `make`.
        """
        with self._turn(key_id, fcntl.LOCK_EX):
            self.make(key_id, version)

    def list_versions(self, key_id: KeyId) -> list[int]:
        """The versions whose material is there, the newest first. More than one only while the key is rotated.

        Raises:
            KeyDestroyedError: the key was destroyed.
        """
        self._check(key_id)
        folder = self._folder / key_id
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def is_destroyed(self, key_id: KeyId) -> bool:
        """Whether the key was destroyed, by whichever process."""
        return (self._folder / key_id / _TOMBSTONE).exists()

    def forget(self, key_id: KeyId, version: int) -> None:
        """Destroy one version of which nothing is sealed any more; twice does no harm.

        Raises:
            Fault: the file system refused.
        """
        folder = self._folder / key_id
        try:
            _shred(folder / str(version))
            if folder.exists():
                fsync_directory(folder)
        except OSError as error:
            raise Fault(f"{folder} cannot be written: {error.strerror}", retryable=True) from error

    def destroy(self, key_id: KeyId) -> None:
        """Destroy a key for good; twice does no harm. That it was is noted first, so that it is never made anew.

        Raises:
            Fault: the file system refused.
        """
        folder = self._folder / key_id
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / _TOMBSTONE).exists():
                write_private(folder / _TOMBSTONE, b"")
            for path in folder.iterdir():
                if path.name != _TOMBSTONE:
                    _shred(path)
            fsync_directory(folder)
            fsync_directory(self._folder)
        except OSError as error:
            raise Fault(f"{folder} cannot be written: {error.strerror}", retryable=True) from error

    def _read(self, key_id: KeyId, version: int) -> bytes:
        self._check(key_id)
        try:
            wrapped = (self._folder / key_id / str(version)).read_bytes()
        except OSError as error:
            raise KeyMaterialMissingError(key_id, version, error.strerror or str(error)) from error
        try:
            nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, sealed, _name(key_id, version))
        except InvalidTag as failure:
            raise Corruption(
                f"version {version} of key {key_id} does not open; root.key must be the one of this installation"
            ) from failure

    @contextmanager
    def _turn(self, key_id: KeyId, how: int) -> Iterator[None]:
        """A lock on the folder of a key, against other threads and processes."""
        folder = self._folder / key_id
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Fault(f"{folder} cannot be used: {error.strerror}", retryable=True) from error
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

    def _check(self, key_id: KeyId) -> None:
        if self.is_destroyed(key_id):
            raise KeyDestroyedError(key_id)

    def __repr__(self) -> str:
        return "KeyRing(hidden)"


def _name(key_id: KeyId, version: int) -> bytes:
    return f"{key_id}/{version}".encode()


def _shred(path: Path) -> None:
    try:
        with path.open("r+b", buffering=0) as file:
            file.write(secrets.token_bytes(os.fstat(file.fileno()).st_size))
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return
