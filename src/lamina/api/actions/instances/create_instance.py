"""CreateInstance."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import INVALID_PARAMETER, MISSING_PARAMETER, SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.instance import DataDisk, SystemDisk, read_data_disk, read_system_disk
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DeviceTakenError, DiskCategoryError, DiskLimitError, DiskSizeError
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.instances.errors import InstanceTypeError
from lamina.control.provisioning.create import NewInstance
from lamina.control.provisioning.create import create_instance as create
from lamina.control.regions.errors import RegionNotFoundError, ZoneNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
)
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import InstanceId, RegionId, ZoneId

_NO_IMAGE: Final = Code(404, "InvalidImageId.NotFound")
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")
_NO_ENCRYPTION: Final = Code(400, "InvalidParameter.EncryptedNotSupported")
_KEY_WITHOUT_ENCRYPTION: Final = Code(400, "InvalidParameter.EncryptedIllegal")
_CHARGE_TYPE: Final = Code(400, "InvalidInstanceChargeType.ValueNotSupported")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInstanceRequest:
    """Parameters. Networks, key pairs and passwords are accepted; Lamina keeps no secrets of guests."""

    region_id: RegionId
    instance_type: str
    zone_id: ZoneId | None = None
    image_id: str | None = None
    image_family: str | None = None
    instance_name: str | None = param(
        default=None, check=rules.check_name, malformed=Code(400, "InvalidInstanceName.Malformed")
    )
    host_name: str | None = param(
        default=None, check=rules.check_host_name, malformed=Code(400, "InvalidHostName.Malformed")
    )
    description: str | None = param(
        default=None, check=rules.check_description, malformed=Code(400, "InvalidDescription.Malformed")
    )
    password: str | None = param(
        default=None, check=rules.check_password, malformed=Code(400, "InvalidPassword.Malformed")
    )
    key_pair_name: str | None = None
    security_group_id: str | None = None
    v_switch_id: str | None = None
    instance_charge_type: str = param(
        default="PostPaid", choices=("PostPaid", "PrePaid"), malformed=_CHARGE_TYPE
    )
    deletion_protection: bool = False
    resource_group_id: str | None = None
    system_disk: SystemDisk | None = None
    data_disk: tuple[DataDisk, ...] = ()
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    client_token: str | None = param(default=None, check=rules.check_client_token)
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInstanceAnswer:
    """The instance, which is `Pending` for now."""

    instance_id: InstanceId


@action(
    kind=Kind.WRITES,
    raises=(
        RegionNotFoundError,
        ZoneNotFoundError,
        InstanceTypeError,
        SnapshotNotReadyError,
        SnapshotDataMissingError,
        DiskSizeError,
        DeviceTakenError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
        TokenReusedError,
    ),
    errors={
        DiskCategoryError: Code(400, "InvalidDiskCategory.ValueNotSupported"),
        DiskLimitError: Code(403, "InstanceDiskNumLimitExceed"),
        SnapshotNotFoundError: Code(404, "InvalidDataDiskSnapshotId.NotFound"),
    },
    answers=(
        MISSING_PARAMETER,
        INVALID_PARAMETER,
        SUSPENDED,
        DUPLICATE_TAG,
        _NO_IMAGE,
        _NO_GROUP,
        _NO_ENCRYPTION,
        _KEY_WITHOUT_ENCRYPTION,
        _CHARGE_TYPE,
    ),
    not_offered={
        "disks may be made from every accomplished snapshot, and are never smaller than it": (
            "InvalidDiskSize.TooSmall",
            "InvalidSnapshotId.BasedSnapshotTooOld",
            "InvalidSnapshotId.NotDataDiskSnapshot",
        ),
        "images are recorded and not sold": ("ImageNotSubscribed", "ImageNotSupportInstanceType"),
        "instances are not sold, so nothing is out of stock or over a purchase quota": (
            "OperationDenied.NoStock",
            "QuotaExceed.ElasticQuota",
            "RegionUnauthorized",
            "Zone.NotOpen",
        ),
        "networks and key pairs are recorded only": (
            "InvalidKeyPairName.NotFound",
            "InvalidSecurityGroupId.NotFound",
            "InvalidVSwitchId.NotFound",
        ),
        "the more exact codes of single parameters are answered": ("InvalidParameter.Conflict",),
    },
)
def create_instance(call: Call, scope: Scope, request: CreateInstanceRequest) -> CreateInstanceAnswer:
    """Create an instance with its disks; it is `Stopped` once they are made."""
    _check_image(request)
    call.require_snapshot_service()  # a suspended account makes nothing new
    _refuse_what_is_not_offered(request)
    instance = create(
        scope,
        NewInstance(
            zone_id=request.zone_id,
            instance_type=request.instance_type,
            image_id=request.image_id,
            image_family=request.image_family,
            name=request.instance_name,
            description=request.description,
            host_name=request.host_name,
            key_pair_name=request.key_pair_name,
            security_group_id=request.security_group_id,
            v_switch_id=request.v_switch_id,
            is_deletion_protected=request.deletion_protection,
            system_disk=read_system_disk(request.system_disk or SystemDisk()),
            data_disks=tuple(read_data_disk(disk) for disk in request.data_disk),
            tags=read_tags(request.tag),
        ),
    )
    return CreateInstanceAnswer(instance_id=instance.id)


def _check_image(request: CreateInstanceRequest) -> None:
    """An instance needs an image, and a snapshot is none (FAQ: images create instances, snapshots do not)."""
    if request.image_id is None and request.image_family is None:
        raise ApiError(MISSING_PARAMETER, "The parameter ImageId or ImageFamily is mandatory and is missing")
    if request.image_id is not None and request.image_id.startswith("s-"):
        raise ApiError(
            _NO_IMAGE, f"{request.image_id} is a snapshot; create an image from it, or use it for a data disk"
        )


def _refuse_what_is_not_offered(request: CreateInstanceRequest) -> None:
    if any(disk.size is None and disk.snapshot_id is None for disk in request.data_disk):
        raise ApiError(
            MISSING_PARAMETER, "The parameter DataDisk.N.Size is mandatory for a disk without a snapshot"
        )
    has_key = any(disk.kms_key_id is not None and not disk.encrypted for disk in request.data_disk)
    refusals = (
        (has_key, _KEY_WITHOUT_ENCRYPTION, "KMSKeyId needs Encrypted"),
        (
            any(disk.encrypted for disk in request.data_disk),
            _NO_ENCRYPTION,
            "disks with a key of their own are not offered yet",
        ),
        (request.instance_charge_type == "PrePaid", _CHARGE_TYPE, "instances are paid by use only"),
        (request.resource_group_id is not None, _NO_GROUP, f"there is no group {request.resource_group_id}"),
    )
    for is_asked, code, message in refusals:
        if is_asked:
            raise ApiError(code, message)
