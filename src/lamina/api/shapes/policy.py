"""Automatic snapshot policies: what requests say about them, and how DescribeAutoSnapshotPolicyEx shows them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import msgspec

from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import read_encryption
from lamina.api.shapes.tags import TagShape, show_tags
from lamina.control.keys.choose import AS_SOURCE
from lamina.control.policies.queries import PolicyView
from lamina.control.policies.retention import Retention
from lamina.control.policies.set_copies import CopyWish
from lamina.ids import PolicyId, RegionId

BAD_POLICY: Final = Code(403, "ParameterInvalid")
"""What the API answers for anything malformed about a policy."""

NO_COPIES: Final = Code(403, "Abs.InvalidAction.RegionNotSupport")
BAD_TARGET: Final = Code(403, "InvalidParameter.TargetCopyRegions")
BAD_COPY_RETENTION: Final = Code(403, "InvalidParameter.CopiedSnapshotsRetentionDays")
MAX_RETENTION_DAYS: Final = 65_535
HOURS: Final = tuple(str(hour) for hour in range(24))
WEEKDAYS: Final = tuple(str(day) for day in range(1, 8))
_FOR_EVER: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRole:
    """`CopyEncryptionConfiguration.Arn.N`: accepted, and without effect."""

    assume_role_for: int | None = None
    role_type: str | None = None
    rolearn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyEncryption:
    """`CopyEncryptionConfiguration` of a request, which is one value: without a key it is the service's own."""

    encrypted: bool | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")
    arn: tuple[CopyRole, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTag:
    """`TargetTags.N`: a tag of instances."""

    key: str | None = None
    value: str | None = None


class CopyParameters(Protocol):
    """What requests say of copies to another region."""

    @property
    def enable_cross_region_copy(self) -> bool | None:
        """Whether copies are made."""

    @property
    def target_copy_regions(self) -> tuple[str, ...] | None:
        """Where they go."""

    @property
    def copied_snapshots_retention_days(self) -> int | None:
        """How long they are kept; -1 is for ever."""

    @property
    def copy_encryption_configuration(self) -> CopyEncryption | None:
        """How they are encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyEncryptionShape:
    """How copies are encrypted; with the service's own key where none is named."""

    encrypted: bool = False
    kms_key_id: str = param(default="", wire="KMSKeyId")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyShape:
    """One policy.

    Attributes:
        time_points: JSON text, as the next two.
        retention_days: -1 is for ever, as for copies; 0 where there are no copies.
    """

    auto_snapshot_policy_id: PolicyId
    auto_snapshot_policy_name: str
    region_id: RegionId
    time_points: str
    repeat_weekdays: str
    target_copy_regions: str
    retention_days: int
    copied_snapshots_retention_days: int
    enable_cross_region_copy: bool
    copy_encryption_configuration: CopyEncryptionShape
    disk_nums: int
    status: str
    creation_time: datetime
    tags: tuple[TagShape, ...] = param(wire="Tags/Tag")
    target_tags: tuple[TagShape, ...] = param(default=(), wire="TargetTags/TargetTag")
    volume_nums: int = 0
    association_type: str = "AssociatedWithDisk"
    type: str = "Custom"
    resource_group_id: str = ""


def show_policy(view: PolicyView) -> PolicyShape:
    """A policy for an answer."""
    policy = view.policy
    return PolicyShape(
        auto_snapshot_policy_id=policy.id,
        auto_snapshot_policy_name=policy.name or "",
        region_id=policy.region_id,
        time_points=_as_text(policy.timetable.hours),
        repeat_weekdays=_as_text(policy.timetable.weekdays),
        target_copy_regions=_as_text((policy.copy_region_id,) if policy.copy_region_id else ()),
        retention_days=_show_retention(policy.retention_days),
        copied_snapshots_retention_days=(
            _show_retention(policy.copy_retention_days) if policy.copy_region_id else 0
        ),
        enable_cross_region_copy=policy.copies,
        disk_nums=view.disk_count,
        copy_encryption_configuration=CopyEncryptionShape(
            encrypted=policy.copy_is_encrypted, kms_key_id=policy.copy_key_id or ""
        ),
        status=view.status.value,
        creation_time=policy.created_at,
        tags=show_tags(view.tags),
    )


def read_numbers(texts: tuple[str, ...], name: str) -> tuple[int, ...]:
    """Hours or weekdays, which the schema has checked one by one.

    Raises:
        ApiError: there are none.
    """
    if not texts:
        raise ApiError(BAD_POLICY, f"{name} must name one at least")
    return tuple(int(text) for text in texts)


def read_retention(days: int, code: Code = BAD_POLICY) -> Retention:
    """How long something is to be kept; the schema has checked the range.

    Raises:
        ApiError: 0 days.
    """
    if days == 0:
        raise ApiError(code, "snapshots are kept for 1 day at least; -1 keeps them for ever")
    return Retention(None if days == _FOR_EVER else days)


def read_copies(request: CopyParameters) -> CopyWish:
    """What a request says of copies; of copies that it ends nothing else is looked at.

    Raises:
        ApiError: they would go to several regions, or be kept for 0 days.
    """
    if request.enable_cross_region_copy is False:
        return CopyWish(is_enabled=False)
    regions = request.target_copy_regions or ()
    if len(regions) > 1:
        raise ApiError(BAD_TARGET, 'TargetCopyRegions must name one region, such as ["cn-beijing"]')
    days = request.copied_snapshots_retention_days
    said = request.copy_encryption_configuration or CopyEncryption()
    encryption = read_encryption(said.kms_key_id, is_encrypted=said.encrypted)
    return CopyWish(
        is_enabled=request.enable_cross_region_copy,
        region_id=RegionId(regions[0]) if regions else None,
        retention=None if days is None else read_retention(days, BAD_COPY_RETENTION),
        encryption=None if encryption == AS_SOURCE else encryption,
    )


def _show_retention(days: int | None) -> int:
    return _FOR_EVER if days is None else days


def _as_text(values: tuple[object, ...]) -> str:
    return msgspec.json.encode([str(value) for value in values]).decode()
