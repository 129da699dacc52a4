"""Refusals about keys."""

from datetime import datetime

from lamina.control.keys.states import KeyState
from lamina.failures import Fault, Refusal
from lamina.ids import KeyId


class KeyNotFoundError(Refusal):
    """The account has no such key in this region."""

    def __init__(self, key_id: KeyId) -> None:
        super().__init__(f"there is no key {key_id} in this region")
        self.key_id = key_id


class KeyNotEnabledError(Refusal):
    """The key is disabled, or is going to be deleted."""

    def __init__(self, key_id: KeyId, state: KeyState) -> None:
        cure = "cancel its deletion" if state is KeyState.PENDING_DELETION else "enable it"
        super().__init__(
            f"key {key_id} is {state.value}, so nothing is read or written with it; {cure} first"
        )
        self.key_id = key_id
        self.state = state


class KeyDestroyedError(Refusal):
    """The key was deleted, and with it everything that it protected."""

    def __init__(self, key_id: KeyId) -> None:
        super().__init__(f"key {key_id} was deleted: what it protected cannot be read any more, by anybody")
        self.key_id = key_id


class KeyStateError(Refusal):
    """The key is not in a state in which this is possible."""

    def __init__(self, key_id: KeyId, state: KeyState, wanted: str) -> None:
        super().__init__(f"key {key_id} is {state.value}; {wanted}")
        self.key_id = key_id
        self.state = state


class ServiceKeyError(Refusal):
    """The key belongs to the service: it can be used and rotated, and nothing else."""

    def __init__(self, key_id: KeyId) -> None:
        super().__init__(
            f"key {key_id} is the service's own key of this region; make one of yours to manage it"
        )
        self.key_id = key_id


class KeyDeletionDueError(Refusal):
    """The waiting period is over; the key is being destroyed."""

    def __init__(self, key_id: KeyId, deletes_at: datetime) -> None:
        super().__init__(
            f"the deletion of key {key_id} was due at {deletes_at:%Y-%m-%dT%H:%MZ}; it cannot be cancelled"
        )
        self.key_id = key_id


class KeyWithoutEncryptionError(Refusal):
    """A key is named for something that is not to be encrypted."""

    def __init__(self, key_id: KeyId) -> None:
        super().__init__(f"key {key_id} is named without Encrypted; set Encrypted, or leave the key out")
        self.key_id = key_id


class DecryptionError(Refusal):
    """What is made from something encrypted is encrypted as well."""

    def __init__(self, key_id: KeyId) -> None:
        super().__init__(
            f"the source is encrypted with key {key_id}, and so is what is made from it; leave Encrypted out"
        )
        self.key_id = key_id


class InheritedKeyError(Refusal):
    """What is made from something encrypted has the key of that."""

    def __init__(self, inherited: KeyId, key_id: KeyId) -> None:
        super().__init__(
            f"the source is encrypted with key {inherited}, and what is made from it is not encrypted with {key_id}; "
            "leave KMSKeyId out"
        )
        self.inherited = inherited
        self.key_id = key_id


class KeyQuotaError(Refusal):
    """The account has as many keys in the region as it may have."""

    def __init__(self, maximum: int) -> None:
        super().__init__(f"there are {maximum} keys in this region, the most allowed; delete some first")
        self.maximum = maximum


class KeyMaterialMissingError(Fault):
    """The material of a key is not where it should be."""

    def __init__(self, key_id: KeyId, version: int, reason: str) -> None:
        super().__init__(
            f"version {version} of key {key_id} cannot be read ({reason}); bring the installation's folder `keys` back "
            "from a copy: nothing that the key protects opens without",
            retryable=False,
        )
        self.key_id = key_id
