"""The states and kinds of a snapshot, as the ECS API names them."""

from enum import Enum
from typing import Final


class SnapshotState(Enum):
    """Where a snapshot stands."""

    PROGRESSING = "progressing"  # its data is being copied
    ACCOMPLISHED = "accomplished"
    FAILED = "failed"
    DELETING = "deleting"  # accepted for deletion or cancelled: never listed, and not found any more


TRANSITIONS: Final[dict[SnapshotState, frozenset[SnapshotState]]] = {
    SnapshotState.PROGRESSING: frozenset(
        {SnapshotState.ACCOMPLISHED, SnapshotState.FAILED, SnapshotState.DELETING}
    ),
    SnapshotState.ACCOMPLISHED: frozenset({SnapshotState.DELETING}),
    SnapshotState.FAILED: frozenset({SnapshotState.DELETING}),
    SnapshotState.DELETING: frozenset(),
}


class SnapshotKind(Enum):
    """Who asked for it."""

    USER = "user"
    AUTO = "auto"


class SnapshotCategory(Enum):
    """How its data is kept."""

    STANDARD = "standard"


class SnapshotUsage(Enum):
    """What was made from it and still exists."""

    NONE = "none"
    IMAGE = "image"
    DISK = "disk"
    IMAGE_DISK = "image_disk"


class HolderKind(Enum):
    """What may hold a snapshot."""

    IMAGE = "image"
    DISK = "disk"
