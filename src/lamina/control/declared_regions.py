"""Bring the rows of the regions in line with what `lamina.toml` declares; run at every start, before anything else.

Names and time zones follow the file, and zones are added. What would lose data is refused: another store or another
bucket service for a region that has something there, and leaving out a region that is not empty. Regions that were
never in the file stay as they are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from lamina.control.buckets.records import BucketRecord
from lamina.control.images.built_in import drop_built_in_image, ensure_built_in_image
from lamina.control.images.records import ImageDiskRecord
from lamina.control.installation import Installation
from lamina.control.policies.replan import replan_policies
from lamina.control.regions.create import NewRegion, create_region
from lamina.control.regions.declared import DeclaredRegion
from lamina.control.regions.errors import RegionInUseError
from lamina.control.regions.places import check_apart, is_remote, locate
from lamina.control.regions.queries import list_regions
from lamina.control.regions.records import RegionRecord, ZoneRecord
from lamina.control.tables import TABLES
from lamina.engine.objects.location import open_store
from lamina.failures import Refusal
from lamina.ids import RegionId, ZoneId

_OF_THE_REGION: Final = (RegionRecord, ZoneRecord, ImageDiskRecord)
_TIME_ZONE: Final = "UTC"


def declare_regions(
    installation: Installation, session: Session, defaults: Mapping[RegionId, NewRegion]
) -> None:
    """Make the declared regions, and bring those that are there up to date.

    Args:
        installation: with its preferences.
        session: of a transaction that keeps everybody from writing; rolled back when this raises.
        defaults: what a new region is like as far as the file does not say it.

    Raises:
        RegionInUseError: the file moves a region's store or bucket service, or leaves a region out, that is in use.
        Refusal: two stores are not apart, a store cannot be opened, or a zone is another region's.
        Fault: a store failed.
    """
    declared = {region.id: region for region in installation.preferences.regions}
    known = {region.id: region for region in list_regions(session)}
    for region in declared.values():
        _check_store(installation, region)
    for row in known.values():
        if row.is_declared and row.id not in declared:
            _drop(installation, session, row)
    for region in declared.values():
        found = known.get(region.id)
        if found is None:
            _create(installation, session, region, defaults.get(region.id))
        else:
            _update(installation, session, region, found)
    check_apart({row.id: _name_place(installation, row) for row in list_regions(session)})


def _check_store(installation: Installation, region: DeclaredRegion) -> None:
    """Look at what can be looked at without a request: the form of the place, and whether there are credentials."""
    settings = region.choose_settings(installation.settings)
    location = locate(installation.directory, region.store)
    if is_remote(location):
        open_store(location, settings)


def _create(
    installation: Installation, session: Session, region: DeclaredRegion, default: NewRegion | None
) -> None:
    zones = {**(default.zones if default is not None else {}), **region.zones}
    new = NewRegion(
        id=region.id,
        local_name=region.local_name or (default.local_name if default is not None else region.id),
        store=region.store,
        buckets=region.buckets,
        time_zone=region.time_zone or (default.time_zone if default is not None else _TIME_ZONE),
        zones={},
    )
    row = create_region(session, installation.clock, new)
    row.is_declared = True
    _add_zones(session, row, zones or {ZoneId(f"{region.id}-a"): "Zone A"})
    ensure_built_in_image(session, installation.clock, row)


def _update(installation: Installation, session: Session, region: DeclaredRegion, row: RegionRecord) -> None:
    directory = installation.directory
    if locate(directory, row.store) != locate(directory, region.store):
        _require_unused(
            installation,
            session,
            row,
            wish=f"moves the store of region {row.id} from {row.store} to {region.store}",
            cure=f"write store = {row.store!r} again, or declare the new place as another region and copy images to it",
        )
    if locate(directory, row.buckets) != locate(directory, region.buckets):
        _require_no_buckets(session, region, row)
    row.store, row.buckets = region.store, region.buckets
    row.local_name = region.local_name or row.local_name
    if region.time_zone not in (None, row.time_zone):
        row.time_zone = region.time_zone
        replan_policies(session, row, installation.clock.now())
    row.is_declared = True
    _add_zones(session, row, region.zones)


def _drop(installation: Installation, session: Session, row: RegionRecord) -> None:
    claims = (BucketRecord.region_id == row.id) & ~BucketRecord.is_made
    session.execute(delete(BucketRecord).where(claims))  # names, and nothing behind them
    _require_unused(
        installation,
        session,
        row,
        wish=f"does not declare region {row.id} any more",
        cure=f"declare it again, with store = {row.store!r}, and delete what is in it first",
    )
    drop_built_in_image(session, row.id)
    session.execute(delete(ZoneRecord).where(ZoneRecord.region_id == row.id))
    session.delete(row)
    session.flush()


def _add_zones(session: Session, row: RegionRecord, zones: Mapping[ZoneId, str]) -> None:
    for zone_id, name in zones.items():
        zone = session.get(ZoneRecord, zone_id)
        if zone is None:
            session.add(ZoneRecord(id=zone_id, region_id=row.id, local_name=name))
        elif zone.region_id == row.id:
            zone.local_name = name
        else:
            raise Refusal(
                f"lamina.toml gives region {row.id} the zone {zone_id}, which region {zone.region_id} has; rename it"
            )
    session.flush()


def _require_unused(
    installation: Installation, session: Session, row: RegionRecord, *, wish: str, cure: str
) -> None:
    tables = _list_tables_in_use(session, row.id)
    if tables:
        raise RegionInUseError(row.id, wish, f"there are {', '.join(tables)} in it", cure)
    try:
        is_empty = installation.repositories.is_empty(row.id)
    except Refusal as unknown:
        found = f"whether {row.store} is empty cannot be found out ({unknown})"
        raise RegionInUseError(row.id, wish, found, cure) from unknown
    if not is_empty:
        raise RegionInUseError(row.id, wish, f"{row.store} is not empty", cure)


def _require_no_buckets(session: Session, region: DeclaredRegion, row: RegionRecord) -> None:
    if session.scalar(select(exists().where(BucketRecord.region_id == row.id, BucketRecord.is_made))):
        raise RegionInUseError(
            row.id,
            f"moves the bucket service of region {row.id} from {row.buckets} to {region.buckets}",
            "there are buckets in it",
            f"write buckets = {row.buckets!r} again, or delete them first",
        )


def _list_tables_in_use(session: Session, region_id: RegionId) -> list[str]:
    """Tables with rows of the region that belong to somebody."""
    found = []
    for record in TABLES:
        columns = record.__table__.columns
        if record in _OF_THE_REGION or "region_id" not in columns:
            continue
        condition = columns["region_id"] == region_id
        if "account_id" in columns:
            condition &= columns["account_id"].is_not(None)
        if session.scalar(select(exists().where(condition))):
            found.append(record.__tablename__)
    return found


def _name_place(installation: Installation, row: RegionRecord) -> str:
    location = locate(installation.directory, row.store)
    if not is_remote(location):
        return str(Path(location).resolve())  # one place has many names: links, `..`, another working folder
    settings = installation.preferences.choose_settings(row.id, installation.settings)
    return f"{settings.s3_endpoint or settings.s3_region} {location}"
