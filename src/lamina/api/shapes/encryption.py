"""`Encrypted` and `KMSKeyId` of the actions that make something, and what they may be refused with."""

from typing import Final

from lamina.control.keys.choose import Encryption
from lamina.control.keys.errors import (
    DecryptionError,
    InheritedKeyError,
    KeyDestroyedError,
    KeyNotEnabledError,
    KeyNotFoundError,
    KeyWithoutEncryptionError,
)
from lamina.ids import KeyId

KEY_USED: Final = (KeyNotEnabledError, KeyDestroyedError)
"""What an action may be refused with that works on something encrypted."""
KEY_CHOSEN: Final = (KeyWithoutEncryptionError, KeyNotFoundError, *KEY_USED)
"""The same, for one that encrypts something anew."""
KEY_INHERITED: Final = (*KEY_CHOSEN, DecryptionError, InheritedKeyError)
"""The same, for one that makes something from what may be encrypted."""
EXACT_KEY_CODES: Final = (
    "a key either is the account's own, symmetric and enabled, or it is not: one code tells each"
)


def read_encryption(kms_key_id: str | None, *, is_encrypted: bool | None) -> Encryption:
    """What a request says; an empty key counts as none."""
    return Encryption(is_encrypted=is_encrypted, key_id=KeyId(kms_key_id) if kms_key_id else None)
