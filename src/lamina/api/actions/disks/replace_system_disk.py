"""ReplaceSystemDisk."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import KEY_INHERITED, read_encryption
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DiskConnectedError, DiskSizeError, DiskStateError
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.images.errors import ImageNotFoundError, ImageStateError
from lamina.control.instances.errors import InstanceArrearsError, InstanceNotFoundError, InstanceStateError
from lamina.control.provisioning.errors import (
    DiskBelowImageError,
    ImageArchitectureError,
    NoSystemDiskError,
)
from lamina.control.provisioning.plan import SYSTEM_GIB_MIN
from lamina.control.provisioning.replace import replace_system_disk as replace
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.ids import DiskId, InstanceId
from lamina.tasks.errors import TaskBusyError

_SIZE_MAX: Final = 2048
_BAD_SIZE: Final = Code(400, "InvalidSystemDiskSize")
_SIZE_NOT_THERE: Final = Code(400, "InvalidSystemDiskSize.ValueNotSupported")
_TOO_SMALL: Final = Code(404, "InvalidSystemDiskSize.LessThanMinSize")
_TOO_LARGE: Final = Code(404, "InvalidSystemDiskSize.MoreThanMaxSize")
_TWO_LOGINS: Final = Code(400, "InvalidParameter.Conflict")
_PASSWORD_TWICE: Final = Code(400, "InvalidPasswordParam.Mismatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSystemDisk:
    """`SystemDisk`; the size in GiB."""

    size: int | None = param(default=None, malformed=_BAD_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceSystemDiskRequest:
    """Parameters.

    Password, key pair and hardening are for guests, which get none from Lamina. The vendor withdrew `DiskId`,
    `Architecture` and `Platform`; they are accepted.
    """

    instance_id: InstanceId
    image_id: str
    system_disk: NewSystemDisk | None = None
    password: str | None = param(
        default=None, check=rules.check_password, malformed=Code(400, "InvalidPassword.Malformed")
    )
    password_inherit: bool = False
    key_pair_name: str | None = None
    security_enhancement_strategy: str | None = None
    use_additional_service: bool = True
    encrypted: bool | None = None
    encrypt_algorithm: str | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")
    disk_id: DiskId | None = None
    architecture: str | None = param(
        default=None,
        choices=("i386", "x86_64", "arm64"),
        malformed=Code(400, "InvalidArchitecture.Malformed"),
    )
    platform: str | None = None
    client_token: str | None = param(default=None, check=rules.check_client_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceSystemDiskAnswer:
    """The new disk, which is `Creating` for now."""

    disk_id: DiskId


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_INHERITED,
        InstanceNotFoundError,
        InstanceArrearsError,
        InstanceStateError,
        DiskConnectedError,
        DiskStateError,
        ImageNotFoundError,
        ImageArchitectureError,
        NoSystemDiskError,
        TokenReusedError,
        TaskBusyError,
    ),
    errors={
        SnapshotInProgressError: Code(403, "DiskCreatingSnapshot"),
        ImageStateError: Code(403, "OperationDenied.ImageNotValid"),
        DiskBelowImageError: Code(404, "InvalidSystemDiskSize.LessThanImageSize"),
        DiskSizeError: _SIZE_NOT_THERE,
    },
    answers=(_TOO_SMALL, _TOO_LARGE, _TWO_LOGINS, _PASSWORD_TWICE),
    resource="instance_id",
    not_offered={
        "every type of instance takes every disk, and an image's system disk fits into any of its size": (
            "DependencyViolation.IoOptimize",
            "IoOptimized.NotSupported",
            "InvalidSystemDiskSize.ImageNotSupportResize",
        ),
        "the disk's category stays, and data disks do not matter": (
            "InvalidDatadisk.DiskCategoryViolation",
            "InvalidDatadisk.DiskStatusViolation",
            "InvalidDiskCategory.ValueNotSupported",
        ),
        "DiskId, Architecture and Platform were withdrawn by the vendor, and are not looked at": (
            "InvalidDiskId.NotFound",
            "InvalidPlatform.Malformed",
            "MissingParameter.Architecture",
            "MissingParameter.Platform",
            "InvalidParameter.NotMatch",
        ),
        "key pairs are recorded only, and an instance needs no login": (
            "InvalidKeyPairName.NotFound",
            "InvalidParameter.AllEmpty",
        ),
        "images and disks are not sold": (
            "ChargeTypeViolation",
            "INST_HAS_UNPAID_ORDER",
            "ImageNotSubscribed",
            "ImageRemovedInMarket",
            "OperationDenied.UnpaidOrder",
            "QuotaExceed.BuyImage",
        ),
        "a security lock does not matter here, as the appendix on locked resources says": (
            "InstanceLockedForSecurity",
        ),
        "a disk belongs to one instance at most, in its zone": (
            "InvalidOperation.MultiAttachDisk",
            "ResourcesNotInSameZone",
        ),
        "the more exact codes are answered": (
            "InvalidSystemDiskStatus.IsTransfering",
            "NoSuchResource",
            "OperationDenied",
            "OperationDenied.InstanceCreating",
        ),
    },
)
def replace_system_disk(
    _call: Call, scope: Scope, request: ReplaceSystemDiskRequest
) -> ReplaceSystemDiskAnswer:
    """Give a stopped instance another system disk, made from an image; the old one is released then."""
    _check(request)
    size_gib = request.system_disk.size if request.system_disk is not None else None
    if size_gib is not None and size_gib < SYSTEM_GIB_MIN:
        raise ApiError(_TOO_SMALL, f"a system disk has {SYSTEM_GIB_MIN} GiB at least")
    if size_gib is not None and size_gib > _SIZE_MAX:
        raise ApiError(_TOO_LARGE, f"a system disk has {_SIZE_MAX} GiB at most")
    encryption = read_encryption(request.kms_key_id, is_encrypted=request.encrypted)
    disk = replace(scope, request.instance_id, request.image_id, size_gib, encryption)
    return ReplaceSystemDiskAnswer(disk_id=disk.id)


def _check(request: ReplaceSystemDiskRequest) -> None:
    if request.password is not None and request.key_pair_name is not None:
        raise ApiError(_TWO_LOGINS, "Password and KeyPairName exclude each other; give one of them")
    if request.password is not None and request.password_inherit:
        raise ApiError(_PASSWORD_TWICE, "Password and PasswordInherit exclude each other; give one of them")
