"""DescribeAvailableResource."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import INVALID_PARAMETER, Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.disks.categories import DiskCategory, PerformanceLevel, get_size_range
from lamina.control.instances.errors import InstanceTypeError
from lamina.control.instances.machine_types import get_machine_type, list_machine_types
from lamina.control.regions.errors import RegionNotFoundError, ZoneNotFoundError
from lamina.control.regions.queries import get_zone, list_zones
from lamina.control.scope import Scope
from lamina.ids import RegionId, ZoneId

_CATEGORIES: Final = tuple(each.value for each in DiskCategory if each.supports_snapshots)
_SYSTEM_SIZES: Final = (20, 2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAvailableResourceRequest:
    """Parameters; all filters must match."""

    region_id: RegionId
    destination_resource: str = param(
        choices=("Zone", "IoOptimized", "InstanceType", "Network", "ddh", "SystemDisk", "DataDisk")
    )
    zone_id: ZoneId | None = None
    resource_type: str | None = param(default=None, choices=("instance", "disk", "reservedinstance", "ddh"))
    instance_charge_type: str = param(default="PostPaid", choices=("PostPaid", "PrePaid"))
    instance_type: str | None = None
    system_disk_category: str | None = param(default=None, choices=tuple(c.value for c in DiskCategory))
    data_disk_category: str | None = param(default=None, choices=tuple(c.value for c in DiskCategory))
    io_optimized: str | None = param(default=None, choices=("none", "optimized"))
    network_category: str | None = param(default=None, choices=("vpc", "classic"))
    spot_strategy: str | None = param(default=None, choices=("NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo"))
    cores: int | None = None
    memory: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportedShape:
    """One thing that can be had; a disk category with its sizes."""

    value: str
    status: str = "Available"
    status_category: str = "WithStock"
    min: int | None = None
    max: int | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceShape:
    """What of one kind can be had in a zone."""

    type: str
    supported_resources: tuple[SupportedShape, ...] = param(wire="SupportedResources/SupportedResource")


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableZoneShape:
    """A zone, and what can be had there."""

    region_id: RegionId
    zone_id: ZoneId
    status: str = "Available"
    status_category: str = "WithStock"
    available_resources: tuple[ResourceShape, ...] = param(wire="AvailableResources/AvailableResource")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAvailableResourceAnswer:
    """The zones that have something of what was asked for."""

    available_zones: tuple[AvailableZoneShape, ...] = param(wire="AvailableZones/AvailableZone")


@action(
    kind=Kind.READS,
    raises=(RegionNotFoundError, ZoneNotFoundError),
    answers=(INVALID_PARAMETER,),
    errors={InstanceTypeError: Code(400, "InvalidInstanceType.ValueNotSupported")},
)
def describe_available_resource(
    _call: Call, scope: Scope, request: DescribeAvailableResourceRequest
) -> DescribeAvailableResourceAnswer:
    """List what can be made in the zones of a region: instance types, disk categories with their sizes."""
    zones = [zone.id for zone in list_zones(scope.session, request.region_id)]
    if request.zone_id is not None:
        zones = [get_zone(scope.session, request.region_id, request.zone_id).id]
    if request.instance_type is not None:
        get_machine_type(request.instance_type)
    kind = request.destination_resource
    supported = _LISTS[kind](request) if _is_offered(request) else ()
    resource = ResourceShape(type=kind, supported_resources=supported)
    return DescribeAvailableResourceAnswer(
        available_zones=tuple(
            AvailableZoneShape(
                region_id=request.region_id,
                zone_id=zone_id,
                available_resources=() if kind == "Zone" else (resource,),
            )
            for zone_id in zones
            if supported or kind == "Zone"
        )
    )


def _is_offered(request: DescribeAvailableResourceRequest) -> bool:
    return (
        request.spot_strategy in (None, "NoSpot")
        and request.io_optimized in (None, "optimized")
        and request.network_category in (None, "vpc")
        and request.resource_type in (None, "instance", "disk")
    )


def _list_types(request: DescribeAvailableResourceRequest) -> tuple[SupportedShape, ...]:
    return tuple(
        SupportedShape(value=each.id)
        for each in list_machine_types()
        if request.instance_type in (None, each.id)
        and request.cores in (None, each.cores)
        and request.memory in (None, each.memory_gib)
    )


def _list_system_disks(request: DescribeAvailableResourceRequest) -> tuple[SupportedShape, ...]:
    return tuple(
        SupportedShape(value=value, min=_SYSTEM_SIZES[0], max=_SYSTEM_SIZES[1], unit="GiB")
        for value in _CATEGORIES
        if request.system_disk_category in (None, value)
    )


def _list_data_disks(request: DescribeAvailableResourceRequest) -> tuple[SupportedShape, ...]:
    found = []
    for value in _CATEGORIES:
        if request.data_disk_category not in (None, value):
            continue
        category = DiskCategory(value)
        level = PerformanceLevel.PL0 if category is DiskCategory.CLOUD_ESSD else None  # the smallest there is
        low, high = get_size_range(category, level)
        found.append(SupportedShape(value=value, min=low, max=high, unit="GiB"))
    return tuple(found)


_LISTS: Final[Mapping[str, Callable[[DescribeAvailableResourceRequest], tuple[SupportedShape, ...]]]] = {
    "Zone": lambda _request: (),
    "IoOptimized": lambda _request: (SupportedShape(value="optimized"),),
    "InstanceType": _list_types,
    "Network": lambda _request: (SupportedShape(value="vpc"),),
    "ddh": lambda _request: (),
    "SystemDisk": _list_system_disks,
    "DataDisk": _list_data_disks,
}
