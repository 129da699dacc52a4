"""All kinds of tasks of the control plane."""

from typing import Final

from lamina.control.advance import ADVANCE_CLOCK
from lamina.control.disks.attachment import ATTACH_DISK, DETACH_DISK
from lamina.control.disks.build import BUILD_DISK
from lamina.control.disks.clone import CLONE_DISK
from lamina.control.disks.empty import MAKE_EMPTY_DISK
from lamina.control.disks.remove import REMOVE_DISK
from lamina.control.disks.resize import RESIZE_DISK
from lamina.control.disks.respec import RESPEC_DISK
from lamina.control.disks.roll_back import ROLL_BACK_DISK
from lamina.control.encryption.destroy import DESTROY_KEY
from lamina.control.encryption.rotate import ROTATE_KEY
from lamina.control.images.capture import CAPTURE_IMAGE
from lamina.control.images.copying import COPY_IMAGE
from lamina.control.images.exporting import EXPORT_IMAGE
from lamina.control.images.importing import IMPORT_IMAGE
from lamina.control.installation import Installation
from lamina.control.policies.run import RUN_POLICY
from lamina.control.provisioning.build import BUILD_INSTANCE, BUILD_INSTANCE_FROM_SNAPSHOTS
from lamina.control.provisioning.power import REBOOT_INSTANCE, START_INSTANCE, STOP_INSTANCE
from lamina.control.provisioning.reinit import REINIT_DISK
from lamina.control.provisioning.release_task import RELEASE_INSTANCE
from lamina.control.provisioning.replace import REPLACE_SYSTEM_DISK
from lamina.control.snapshots.archive import ARCHIVE_SNAPSHOT
from lamina.control.snapshots.capture import CAPTURE_SNAPSHOT
from lamina.control.snapshots.copying import COPY_SNAPSHOT
from lamina.control.snapshots.groups.capture import CAPTURE_GROUP
from lamina.control.snapshots.remove import REMOVE_SNAPSHOT
from lamina.tasks.task import AnyKind

KINDS: Final[tuple[AnyKind[Installation], ...]] = (
    MAKE_EMPTY_DISK,
    BUILD_DISK,
    ROLL_BACK_DISK,
    REMOVE_DISK,
    ATTACH_DISK,
    DETACH_DISK,
    RESIZE_DISK,
    RESPEC_DISK,
    CLONE_DISK,
    REINIT_DISK,
    BUILD_INSTANCE,
    BUILD_INSTANCE_FROM_SNAPSHOTS,
    START_INSTANCE,
    STOP_INSTANCE,
    REBOOT_INSTANCE,
    REPLACE_SYSTEM_DISK,
    RELEASE_INSTANCE,
    CAPTURE_SNAPSHOT,
    CAPTURE_GROUP,
    CAPTURE_IMAGE,
    COPY_SNAPSHOT,
    COPY_IMAGE,
    EXPORT_IMAGE,
    IMPORT_IMAGE,
    ARCHIVE_SNAPSHOT,
    RUN_POLICY,
    ROTATE_KEY,
    DESTROY_KEY,
    REMOVE_SNAPSHOT,
    ADVANCE_CLOCK,
)
