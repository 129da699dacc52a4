"""DescribeRegions."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.regions.queries import list_regions
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRegionsRequest:
    """Parameters; the language changes nothing, since names are shown as the installation was set up."""

    accept_language: str | None = param(
        default=None,
        choices=("zh-CN", "en-US", "ja"),
        malformed=Code(404, "InvalidAcceptLanguage.NotFound"),
    )
    instance_charge_type: str | None = None
    resource_type: str | None = param(
        default=None,
        choices=("instance", "disk", "reservedinstance", "scu"),
        malformed=Code(404, "InvalidResourceType.NotFound"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionShape:
    """One region."""

    region_id: RegionId
    local_name: str
    region_endpoint: str
    status: str = "available"


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRegionsAnswer:
    """All regions of the installation."""

    regions: tuple[RegionShape, ...] = param(wire="Regions/Region")


@action(
    kind=Kind.READS,
    not_offered={"every account may use every region": ("Unauthorized.EmptyRegion",)},
)
def describe_regions(call: Call, scope: Scope, request: DescribeRegionsRequest) -> DescribeRegionsAnswer:  # noqa: ARG001 - the parameters do not change the list
    """List the regions."""
    return DescribeRegionsAnswer(
        regions=tuple(
            RegionShape(region_id=region.id, local_name=region.local_name, region_endpoint=call.host)
            for region in list_regions(scope.session)
        )
    )
