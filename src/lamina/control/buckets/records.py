"""The table of buckets: which bucket is whose."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.regions.records import RegionRecord
from lamina.database import Record
from lamina.ids import AccountId, RegionId


class BucketRecord(Record):
    """One bucket. Its name is unique over the whole installation, as OSS has it.

    Attributes:
        is_made: the region's service has it. Otherwise the row is a claim: the account was making it, or had it and
            may have left links to it, and nobody else gets the name; see `queries.forget_claims`.
        created_at: when it was made; of a claim, since when it is one.
    """

    __tablename__ = "buckets"
    __table_args__ = (
        CheckConstraint("length(name) <= 63", name="name_length"),
        Index("ix_buckets_account_created", "account_id", "region_id", "created_at", "name"),
    )

    name: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    is_made: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
