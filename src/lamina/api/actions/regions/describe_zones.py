"""DescribeZones."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.disks.categories import DiskCategory
from lamina.control.instances.machine_types import list_machine_types
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.regions.queries import list_zones
from lamina.control.scope import Scope
from lamina.ids import RegionId, ZoneId

_CATEGORIES: Final = tuple(category.value for category in DiskCategory if category.supports_snapshots)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeZonesRequest:
    """Parameters; details are always answered."""

    region_id: RegionId
    accept_language: str | None = param(
        default=None,
        choices=("zh-CN", "en-US", "ja"),
        malformed=Code(404, "InvalidAcceptLanguage.NotFound"),
    )
    instance_charge_type: str | None = param(
        default=None,
        choices=("PrePaid", "PostPaid"),
        malformed=Code(404, "InvalidInstanceChargeType.NotFound"),
    )
    spot_strategy: str | None = param(
        default=None,
        choices=("NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo"),
        malformed=Code(400, "InvalidSpotStrategy"),
    )
    verbose: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcesShape:
    """What can be made in a zone."""

    io_optimized: bool = True
    data_disk_categories: tuple[str, ...] = param(wire="DataDiskCategories/supportedDataDiskCategory")
    system_disk_categories: tuple[str, ...] = param(wire="SystemDiskCategories/supportedSystemDiskCategory")
    network_types: tuple[str, ...] = param(default=(), wire="NetworkTypes/supportedNetworkCategory")
    instance_types: tuple[str, ...] = param(wire="InstanceTypes/supportedInstanceType")
    instance_type_families: tuple[str, ...] = param(wire="InstanceTypeFamilies/supportedInstanceTypeFamily")
    instance_generations: tuple[str, ...] = param(
        default=(), wire="InstanceGenerations/supportedInstanceGeneration"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneShape:
    """One zone."""

    zone_id: ZoneId
    local_name: str
    zone_type: str = "AvailabilityZone"
    available_disk_categories: tuple[str, ...] = param(wire="AvailableDiskCategories/DiskCategories")
    available_resource_creation: tuple[str, ...] = param(
        default=("Instance", "Disk"), wire="AvailableResourceCreation/ResourceTypes"
    )
    available_resources: tuple[ResourcesShape, ...] = param(wire="AvailableResources/ResourcesInfo")
    available_instance_types: tuple[str, ...] = param(wire="AvailableInstanceTypes/InstanceTypes")
    available_volume_categories: tuple[str, ...] = param(
        default=(), wire="AvailableVolumeCategories/VolumeCategories"
    )
    available_dedicated_host_types: tuple[str, ...] = param(
        default=(), wire="AvailableDedicatedHostTypes/DedicatedHostType"
    )
    dedicated_host_generations: tuple[str, ...] = param(
        default=(), wire="DedicatedHostGenerations/DedicatedHostGeneration"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeZonesAnswer:
    """The zones of a region."""

    zones: tuple[ZoneShape, ...] = param(wire="Zones/Zone")


@action(
    kind=Kind.READS,
    raises=(RegionNotFoundError,),
)
def describe_zones(_call: Call, scope: Scope, request: DescribeZonesRequest) -> DescribeZonesAnswer:
    """List the zones of a region and what can be made there."""
    types = tuple(each.id for each in list_machine_types())
    families = tuple(sorted({each.family for each in list_machine_types()}))
    resources = ResourcesShape(
        data_disk_categories=_CATEGORIES,
        system_disk_categories=_CATEGORIES,
        instance_types=types,
        instance_type_families=families,
    )
    return DescribeZonesAnswer(
        zones=tuple(
            ZoneShape(
                zone_id=zone.id,
                local_name=zone.local_name,
                available_disk_categories=_CATEGORIES,
                available_instance_types=types,
                available_resources=(resources,),
            )
            for zone in list_zones(scope.session, request.region_id)
        )
    )
