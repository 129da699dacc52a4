"""Instances to be, as CreateInstance and RunInstances describe them; and how they are made of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import INVALID_PARAMETER, MISSING_PARAMETER, SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import KEY_INHERITED, read_encryption
from lamina.api.shapes.filters import parse_time
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.control.disks.attach import DATA_DEVICES
from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.errors import DeviceTakenError, DiskCategoryError, DiskLimitError, DiskSizeError
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.images.errors import ImageNotFoundError, ImageStateError
from lamina.control.instances.errors import InstanceTypeError
from lamina.control.instances.periods import end_of_months, end_of_weeks
from lamina.control.instances.states import ChargeType
from lamina.control.policies.apply import apply_policy
from lamina.control.policies.errors import PolicyNotFoundError
from lamina.control.provisioning.create import InstanceNames, MadeInstance, NewInstance, create_instances
from lamina.control.provisioning.errors import (
    DiskBelowImageError,
    DiskSizeMissingError,
    ImageArchitectureError,
    ImageFamilyNotFoundError,
)
from lamina.control.provisioning.plan import InstanceDisk
from lamina.control.regions.errors import RegionNotFoundError, ZoneNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
)
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.failures import LaminaError
from lamina.ids import DiskId, PolicyId, RegionId, SnapshotId, ZoneId

_CATEGORIES: Final = tuple(category.value for category in DiskCategory)
_LEVELS: Final = tuple(level.value for level in PerformanceLevel)
_BAD_LEVEL: Final = Code(400, "InvalidPerformanceLevel.Malformed")
_BAD_NAME: Final = Code(400, "InvalidDiskName.Malformed")
_BAD_DESCRIPTION: Final = Code(400, "InvalidDescription.Malformed")
_NO_IMAGE: Final = Code(404, "InvalidImageId.NotFound")
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")
_CHARGE_TYPE: Final = Code(400, "InvalidInstanceChargeType.ValueNotSupported")
_BAD_PERIOD: Final = Code(400, "InvalidPeriod")
_BAD_RELEASE_TIME: Final = Code(400, "InvalidAutoReleaseTime.Malformed")
_PERIODS: Final[Mapping[str, frozenset[int]]] = {
    "Week": frozenset(range(1, 5)),
    "Month": frozenset({*range(1, 10), 12, 24, 36, 48, 60}),
}
"""What `Period` may be, by `PeriodUnit` (ECS API, RunInstances)."""
_RELEASE_EARLIEST: Final = timedelta(minutes=30)
_RELEASE_LATEST: Final = timedelta(days=3 * 365)
"""Between which `AutoReleaseTime` must lie, from now on (ECS API, RunInstances: half an hour, three years)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemDisk:
    """`SystemDisk` of an action that makes instances; the size in GiB."""

    category: str = param(
        default=DiskCategory.CLOUD_EFFICIENCY.value,
        choices=_CATEGORIES,
        malformed=Code(400, "InvalidSystemDiskCategory.ValueNotSupported"),
    )
    size: int | None = param(
        default=None, between=(20, 2048), malformed=Code(400, "InvalidSystemDiskSize.ValueNotSupported")
    )
    performance_level: str | None = param(default=None, choices=_LEVELS, malformed=_BAD_LEVEL)
    disk_name: str | None = param(default=None, check=rules.check_name, malformed=_BAD_NAME)
    description: str | None = param(default=None, check=rules.check_description, malformed=_BAD_DESCRIPTION)
    auto_snapshot_policy_id: PolicyId | None = None
    encrypted: bool | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDisk:
    """`DataDisk.N` of an action that makes instances; the size in GiB."""

    category: str = param(
        default=DiskCategory.CLOUD_EFFICIENCY.value,
        choices=_CATEGORIES,
        malformed=Code(400, "InvalidDiskCategory.ValueNotSupported"),
    )
    size: int | None = param(
        default=None, between=(1, 65_536), malformed=Code(400, "InvalidDataDiskSize.ValueNotSupported")
    )
    snapshot_id: SnapshotId | None = None
    performance_level: str | None = param(default=None, choices=_LEVELS, malformed=_BAD_LEVEL)
    disk_name: str | None = param(default=None, check=rules.check_name, malformed=_BAD_NAME)
    description: str | None = param(default=None, check=rules.check_description, malformed=_BAD_DESCRIPTION)
    device: str | None = param(
        default=None, choices=DATA_DEVICES, malformed=Code(400, "InvalidDevice.Malformed")
    )
    delete_with_instance: bool = True
    auto_snapshot_policy_id: PolicyId | None = None
    encrypted: bool | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstanceRequest:
    """What both actions take.

    Networks, hosts, key pairs, spot prices, passwords and the like are accepted: they are recorded where an answer
    shows them, and mean nothing otherwise. Lamina keeps no secrets of guests.
    """

    region_id: RegionId
    instance_type: str
    zone_id: ZoneId | None = None
    image_id: str | None = None
    image_family: str | None = None
    description: str | None = param(default=None, check=rules.check_description, malformed=_BAD_DESCRIPTION)
    password: str | None = param(
        default=None, check=rules.check_password, malformed=Code(400, "InvalidPassword.Malformed")
    )
    password_inherit: bool = False
    key_pair_name: str | None = None
    security_group_id: str | None = None
    v_switch_id: str | None = None
    instance_charge_type: str = param(
        default=ChargeType.POSTPAID.value,
        choices=tuple(each.value for each in ChargeType),
        malformed=_CHARGE_TYPE,
    )
    period: int | None = param(default=None, malformed=_BAD_PERIOD)
    period_unit: str = param(default="Month", choices=tuple(_PERIODS), malformed=_BAD_PERIOD)
    auto_renew: bool = False
    auto_renew_period: int | None = None
    deletion_protection: bool = False
    resource_group_id: str | None = None
    system_disk: SystemDisk | None = None
    data_disk: tuple[DataDisk, ...] = ()
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    client_token: str | None = param(default=None, check=rules.check_client_token)
    dry_run: bool = False
    affinity: str | None = None
    cluster_id: str | None = None
    credit_specification: str | None = param(default=None, choices=("Standard", "Unlimited"))
    dedicated_host_id: str | None = None
    deployment_set_group_no: int | None = None
    deployment_set_id: str | None = None
    hpc_cluster_id: str | None = None
    http_endpoint: str | None = param(default=None, choices=("enabled", "disabled"))
    http_put_response_hop_limit: int | None = None
    http_tokens: str | None = param(default=None, choices=("optional", "required"))
    internet_charge_type: str | None = param(default=None, choices=("PayByBandwidth", "PayByTraffic"))
    internet_max_bandwidth_in: int | None = None
    internet_max_bandwidth_out: int | None = None
    io_optimized: str | None = param(default=None, choices=("none", "optimized"))
    private_ip_address: str | None = None
    ram_role_name: str | None = None
    security_enhancement_strategy: str | None = param(default=None, choices=("Active", "Deactive"))
    spot_duration: int | None = None
    spot_interruption_behavior: str | None = param(default=None, choices=("Terminate", "Stop"))
    spot_price_limit: float | None = None
    spot_strategy: str | None = param(default=None, choices=("NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo"))
    storage_set_id: str | None = None
    storage_set_partition_number: int | None = None
    tenancy: str | None = param(default=None, choices=("default", "host"))
    user_data: str | None = None


RAISES: Final = (
    *KEY_INHERITED,
    RegionNotFoundError,
    ZoneNotFoundError,
    InstanceTypeError,
    ImageNotFoundError,
    ImageFamilyNotFoundError,
    ImageArchitectureError,
    DiskSizeMissingError,
    DiskBelowImageError,
    SnapshotNotReadyError,
    SnapshotDataMissingError,
    DiskSizeError,
    DeviceTakenError,
    TagKeyError,
    TagValueError,
    TagQuotaError,
    TokenReusedError,
)
ERRORS: Final[Mapping[type[LaminaError], Code]] = {
    DiskCategoryError: Code(400, "InvalidDiskCategory.ValueNotSupported"),
    DiskLimitError: Code(403, "InstanceDiskNumLimitExceed"),
    ImageStateError: _NO_IMAGE,
    PolicyNotFoundError: Code(404, "InvalidAutoSnapshotPolicyId.NotFound"),
    SnapshotNotFoundError: Code(404, "InvalidDataDiskSnapshotId.NotFound"),
}
ANSWERS: Final = (
    MISSING_PARAMETER,
    INVALID_PARAMETER,
    SUSPENDED,
    DUPLICATE_TAG,
    _NO_IMAGE,
    _NO_GROUP,
    _BAD_PERIOD,
    _BAD_RELEASE_TIME,
)
NOT_OFFERED: Final = {
    "disks may be made from every accomplished snapshot, however old, and of system disks as well": (
        "InvalidSnapshotId.BasedSnapshotTooOld",
        "InvalidSnapshotId.NotDataDiskSnapshot",
    ),
    "images and instances are not sold, so nothing is out of stock or over a purchase quota": (
        "ImageNotSubscribed",
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
}


def make_instances(
    call: Call,
    scope: Scope,
    request: NewInstanceRequest,
    names: Sequence[InstanceNames],
    *,
    starts: bool = False,
    auto_release_at: datetime | None = None,
) -> list[MadeInstance]:
    """Make the instances that a request describes, one for each of the names.

    Raises:
        ApiError: a parameter is missing, or what it asks for is not offered.
        LaminaError: as `create_instances` and `apply_policy`.
    """
    _check_image(request)
    call.require_snapshot_service()  # a suspended account makes nothing new
    _refuse_what_is_not_offered(request)
    system = request.system_disk or SystemDisk()
    made = create_instances(
        scope,
        NewInstance(
            zone_id=request.zone_id,
            instance_type=request.instance_type,
            image_id=request.image_id,
            image_family=request.image_family,
            description=request.description,
            key_pair_name=request.key_pair_name,
            security_group_id=request.security_group_id,
            v_switch_id=request.v_switch_id,
            is_deletion_protected=request.deletion_protection,
            starts=starts,
            expires_at=_find_expiry(scope.clock.now(), request),
            auto_release_at=auto_release_at,
            system_disk=_read_system_disk(system),
            data_disks=tuple(_read_data_disk(disk) for disk in request.data_disk),
            tags=read_tags(request.tag),
        ),
        names,
    )
    _apply_policies(scope, (system, *request.data_disk), made)
    return made


def read_release_time(scope: Scope, text: str | None, charge_type: str) -> datetime | None:
    """`AutoReleaseTime`, to the minute.

    Raises:
        ApiError: it cannot be read, lies too near or too far, or the instance is paid for in advance.
    """
    if text is None:
        return None
    if charge_type == ChargeType.PREPAID.value:
        raise ApiError(INVALID_PARAMETER, "AutoReleaseTime is for instances that are paid by use")
    try:
        instant = parse_time(text)
    except ApiError as error:
        raise ApiError(
            _BAD_RELEASE_TIME, f"{text!r} is no time; write one such as 2026-01-31T23:59:00Z"
        ) from error
    now = scope.clock.now()
    if not now + _RELEASE_EARLIEST <= instant <= now + _RELEASE_LATEST:
        raise ApiError(_BAD_RELEASE_TIME, "AutoReleaseTime lies half an hour to three years ahead")
    return instant.replace(second=0)


def _check_image(request: NewInstanceRequest) -> None:
    """An instance needs an image, and a snapshot is none (FAQ: images create instances, snapshots do not)."""
    if request.image_id is None and request.image_family is None:
        raise ApiError(MISSING_PARAMETER, "The parameter ImageId or ImageFamily is mandatory and is missing")
    if request.image_id is not None and request.image_family is not None:
        raise ApiError(INVALID_PARAMETER, "ImageId and ImageFamily exclude each other; give one of them")
    if request.image_id is not None and request.image_id.startswith("s-"):
        raise ApiError(
            _NO_IMAGE, f"{request.image_id} is a snapshot; create an image from it, or use it for a data disk"
        )


def _refuse_what_is_not_offered(request: NewInstanceRequest) -> None:
    refusals = (
        (request.resource_group_id is not None, _NO_GROUP, f"there is no group {request.resource_group_id}"),
    )
    for is_asked, code, message in refusals:
        if is_asked:
            raise ApiError(code, message)


def _find_expiry(now: datetime, request: NewInstanceRequest) -> datetime | None:
    if request.instance_charge_type == ChargeType.POSTPAID.value:
        return None
    if request.period is None:
        raise ApiError(MISSING_PARAMETER, "The parameter Period is mandatory for PrePaid and is missing")
    allowed = _PERIODS[request.period_unit]
    if request.period not in allowed:
        numbers = ", ".join(map(str, sorted(allowed)))
        raise ApiError(_BAD_PERIOD, f"Period is one of {numbers} with PeriodUnit {request.period_unit}")
    count = end_of_weeks if request.period_unit == "Week" else end_of_months
    return count(now, request.period)


def _read_system_disk(disk: SystemDisk) -> InstanceDisk:
    return InstanceDisk(
        category=DiskCategory(disk.category),
        performance_level=PerformanceLevel(disk.performance_level) if disk.performance_level else None,
        size_gib=disk.size,
        encryption=read_encryption(disk.kms_key_id, is_encrypted=disk.encrypted),
        name=disk.disk_name,
        description=disk.description,
    )


def _read_data_disk(disk: DataDisk) -> InstanceDisk:
    return InstanceDisk(
        category=DiskCategory(disk.category),
        performance_level=PerformanceLevel(disk.performance_level) if disk.performance_level else None,
        size_gib=disk.size,
        encryption=read_encryption(disk.kms_key_id, is_encrypted=disk.encrypted),
        snapshot_id=disk.snapshot_id,
        name=disk.disk_name,
        description=disk.description,
        device=disk.device,
        delete_with_instance=disk.delete_with_instance,
    )


def _apply_policies(
    scope: Scope, asked: Sequence[SystemDisk | DataDisk], made: Sequence[MadeInstance]
) -> None:
    """The disks of each instance begin with those that were asked for, in the same order."""
    chosen: dict[PolicyId, list[DiskId]] = {}
    for at, disk in enumerate(asked):
        if disk.auto_snapshot_policy_id is not None:
            ids = chosen.setdefault(disk.auto_snapshot_policy_id, [])
            ids.extend(instance.disk_ids[at] for instance in made)
    for policy_id, disk_ids in chosen.items():
        apply_policy(scope, policy_id, disk_ids)
