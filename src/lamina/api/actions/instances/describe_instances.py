"""DescribeInstances."""

from dataclasses import dataclass, replace
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import INVALID_TOKEN, MAX_PAGE_NUMBER
from lamina.api.schema import param
from lamina.api.shapes.filters import BAD_FILTER_VALUE, UNKNOWN_FILTER_KEY, Filter, read_creation_window
from lamina.api.shapes.instance import InstanceShape, show_instance
from lamina.api.shapes.tags import MAX_TAGS, TagFilter
from lamina.api.spec import Kind, action
from lamina.control.instances.locks import is_in_arrears
from lamina.control.instances.queries import InstanceFilter, InstanceView, list_instances
from lamina.control.instances.states import ChargeType, InstanceState, LockReason
from lamina.control.paging import Page
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import InstanceId, RegionId, ZoneId

_STATES: Final = tuple(state.value for state in InstanceState if state is not InstanceState.RELEASING)
# What every instance has; a filter for anything else matches nothing.
_SAME_FOR_ALL: Final = {
    "instance_network_type": "vpc",
    "internet_charge_type": None,
    "io_optimized": True,
    "vpc_id": None,
    "resource_group_id": None,
    "private_ip_addresses": None,
    "public_ip_addresses": None,
    "eip_addresses": None,
    "hpc_cluster_id": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeInstancesRequest:
    """Parameters; all filters must match."""

    region_id: RegionId
    instance_ids: tuple[InstanceId, ...] | None = param(default=None, form="json", at_most=100)
    instance_name: str | None = None
    status: str | None = param(default=None, choices=_STATES, malformed=Code(404, "InvalidStatus.NotFound"))
    zone_id: ZoneId | None = None
    image_id: str | None = None
    instance_type: str | None = None
    key_pair_name: str | None = None
    security_group_id: str | None = None
    v_switch_id: str | None = None
    vpc_id: str | None = None
    instance_charge_type: str | None = param(
        default=None,
        choices=("PrePaid", "PostPaid"),
        malformed=Code(404, "InvalidInstanceChargeType.NotFound"),
    )
    internet_charge_type: str | None = param(
        default=None,
        choices=("PayByBandwidth", "PayByTraffic"),
        malformed=Code(404, "InvalidInternetChargeType.ValueNotSupported"),
    )
    instance_network_type: str | None = param(
        default=None, choices=("vpc", "classic"), malformed=Code(404, "InvalidNetworkType.NotFound")
    )
    io_optimized: bool | None = None
    private_ip_addresses: tuple[str, ...] | None = param(default=None, form="json", at_most=100)
    public_ip_addresses: tuple[str, ...] | None = param(default=None, form="json", at_most=100)
    eip_addresses: tuple[str, ...] | None = param(default=None, form="json", at_most=100)
    hpc_cluster_id: str | None = None
    lock_reason: str | None = param(
        default=None,
        choices=("financial", "security", "recycling", "dedicatedhostfinancial", "refunded"),
        malformed=Code(404, "InvalidLockReason.NotFound"),
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
class DescribeInstancesAnswer:
    """One page of instances, newest first."""

    instances: tuple[InstanceShape, ...] = param(wire="Instances/Instance")
    total_count: int
    page_number: int
    page_size: int
    next_token: str


@action(
    kind=Kind.READS,
    raises=(RegionNotFoundError,),
    answers=(UNKNOWN_FILTER_KEY, BAD_FILTER_VALUE, INVALID_TOKEN),
    not_offered={
        "there are no clusters; a filter for one matches nothing": (
            "InvalidHpcClusterId.Creating",
            "InvalidHpcClusterId.NotFound",
        ),
    },
)
def describe_instances(
    call: Call, scope: Scope, request: DescribeInstancesRequest
) -> DescribeInstancesAnswer:
    """List instances. An id that does not exist is left out and is no error."""
    pager = call.pager()
    wanted = pager.read(request)
    filters = _read_filter(request)
    is_overdue = is_in_arrears(scope.session, scope.account_id)
    now = scope.clock.now()
    if request.lock_reason == LockReason.FINANCIAL.value and not is_overdue:
        filters = replace(filters, expired_by=now)
    page: Page[InstanceView] = Page(items=(), total_count=0, next_key=None)
    if _can_match(request):
        page = list_instances(scope, filters, wanted)
    facts = pager.describe(request, wanted, page)
    return DescribeInstancesAnswer(
        instances=tuple(show_instance(view, is_overdue=is_overdue, now=now) for view in page.items),
        total_count=facts.total_count,
        page_number=facts.page_number,
        page_size=facts.page_size,
        next_token=facts.next_token,
    )


def _can_match(request: DescribeInstancesRequest) -> bool:
    reasons = (None, *(reason.value for reason in LockReason))
    return request.lock_reason in reasons and all(
        getattr(request, name) in (None, value) for name, value in _SAME_FOR_ALL.items()
    )


def _read_filter(request: DescribeInstancesRequest) -> InstanceFilter:
    window = read_creation_window(request.filter)
    charge_type = request.instance_charge_type
    return InstanceFilter(
        instance_ids=request.instance_ids,
        name=request.instance_name,
        state=InstanceState(request.status) if request.status is not None else None,
        zone_id=request.zone_id,
        image_id=request.image_id,
        instance_type=request.instance_type,
        key_pair_name=request.key_pair_name,
        security_group_id=request.security_group_id,
        v_switch_id=request.v_switch_id,
        is_security_locked=True if request.lock_reason == LockReason.SECURITY.value else None,
        is_prepaid=None if charge_type is None else charge_type == ChargeType.PREPAID.value,
        tags={tag.key: tag.value for tag in request.tag},
        created_from=window.start,
        created_to=window.end,
    )
