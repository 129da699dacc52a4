"""ReInitDisk."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskConnectedError,
    DiskNeverUsedError,
    DiskNotFoundError,
    DiskStateError,
    NotAttachedError,
    SourceSnapshotGoneError,
)
from lamina.control.images.errors import ImageNotFoundError, ImageStateError
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.provisioning.reinit import reinit_disk
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotInProgressError,
    SnapshotNotReadyError,
)
from lamina.ids import DiskId
from lamina.tasks.errors import TaskBusyError

_BUSY: Final = Code(403, "IncorrectDiskStatus")
_GONE: Final = Code(403, "InvalidSourceSnapshot")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReInitDiskRequest:
    """Parameters; password, key pair and hardening are for guests, which get none from Lamina."""

    disk_id: DiskId
    auto_start_instance: bool = False
    password: str | None = param(
        default=None, check=rules.check_password, malformed=Code(400, "InvalidPassword.Malformed")
    )
    key_pair_name: str | None = None
    security_enhancement_strategy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReInitDiskAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_USED,
        DiskNotFoundError,
        DiskCategoryError,
        InstanceSecurityLockError,
        InstanceArrearsError,
        InstanceStateError,
        DiskConnectedError,
        DiskStateError,
        SourceSnapshotGoneError,
        ImageNotFoundError,
        TaskBusyError,
    ),
    errors={
        NotAttachedError: _BUSY,
        DiskNeverUsedError: _BUSY,
        SnapshotInProgressError: Code(403, "DiskCreatingSnapshot"),
        SnapshotNotReadyError: _GONE,
        SnapshotDataMissingError: _GONE,
        ImageStateError: Code(404, "InvalidDiskId.OperationNotSupported"),
    },
    resource="disk_id",
    not_offered={
        "an image that was deleted, or is not shared any more, gives InvalidImageId.NotFound": (
            "SharedImageDeleted",
        ),
        "guests get no login from Lamina": ("LoginAsNonRoot.ImageNotSupport",),
        "every type of instance can do it, and hibernation is not there": (
            "DependencyViolation.IoOptimize",
            "DependencyViolation.WindowsInstance",
            "HibernationConfigured.InstanceOperationForbidden",
        ),
        "snapshots of the disk do not matter, and none becomes too old": (
            "DiskHasSnapshotsWithInstantAccessEnabled.OperationNotSupported",
            "InvalidSnapshot.TooOld",
        ),
        "key pairs are recorded only": ("InvalidKeyPairName.NotFound",),
        "a disk belongs to one instance at most": ("InvalidOperation.MultiAttachDisk",),
        EXACT_KEY_CODES: (
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
        ),
        "a source snapshot that was deleted gives InvalidSourceSnapshot": ("OperationDenied",),
        "the region is checked for every action alike": ("InvalidRegionId.MalFormed",),
        "nothing is kept to chosen accounts": ("UserNotInTheWhiteList",),
    },
)
def re_init_disk(_call: Call, scope: Scope, request: ReInitDiskRequest) -> ReInitDiskAnswer:
    """Bring a disk of a stopped instance back to how it was made; it is `ReIniting` until that is done."""
    reinit_disk(scope, request.disk_id, starts_instance=request.auto_start_instance)
    return ReInitDiskAnswer()
