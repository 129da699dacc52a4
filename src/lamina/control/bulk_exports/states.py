"""The states of a bulk export and of each of its items, and which may follow which."""

from enum import Enum
from typing import Final


class BulkState(Enum):
    """Where a bulk export stands."""

    RUNNING = "Running"
    CANCELLING = "Cancelling"  # what is under way undoes itself; nothing new is begun
    FINISHED = "Finished"  # every item has ended, each in its own way
    CANCELLED = "Cancelled"


class ItemState(Enum):
    """Where one item stands."""

    WAITING = "Waiting"  # for its turn
    CREATING = "CreatingImage"
    READY = "Ready"  # there is an image, which waits for its turn to be exported
    EXPORTING = "Exporting"
    FINISHED = "Finished"  # all its disks are in the bucket
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows."""
        return not ITEM_TRANSITIONS[self]


class SourceKind(Enum):
    """What the image of an item is made of."""

    INSTANCE = "Instance"  # all its disks as they are when the item's turn comes
    SNAPSHOT = "Snapshot"  # of a system disk
    IMAGE = "Image"  # it is there already, and is only exported


BULK_TRANSITIONS: Final[dict[BulkState, frozenset[BulkState]]] = {
    BulkState.RUNNING: frozenset({BulkState.CANCELLING, BulkState.FINISHED}),
    # to FINISHED: the wish to cancel came too late for everything
    BulkState.CANCELLING: frozenset({BulkState.CANCELLED, BulkState.FINISHED}),
    BulkState.FINISHED: frozenset(),
    BulkState.CANCELLED: frozenset(),
}

_ENDS: Final = frozenset({ItemState.FAILED, ItemState.CANCELLED})
ITEM_TRANSITIONS: Final[dict[ItemState, frozenset[ItemState]]] = {
    ItemState.WAITING: frozenset({ItemState.CREATING, ItemState.READY}) | _ENDS,
    ItemState.CREATING: frozenset({ItemState.READY}) | _ENDS,
    ItemState.READY: frozenset({ItemState.EXPORTING}) | _ENDS,
    ItemState.EXPORTING: frozenset({ItemState.FINISHED}) | _ENDS,
    ItemState.FINISHED: frozenset(),
    ItemState.FAILED: frozenset(),
    ItemState.CANCELLED: frozenset(),
}

UNFINISHED: Final = (BulkState.RUNNING, BulkState.CANCELLING)
UNDER_WAY: Final = (ItemState.CREATING, ItemState.READY, ItemState.EXPORTING)
"""Items that count towards how many are worked on at once."""
