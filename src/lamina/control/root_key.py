"""The installation's root key: 32 random bytes from which every other secret at rest is derived."""

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lamina.failures import Corruption, Refusal

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class RootKeyError(Refusal):
    """The file of the root key is not one."""


class RootKey:
    """Derives keys, one per purpose (HKDF-SHA256, RFC 5869). Never shown, never stored anywhere else."""

    def __init__(self, material: bytes) -> None:
        if len(material) != KEY_BYTES:
            raise RootKeyError(f"the root key must have {KEY_BYTES} bytes, not {len(material)}")
        self._material = material

    @classmethod
    def load(cls, path: Path) -> "RootKey":
        """Read the key.

        Raises:
            RootKeyError: there is no such file, or it is no key; bring it back from a copy, nothing opens without.
        """
        try:
            return cls(path.read_bytes())
        except OSError as error:
            raise RootKeyError(
                f"{path} cannot be read ({error.strerror}); bring it back from a copy"
            ) from error

    @classmethod
    def create(cls, path: Path) -> "RootKey":
        """Make a key that is on disk before it is used."""
        write_private(path, secrets.token_bytes(KEY_BYTES))
        return cls.load(path)

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose; the same every time."""
        kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"lamina/1/" + purpose.encode())
        return kdf.derive(self._material)

    def __repr__(self) -> str:
        return "RootKey(hidden)"


class Vault:
    """Seals short secrets for the database (AES-256-GCM, random nonces): the rows alone tell nothing."""

    def __init__(self, key: RootKey) -> None:
        self._cipher = AESGCM(key.derive("vault"))

    def seal(self, secret: str, *, owner: str) -> bytes:
        """Nonce and ciphertext. `owner` names the row: a sealed secret opens nowhere else."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> str:
        """The secret.

        Raises:
            Corruption: the row was damaged or moved, or the root key is another installation's.
        """
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode())
        except InvalidTag as failure:
            raise Corruption(
                f"the stored secret of {owner} does not open; root.key must be the one of this database"
            ) from failure
        return plain.decode()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read: whole or not at all, and durable when this returns."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
