"""Regions beside the first one."""

from typing import Final

from lamina.control.regions.create import NewRegion, create_region
from lamina.control.regions.records import RegionRecord
from lamina.ids import RegionId, ZoneId
from tests.factories.installation import Site

NEAR: Final = RegionId("cn-hangzhou")
FAR: Final = RegionId("eu-far-1")
FAR_ZONE: Final = ZoneId("eu-far-1-a")


def add_region(site: Site, region_id: RegionId = FAR) -> ZoneId:
    """A region with a store and one zone of its own, unless it is there."""
    zone_id = ZoneId(f"{region_id}-a")
    with site.installation.database.transaction() as session:
        if session.get(RegionRecord, region_id) is None:
            new = NewRegion(
                id=region_id,
                local_name="Far",
                store=f"store/{region_id}",
                time_zone="Europe/Berlin",
                zones={zone_id: "A"},
            )
            create_region(session, site.clock, new)
    return zone_id
