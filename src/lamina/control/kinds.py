"""All kinds of tasks of the control plane."""

from typing import Final

from lamina.control.disks.build import BUILD_DISK
from lamina.control.disks.empty import MAKE_EMPTY_DISK
from lamina.control.disks.remove import REMOVE_DISK
from lamina.control.disks.roll_back import ROLL_BACK_DISK
from lamina.control.installation import Installation
from lamina.control.snapshots.capture import CAPTURE_SNAPSHOT
from lamina.control.snapshots.remove import REMOVE_SNAPSHOT
from lamina.tasks.task import AnyKind

KINDS: Final[tuple[AnyKind[Installation], ...]] = (
    MAKE_EMPTY_DISK,
    BUILD_DISK,
    ROLL_BACK_DISK,
    REMOVE_DISK,
    CAPTURE_SNAPSHOT,
    REMOVE_SNAPSHOT,
)
