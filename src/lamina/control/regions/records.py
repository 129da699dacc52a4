"""The tables of regions and zones."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from lamina.database import Record
from lamina.ids import RegionId, ZoneId


class RegionRecord(Record):
    """A named place.

    Attributes:
        local_name: for people.
        store: where its object store is; a path is relative to the installation's folder.
        time_zone: an IANA name; policies count their hours in it.
    """

    __tablename__ = "regions"

    id: Mapped[RegionId] = mapped_column(primary_key=True)
    local_name: Mapped[str]
    store: Mapped[str]
    time_zone: Mapped[str]
    created_at: Mapped[datetime]


class ZoneRecord(Record):
    """A part of a region, in which disks lie."""

    __tablename__ = "zones"

    id: Mapped[ZoneId] = mapped_column(primary_key=True)
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id), index=True)
    local_name: Mapped[str]
