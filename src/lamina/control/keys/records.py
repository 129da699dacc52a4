"""The table of keys."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.keys.states import TRANSITIONS, KeyOrigin, KeyState
from lamina.control.regions.records import RegionRecord
from lamina.database import Record, one_of
from lamina.ids import AccountId, KeyId, RegionId, TaskId


class KeyRecord(Record):
    """One key. Its row stays when it is destroyed: disks and snapshots go on to name it.

    Attributes:
        description: for people.
        version: the version of its material that its latest rotation made; from 1.
        deletes_at: when it is destroyed; None unless that is scheduled, and when all that follows from it is done.
        task_id: the latest task that rotates or destroys it.
    """

    __tablename__ = "encryption_keys"
    __table_args__ = (
        CheckConstraint("length(description) <= 8192", name="description_length"),
        Index("ix_encryption_keys_account", "account_id", "region_id", "created_at", "id"),
        Index("ix_encryption_keys_deletes_at", "deletes_at"),
    )

    id: Mapped[KeyId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    origin: Mapped[KeyOrigin] = mapped_column(one_of(KeyOrigin))
    state: Mapped[KeyState] = mapped_column(one_of(KeyState))
    description: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    rotated_at: Mapped[datetime | None]
    deletes_at: Mapped[datetime | None]
    task_id: Mapped[TaskId | None]

    def move_to(self, state: KeyState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in TRANSITIONS[self.state], f"key {self.id}: {self.state.value} to {state.value}"
        self.state = state
