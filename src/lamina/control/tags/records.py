"""The table of tags."""

from datetime import datetime
from enum import Enum

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.database import Record, one_of
from lamina.ids import AccountId, RegionId


class ResourceType(Enum):
    """Kinds of resources that carry tags, as the API names them."""

    DISK = "disk"
    SNAPSHOT = "snapshot"
    POLICY = "snapshotpolicy"
    INSTANCE = "instance"
    SNAPSHOT_GROUP = "snapshotgroup"
    IMAGE = "image"


class TagRecord(Record):
    """One tag of one resource.

    Attributes:
        account_id: who owns the resource; finds the tags of an account without looking at anybody else's.
        region_id: where the resource is.
        created_at: when the resource was created; lists of what has a tag are walked in this order.
    """

    __tablename__ = "tags"
    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 128", name="key_length"),
        CheckConstraint("length(value) <= 128", name="value_length"),
        Index("ix_tags_value", "account_id", "region_id", "resource_type", "key", "value", "resource_id"),
        Index(
            "ix_tags_age",
            *("account_id", "region_id", "resource_type", "key", "value"),
            *("created_at", "resource_id"),
        ),
        Index("ix_tags_key", "account_id", "region_id", "resource_type", "key", "resource_id"),
    )

    resource_type: Mapped[ResourceType] = mapped_column(one_of(ResourceType), primary_key=True)
    resource_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    account_id: Mapped[AccountId]
    region_id: Mapped[RegionId]
    created_at: Mapped[datetime]
