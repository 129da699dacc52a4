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
    """How it is kept. An archived snapshot can be used like any other, and never becomes standard again."""

    STANDARD = "standard"
    ARCHIVING = "archiving"  # a task is on it; the API has no word for this and says `standard`
    ARCHIVE = "archive"


CATEGORY_TRANSITIONS: Final[dict[SnapshotCategory, frozenset[SnapshotCategory]]] = {
    SnapshotCategory.STANDARD: frozenset({SnapshotCategory.ARCHIVING}),
    SnapshotCategory.ARCHIVING: frozenset({SnapshotCategory.ARCHIVE, SnapshotCategory.STANDARD}),
    SnapshotCategory.ARCHIVE: frozenset(),
}


class LockState(Enum):
    """Where the lock of a snapshot stands; a matter of the clock alone."""

    COOL_OFF = (
        "compliance-cooloff"  # nobody deletes the snapshot; its lock can still be changed and taken off
    )
    COMPLIANCE = "compliance"  # nobody deletes the snapshot, and the lock can only grow
    EXPIRED = "expired"


class GroupState(Enum):
    """Where a snapshot group stands. A deleted group has no row any more."""

    PROGRESSING = "progressing"
    ACCOMPLISHED = "accomplished"
    FAILED = "failed"


GROUP_TRANSITIONS: Final[dict[GroupState, frozenset[GroupState]]] = {
    GroupState.PROGRESSING: frozenset({GroupState.ACCOMPLISHED, GroupState.FAILED}),
    GroupState.ACCOMPLISHED: frozenset(),
    GroupState.FAILED: frozenset(),
}


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
