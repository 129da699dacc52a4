"""DescribeInstanceStatus."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.paging import MAX_PAGE_NUMBER
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.instances.queries import InstanceFilter, list_instances
from lamina.control.paging import Slice
from lamina.control.regions.errors import RegionNotFoundError, ZoneNotFoundError
from lamina.control.regions.queries import get_zone
from lamina.control.scope import Scope
from lamina.ids import InstanceId, RegionId, ZoneId

_PAGE_SIZE: Final = 10
_PAGE_SIZE_MAX: Final = 50
_MAX_IDS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeInstanceStatusRequest:
    """Parameters; all filters must match. There are no clusters: `ClusterId` is accepted."""

    region_id: RegionId
    zone_id: ZoneId | None = None
    cluster_id: str | None = None
    instance_id: tuple[InstanceId, ...] | None = param(default=None, at_most=_MAX_IDS)
    page_number: int = param(default=1, between=(1, MAX_PAGE_NUMBER))
    page_size: int = param(default=_PAGE_SIZE, between=(1, MAX_PAGE_NUMBER))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStatusShape:
    """What one instance does."""

    instance_id: InstanceId
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeInstanceStatusAnswer:
    """One page of instances, newest first."""

    instance_statuses: tuple[InstanceStatusShape, ...] = param(wire="InstanceStatuses/InstanceStatus")
    total_count: int
    page_number: int
    page_size: int


@action(kind=Kind.READS, raises=(RegionNotFoundError, ZoneNotFoundError))
def describe_instance_status(
    _call: Call, scope: Scope, request: DescribeInstanceStatusRequest
) -> DescribeInstanceStatusAnswer:
    """List what instances do. An id that does not exist is left out and is no error."""
    if request.zone_id is not None:
        get_zone(scope.session, request.region_id, request.zone_id)
    size = min(request.page_size, _PAGE_SIZE_MAX)
    wanted = InstanceFilter(instance_ids=request.instance_id, zone_id=request.zone_id)
    page = list_instances(scope, wanted, Slice(limit=size, offset=(request.page_number - 1) * size))
    return DescribeInstanceStatusAnswer(
        instance_statuses=tuple(
            InstanceStatusShape(instance_id=view.instance.id, status=view.instance.state.value)
            for view in page.items
        ),
        total_count=page.total_count,
        page_number=request.page_number,
        page_size=size,
    )
