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
        buckets: where its bucket service is, as the room of buckets reads it; a path is relative likewise.
        is_declared: it stands, or once stood, in the installation's `lamina.toml`.
        time_zone: an IANA name; policies count their hours in it.
    """

    __tablename__ = "regions"

    id: Mapped[RegionId] = mapped_column(primary_key=True)
    local_name: Mapped[str]
    store: Mapped[str]
    buckets: Mapped[str]
    is_declared: Mapped[bool] = mapped_column(default=False)
    time_zone: Mapped[str]
    created_at: Mapped[datetime]


class ZoneRecord(Record):
    """A part of a region, in which disks lie."""

    __tablename__ = "zones"

    id: Mapped[ZoneId] = mapped_column(primary_key=True)
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id), index=True)
    local_name: Mapped[str]
