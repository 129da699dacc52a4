"""The states of a key, as the vendor's key service names them, and which may follow which (KMS API, DescribeKey)."""

from enum import Enum
from typing import Final


class KeyState(Enum):
    """Where a key stands."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"  # nothing can be read or written with it, and nothing is lost
    PENDING_DELETION = "PendingDeletion"  # as disabled, until its time is over
    DESTROYED = "Destroyed"  # its material is gone; never listed, and not found any more


TRANSITIONS: Final[dict[KeyState, frozenset[KeyState]]] = {
    KeyState.ENABLED: frozenset({KeyState.DISABLED, KeyState.PENDING_DELETION}),
    KeyState.DISABLED: frozenset({KeyState.ENABLED, KeyState.PENDING_DELETION}),
    # to ENABLED: the deletion was cancelled
    KeyState.PENDING_DELETION: frozenset({KeyState.ENABLED, KeyState.DESTROYED}),
    KeyState.DESTROYED: frozenset(),
}


class KeyOrigin(Enum):
    """Who made a key."""

    SERVICE = "service"  # one per account and region, for disks that are encrypted without naming a key
    CUSTOMER = "customer"
