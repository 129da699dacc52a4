"""The table of answers to ClientTokens."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from lamina.database import Record
from lamina.ids import AccountId, RegionId


class TokenRecord(Record):
    """One call that was carried out. Written in the transaction that made the resource.

    Attributes:
        token: what the client sent; case matters.
        digest: of the call's parameters.
        outcome: JSON, whatever the caller needs to answer again.
    """

    __tablename__ = "client_tokens"

    account_id: Mapped[AccountId] = mapped_column(primary_key=True)
    region_id: Mapped[RegionId] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    outcome: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)
