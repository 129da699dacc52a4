"""Add a region."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.regions.records import RegionRecord, ZoneRecord
from lamina.ids import RegionId, ZoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRegion:
    """A region to be.

    Attributes:
        id: such as `cn-hangzhou`.
        local_name: for people.
        store: where its object store is; a path is relative to the installation's folder.
        time_zone: an IANA name.
        zones: zone id to local name.
        buckets: where its bucket service is; None is `buckets/<region id>` in the installation's folder.
    """

    id: RegionId
    local_name: str
    store: str
    time_zone: str
    zones: Mapping[ZoneId, str]
    buckets: str | None = None


def create_region(session: Session, clock: Clock, new: NewRegion) -> RegionRecord:
    """Add a region with its zones."""
    region = RegionRecord(
        id=new.id,
        local_name=new.local_name,
        store=new.store,
        buckets=new.buckets or f"buckets/{new.id}",
        time_zone=new.time_zone,
        created_at=clock.now(),
    )
    session.add(region)
    session.flush()
    session.add_all(
        ZoneRecord(id=zone_id, region_id=new.id, local_name=name) for zone_id, name in new.zones.items()
    )
    session.flush()
    return region
