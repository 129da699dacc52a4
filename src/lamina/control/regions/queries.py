"""Looking regions and zones up. They belong to the installation, so no account is asked for."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.regions.errors import RegionNotFoundError, ZoneNotFoundError
from lamina.control.regions.records import RegionRecord, ZoneRecord
from lamina.ids import RegionId, ZoneId


def list_regions(session: Session) -> Sequence[RegionRecord]:
    """All regions by id."""
    return session.scalars(select(RegionRecord).order_by(RegionRecord.id)).all()


def get_region(session: Session, region_id: RegionId) -> RegionRecord:
    """One region.

    Raises:
        RegionNotFoundError: there is no such region.
    """
    region = session.get(RegionRecord, region_id)
    if region is None:
        raise RegionNotFoundError(region_id)
    return region


def list_zones(session: Session, region_id: RegionId) -> Sequence[ZoneRecord]:
    """The zones of a region by id.

    Raises:
        RegionNotFoundError: there is no such region.
    """
    get_region(session, region_id)
    return session.scalars(
        select(ZoneRecord).where(ZoneRecord.region_id == region_id).order_by(ZoneRecord.id)
    ).all()


def get_zone(session: Session, region_id: RegionId, zone_id: ZoneId) -> ZoneRecord:
    """One zone of a region.

    Raises:
        ZoneNotFoundError: the region has no such zone.
    """
    zone = session.get(ZoneRecord, zone_id)
    if zone is None or zone.region_id != region_id:
        raise ZoneNotFoundError(zone_id, region_id)
    return zone
