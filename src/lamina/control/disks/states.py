"""The states of a disk, as the ECS API names them, and which may follow which."""

from enum import Enum
from typing import Final


class DiskState(Enum):
    """Where a disk stands."""

    CREATING = "Creating"  # its bytes are being made
    AVAILABLE = "Available"
    ATTACHING = "Attaching"
    IN_USE = "In_use"
    DETACHING = "Detaching"
    REINITING = "ReIniting"  # its bytes are being replaced by a snapshot's, or it by another disk
    DELETING = "Deleting"  # accepted for deletion: never listed, and not found any more


TRANSITIONS: Final[dict[DiskState, frozenset[DiskState]]] = {
    DiskState.CREATING: frozenset({DiskState.AVAILABLE, DiskState.IN_USE, DiskState.DELETING}),
    DiskState.AVAILABLE: frozenset({DiskState.ATTACHING, DiskState.REINITING, DiskState.DELETING}),
    DiskState.ATTACHING: frozenset({DiskState.IN_USE, DiskState.AVAILABLE}),
    DiskState.IN_USE: frozenset({DiskState.DETACHING, DiskState.REINITING}),
    DiskState.DETACHING: frozenset({DiskState.AVAILABLE, DiskState.IN_USE, DiskState.DELETING}),
    # deleted: the system disk that another one took the place of; this, and going with its instance: given up
    DiskState.REINITING: frozenset(
        {
            DiskState.AVAILABLE,
            DiskState.IN_USE,
            DiskState.REINITING,
            DiskState.DETACHING,
            DiskState.DELETING,
        }
    ),
    DiskState.DELETING: frozenset(),
}


WITHOUT_FILES: Final = (DiskState.CREATING, DiskState.DELETING)
"""The states in which a disk may have no files."""


class DiskRole(Enum):
    """What a disk is to its instance."""

    SYSTEM = "system"
    DATA = "data"
