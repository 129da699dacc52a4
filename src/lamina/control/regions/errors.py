"""Refusals about regions and zones."""

from lamina.failures import Refusal
from lamina.ids import RegionId, ZoneId


class RegionNotFoundError(Refusal):
    """There is no such region."""

    def __init__(self, region_id: RegionId) -> None:
        super().__init__(f"there is no region {region_id}; DescribeRegions lists them")
        self.region_id = region_id


class ZoneNotFoundError(Refusal):
    """The region has no such zone."""

    def __init__(self, zone_id: ZoneId, region_id: RegionId) -> None:
        super().__init__(f"region {region_id} has no zone {zone_id}; DescribeZones lists them")
        self.zone_id = zone_id
        self.region_id = region_id


class RegionInUseError(Refusal):
    """A region cannot be moved or taken away as `lamina.toml` wants it, since it has data or rows.

    Attributes:
        region_id: the region.
    """

    def __init__(self, region_id: RegionId, wish: str, found: str, cure: str) -> None:
        super().__init__(f"lamina.toml {wish}, but {found}; nothing was changed: {cure}")
        self.region_id = region_id
