"""Keys: what unlocks a repository, and what is derived from its master key (docs/format.md §3.3, §3.7)."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lamina.engine.format import (
    BLOCK_BYTES,
    JSON_LENGTH,
    KEY_BYTES,
    KIND_KEY_SLOT,
    NONCE_BYTES,
    OBJECT_HEADER,
    REPOSITORY_BYTES,
    TAG_BYTES,
    PackId,
    check_header,
    object_header,
)
from lamina.failures import Corruption, Refusal
from lamina.units import KIB

_KEY_FILE_BYTES_MIN: Final = 16
_SALT_BYTES: Final = 16
# RFC 9106 §4, the second recommended option: 64 MiB, three passes, four lanes; 0.1 s on two cores of 2023.
_ARGON2_TIME: Final = 3
_ARGON2_MEMORY_KIB: Final = 64 * KIB
_ARGON2_LANES: Final = 4
# A hostile key slot must not be able to ask for all memory of the machine.
_ARGON2_MEMORY_KIB_MAX: Final = 1024 * KIB
_ARGON2_TIME_MAX: Final = 64
_ARGON2_LANES_MAX: Final = 64
_ARGON2_SALT_BYTES_MIN: Final = 8  # RFC 9106 §3.1


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A passphrase that a person types. Strengthened with argon2id.

    Attributes:
        text: the passphrase; not empty.
    """

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.text:
            raise Refusal("the passphrase is empty: set LAMINA_PASSPHRASE to one with at least one character")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Key material from a file or a key service; already random, so HKDF is enough.

    Attributes:
        material: at least 16 bytes.
    """

    material: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.material) < _KEY_FILE_BYTES_MIN:
            raise Refusal(
                f"the key file has {len(self.material)} bytes; it needs at least {_KEY_FILE_BYTES_MIN} random ones "
                "(for example: head -c 32 /dev/urandom > FILE)"
            )


Secret = Passphrase | KeyFile


class WrongSecretError(Refusal):
    """The passphrase or key file does not unlock this repository."""


class Unlock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the slot key comes from the secret. Salts are hex."""

    by: str
    kdf: str
    salt: str
    time: int = 0
    memory_kib: int = 0
    lanes: int = 0


class SlotHead(msgspec.Struct, frozen=True, kw_only=True):
    """The readable part of a key slot: the repository's parameters and how to unlock it."""

    repository: str
    created_at: datetime
    block_bytes: int = BLOCK_BYTES
    identity: str = "blake3-keyed"
    cipher: str = "aes-256-gcm"
    unlock: Unlock


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The root of all keys of one repository.

    Attributes:
        repository: the repository's id, 16 bytes.
        key: 32 random bytes, known only unwrapped in memory.
    """

    repository: bytes
    key: bytes = field(repr=False)

    @classmethod
    def mint(cls) -> "MasterKey":
        """The key of a new repository."""
        return cls(secrets.token_bytes(REPOSITORY_BYTES), secrets.token_bytes(KEY_BYTES))

    def object_key(self) -> bytes:
        """The key that seals small objects."""
        return _derive(self.key, self.repository, b"lamina/1/objects")

    def domain_keys(self, domain: bytes) -> "DomainKeys":
        """The keys of a domain that is not wrapped by a key of its own."""
        return DomainKeys(
            domain, self.repository, _derive(self.key, self.repository, b"lamina/1/domain" + domain)
        )


@dataclass(frozen=True, slots=True)
class DomainKeys:
    """The keys of one domain: block identity, page identity, and one key per pack.

    Attributes:
        domain: the domain's id, 16 bytes.
        repository: the repository's id, 16 bytes.
        key: the domain key.
    """

    domain: bytes
    repository: bytes
    key: bytes = field(repr=False)

    def block_identity(self) -> bytes:
        """The key of block ids."""
        return _derive(self.key, self.repository, b"lamina/1/block-identity")

    def page_identity(self) -> bytes:
        """The key of page ids and content ids."""
        return _derive(self.key, self.repository, b"lamina/1/page-identity")

    def pack_key(self, kind: bytes, pack: PackId) -> bytes:
        """The key that seals one pack."""
        info = b"lamina/1/pack" + kind + pack.session + pack.number.to_bytes(4, "little")
        return _derive(self.key, self.repository, info)


def wrap(master: MasterKey, secret: Secret, created_at: datetime) -> bytes:
    """The bytes of a new key slot that `secret` opens."""
    salt = secrets.token_bytes(_SALT_BYTES).hex()
    if isinstance(secret, Passphrase):
        unlock = Unlock(
            by="passphrase",
            kdf="argon2id",
            salt=salt,
            time=_ARGON2_TIME,
            memory_kib=_ARGON2_MEMORY_KIB,
            lanes=_ARGON2_LANES,
        )
    else:
        unlock = Unlock(by="key-file", kdf="hkdf-sha256", salt=salt)
    head = msgspec.json.encode(
        SlotHead(repository=master.repository.hex(), created_at=created_at, unlock=unlock)
    )
    public = object_header(KIND_KEY_SLOT) + JSON_LENGTH.pack(len(head)) + head
    nonce = secrets.token_bytes(NONCE_BYTES)
    return public + nonce + AESGCM(_slot_key(unlock, secret)).encrypt(nonce, master.key, public)


def unwrap(slot: bytes, secret: Secret, key: str) -> MasterKey:
    """Open a key slot; `key` is its object key, for messages.

    Raises:
        WrongSecretError: the secret does not fit, or the wrapped key was damaged: the two look alike.
        Corruption: the slot's readable part is damaged.
    """
    head, body_offset = read_head(slot, key)
    kind = "passphrase" if isinstance(secret, Passphrase) else "key-file"
    if head.unlock.by != kind:
        raise WrongSecretError(f"the repository is unlocked by a {head.unlock.by}, not by a {kind}")
    body = slot[body_offset:]
    nonce, sealed = body[:NONCE_BYTES], body[NONCE_BYTES:]
    if len(sealed) != KEY_BYTES + TAG_BYTES:
        raise Corruption(f"object {key!r} is damaged: its wrapped key has the wrong length")
    try:
        master = AESGCM(_slot_key(head.unlock, secret)).decrypt(nonce, sealed, slot[:body_offset])
    except InvalidTag as error:
        raise WrongSecretError(
            f"this {kind} does not unlock the repository (or its key slot {key!r} is damaged)"
        ) from error
    return MasterKey(bytes.fromhex(head.repository), master)


def read_head(slot: bytes, key: str) -> tuple[SlotHead, int]:
    """The readable part of a key slot, and the offset of the nonce behind it."""
    check_header(slot, KIND_KEY_SLOT, key)
    start = OBJECT_HEADER.size + JSON_LENGTH.size
    if len(slot) < start:
        raise Corruption(f"object {key!r} is damaged: it is cut short")
    (length,) = JSON_LENGTH.unpack_from(slot, OBJECT_HEADER.size)
    try:
        head = msgspec.json.decode(slot[start : start + length], type=SlotHead)
        repository = bytes.fromhex(head.repository)
        bytes.fromhex(head.unlock.salt)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Corruption(f"object {key!r} is damaged: its parameters cannot be read") from error
    if len(repository) != REPOSITORY_BYTES or head.block_bytes != BLOCK_BYTES:
        raise Corruption(f"object {key!r} is damaged: its parameters are not those of a repository")
    return head, start + length


def _slot_key(unlock: Unlock, secret: Secret) -> bytes:
    salt = bytes.fromhex(unlock.salt)
    if isinstance(secret, KeyFile):
        return _derive(secret.material, salt, b"lamina/1/key-slot")
    sane = (
        1 <= unlock.time <= _ARGON2_TIME_MAX
        and 1 <= unlock.lanes <= _ARGON2_LANES_MAX
        and 8 * unlock.lanes <= unlock.memory_kib <= _ARGON2_MEMORY_KIB_MAX
        and len(salt) >= _ARGON2_SALT_BYTES_MIN
    )
    if not sane:
        raise Corruption("the repository's key slot is damaged: what it asks of argon2id is absurd")
    return hash_secret_raw(
        secret.text.encode(),
        salt,
        time_cost=unlock.time,
        memory_cost=unlock.memory_kib,
        parallelism=unlock.lanes,
        hash_len=KEY_BYTES,
        type=Type.ID,
    )


def _derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key)
