"""DescribeDisks."""

from dataclasses import dataclass, replace
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import INVALID_TOKEN, MAX_PAGE_NUMBER
from lamina.api.schema import param
from lamina.api.shapes.disk import DiskShape, show_disk
from lamina.api.shapes.filters import BAD_FILTER_VALUE, UNKNOWN_FILTER_KEY, Filter, read_creation_window
from lamina.api.shapes.tags import MAX_TAGS, TagFilter
from lamina.api.spec import Kind, action
from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.queries import DiskFilter, DiskView, list_disks
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.instances.locks import is_in_arrears
from lamina.control.instances.states import LockReason
from lamina.control.paging import Page
from lamina.control.regions.errors import RegionNotFoundError, ZoneNotFoundError
from lamina.control.regions.queries import get_zone
from lamina.control.scope import Scope
from lamina.ids import DiskId, InstanceId, KeyId, PolicyId, RegionId, SnapshotId, ZoneId

_MAX_RESULTS: Final = 500
_BAD_IDS: Final = Code(403, "InvalidDiskIds.Malformed")
_NO_REGION: Final = Code(400, "MissingParamter.RegionId")
# What every disk has until Lamina offers more; a filter for anything else matches nothing.
_SAME_FOR_ALL: Final = {
    "enable_shared": False,
    "multi_attach": "Disabled",
    "disk_charge_type": "PostPaid",
    "resource_group_id": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeDisksRequest:
    """Parameters; all filters must match, and a boolean that is not given is no filter."""

    region_id: RegionId = param(missing=_NO_REGION)  # noqa: RUF009 - a field, as `field()` is
    disk_ids: tuple[DiskId, ...] | None = param(default=None, form="json", at_most=100, malformed=_BAD_IDS)
    disk_name: str | None = None
    disk_type: str | None = param(
        default=None,
        choices=("all", "system", "data"),
        malformed=Code(400, "InvalidDiskType.ValueNotSupported"),
    )
    status: str | None = param(
        default=None,
        choices=("All", *(state.value for state in DiskState)),
        malformed=Code(400, "InvalidStatus.ValueNotSupported"),
    )
    category: str | None = param(
        default=None,
        choices=("all", *(category.value for category in DiskCategory)),
        malformed=Code(400, "InvalidCategory.ValueNotSupported"),
    )
    performance_level: str | None = param(
        default=None, choices=tuple(level.value for level in PerformanceLevel)
    )
    zone_id: ZoneId | None = None
    snapshot_id: SnapshotId | None = None
    instance_id: InstanceId | None = None
    auto_snapshot_policy_id: PolicyId | None = None
    delete_auto_snapshot: bool | None = None
    delete_with_instance: bool | None = None
    enable_auto_snapshot: bool | None = None
    enable_automated_snapshot_policy: bool | None = None
    enable_shared: bool | None = None
    encrypted: bool | None = None
    portable: bool | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")
    disk_charge_type: str | None = param(
        default=None, choices=("PrePaid", "PostPaid"), malformed=Code(404, "InvalidDiskChargeType.NotFound")
    )
    lock_reason: str | None = param(
        default=None,
        choices=("financial", "security", "recycling", "dedicatedhostfinancial"),
        malformed=Code(404, "InvalidLockReason.NotFound"),
    )
    multi_attach: str | None = param(
        default=None,
        choices=("Disabled", "Enabled", "LegacyShared"),
        malformed=Code(403, "InvalidParameter.MultiAttach"),
    )
    resource_group_id: str | None = None
    additional_attributes: tuple[str, ...] = ()
    filter: tuple[Filter, ...] = ()
    tag: tuple[TagFilter, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(400, "InvalidTagCount"))
    dry_run: bool = False
    page_number: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    page_size: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    next_token: str | None = None
    max_results: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeDisksAnswer:
    """One page of disks, newest first."""

    disks: tuple[DiskShape, ...] = param(wire="Disks/Disk")
    total_count: int
    page_number: int
    page_size: int
    next_token: str


@action(
    kind=Kind.READS,
    answers=(UNKNOWN_FILTER_KEY, BAD_FILTER_VALUE, INVALID_TOKEN),
    errors={
        RegionNotFoundError: Code(400, "InvalidRegion.NotFound"),
        ZoneNotFoundError: Code(400, "InvalidZoneId.NotFound"),
    },
    not_offered={
        "a snapshot that does not exist is a filter that matches nothing": ("InvalidSnapshot.NotFound",),
        "the more exact codes of single parameters are answered": (
            "IncompleteParamter",
            "InvalidParamter",
            "InvalidParameter.DiskIds",
            "InvalidDiskIds.ValueNotSupported",
        ),
        "disks cannot be shared between instances yet": (
            "InvalidParameter.MultiAttachAndEnableSharedNotMatch",
        ),
        "nothing is kept to chosen accounts": ("UserNotInTheWhiteList",),
    },
)
def describe_disks(call: Call, scope: Scope, request: DescribeDisksRequest) -> DescribeDisksAnswer:
    """List disks. An id that does not exist is left out and is no error."""
    pager = call.pager()
    wanted = pager.read(request, max_results=_MAX_RESULTS)
    if request.zone_id is not None:
        get_zone(scope.session, scope.region_id, request.zone_id)
    filters = _read_filter(request)
    page: Page[DiskView] = Page(items=(), total_count=0, next_key=None)
    if request.lock_reason == LockReason.FINANCIAL.value and not is_in_arrears(
        scope.session, scope.account_id
    ):
        filters = replace(filters, expired_by=scope.clock.now())
    if _can_match(request):
        page = list_disks(scope, filters, wanted)
    facts = pager.describe(request, wanted, page)
    return DescribeDisksAnswer(
        disks=tuple(show_disk(view) for view in page.items),
        total_count=facts.total_count,
        page_number=facts.page_number,
        page_size=facts.page_size,
        next_token=facts.next_token,
    )


def _can_match(request: DescribeDisksRequest) -> bool:
    reasons = (None, *(reason.value for reason in LockReason))
    return request.lock_reason in reasons and all(
        getattr(request, name) in (None, value) for name, value in _SAME_FOR_ALL.items()
    )


def _read_filter(request: DescribeDisksRequest) -> DiskFilter:
    window = read_creation_window(request.filter)
    level = request.performance_level
    return DiskFilter(
        disk_ids=request.disk_ids,
        name=request.disk_name,
        state=DiskState(request.status) if request.status not in (None, "All") else None,
        category=DiskCategory(request.category) if request.category not in (None, "all") else None,
        role=DiskRole(request.disk_type) if request.disk_type not in (None, "all") else None,
        zone_id=request.zone_id,
        source_snapshot_id=request.snapshot_id,
        instance_id=request.instance_id,
        performance_level=PerformanceLevel(level) if level is not None else None,
        is_portable=request.portable,
        is_security_locked=True if request.lock_reason == LockReason.SECURITY.value else None,
        delete_with_instance=request.delete_with_instance,
        delete_auto_snapshot=request.delete_auto_snapshot,
        enable_auto_snapshot=request.enable_auto_snapshot,
        policy_id=request.auto_snapshot_policy_id,
        has_policy=request.enable_automated_snapshot_policy,
        is_encrypted=request.encrypted,
        key_id=KeyId(request.kms_key_id) if request.kms_key_id is not None else None,
        tags={tag.key: tag.value for tag in request.tag},
        created_from=window.start,
        created_to=window.end,
    )
