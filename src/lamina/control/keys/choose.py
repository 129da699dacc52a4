"""Which key something new is encrypted with: what the caller says, and what it is made from."""

from dataclasses import dataclass
from typing import Final

from lamina.control.keys.create import ensure_service_key
from lamina.control.keys.errors import DecryptionError, InheritedKeyError, KeyWithoutEncryptionError
from lamina.control.keys.queries import find_usable_key, require_enabled
from lamina.control.scope import Scope
from lamina.ids import KeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """What a caller says about the encryption of something new.

    Attributes:
        is_encrypted: whether it is; None follows from what it is made from.
        key_id: a key of the account in the region; by default what is inherited, or the service's own.
    """

    is_encrypted: bool | None = None
    key_id: KeyId | None = None


AS_SOURCE: Final = Encryption()
"""Nothing is said: as what it is made from, and not at all where that is nothing."""


def choose_key(scope: Scope, wanted: Encryption, inherited: KeyId | None = None) -> KeyId | None:
    """The key of a new disk in the scope's region; None if it has none.

    Args:
        scope: who asks, and where.
        wanted: what is said of it.
        inherited: the key of the snapshot that it is made from.

    Raises:
        KeyWithoutEncryptionError: a key is named, and that it be encrypted is not said.
        DecryptionError, InheritedKeyError: it would not have the key of what it is made from.
        KeyNotFoundError: the account has no such key in the region.
        KeyNotEnabledError, KeyDestroyedError: the key cannot be used now.
    """
    if wanted.key_id is not None and not wanted.is_encrypted:
        raise KeyWithoutEncryptionError(wanted.key_id)
    if inherited is None:
        return choose_new_key(scope, wanted)
    if wanted.is_encrypted is False:
        raise DecryptionError(inherited)
    if wanted.key_id not in (None, inherited):
        raise InheritedKeyError(inherited, wanted.key_id)
    require_enabled(scope.session, inherited)
    return inherited


def choose_new_key(scope: Scope, wanted: Encryption) -> KeyId | None:
    """The key of what is encrypted anew in the scope's region, such as a copy; None if it is not to be encrypted.

    Raises:
        KeyWithoutEncryptionError, KeyNotFoundError, KeyNotEnabledError: as `choose_key`.
    """
    if wanted.key_id is not None and not wanted.is_encrypted:
        raise KeyWithoutEncryptionError(wanted.key_id)
    if not wanted.is_encrypted:
        return None
    if wanted.key_id is None:
        return ensure_service_key(scope).id
    return find_usable_key(scope, wanted.key_id).id
