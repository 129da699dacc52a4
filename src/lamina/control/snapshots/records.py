"""The tables of snapshots and of what holds them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.disks.states import DiskRole
from lamina.control.regions.records import RegionRecord
from lamina.control.snapshots.states import (
    TRANSITIONS,
    HolderKind,
    SnapshotCategory,
    SnapshotKind,
    SnapshotState,
)
from lamina.database import Record, one_of
from lamina.ids import AccountId, DiskId, RegionId, SnapshotId, TaskId


class SnapshotRecord(Record):
    """One snapshot. What it says about its disk stays true when the disk is gone.

    Attributes:
        kind: asked for by a user or by a policy.
        retention_days: how long it is kept; None is for ever.
        expires_at: when it may be deleted by the service, if ever.
        task_id: the task that makes or deletes it; the latest one.
        used_bytes: used capacity of the disk: bytes of its blocks that were ever written. None until known.
        changed_bytes: bytes of the blocks that differ from the snapshot before.
        stored_bytes: what it added to the object store.
        tracking: the freeze that it was copied from; the next capture asks what changed since.
        failure: why it failed.
        is_data_missing: the object store did not have its manifest when that was last looked at.
    """

    __tablename__ = "snapshots"
    __table_args__ = (
        CheckConstraint("length(name) <= 128", name="name_length"),
        CheckConstraint("length(description) <= 256", name="description_length"),
        Index("ix_snapshots_account_created", "account_id", "region_id", "created_at", "id"),
        Index("ix_snapshots_disk", "disk_id", "created_at"),
        Index("ix_snapshots_expires_at", "expires_at"),
    )

    id: Mapped[SnapshotId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    name: Mapped[str | None]
    description: Mapped[str | None]
    kind: Mapped[SnapshotKind] = mapped_column(one_of(SnapshotKind))
    category: Mapped[SnapshotCategory] = mapped_column(one_of(SnapshotCategory))
    state: Mapped[SnapshotState] = mapped_column(one_of(SnapshotState))
    disk_id: Mapped[DiskId]
    disk_size_gib: Mapped[int]
    disk_role: Mapped[DiskRole] = mapped_column(one_of(DiskRole))
    disk_name: Mapped[str | None]
    retention_days: Mapped[int | None]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]
    task_id: Mapped[TaskId | None]
    used_bytes: Mapped[int | None]
    changed_bytes: Mapped[int | None]
    stored_bytes: Mapped[int | None]
    tracking: Mapped[str | None]
    failure: Mapped[str | None]
    is_data_missing: Mapped[bool] = mapped_column(default=False)

    def move_to(self, state: SnapshotState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in TRANSITIONS[self.state], f"snapshot {self.id}: {self.state.value} to {state.value}"
        self.state = state


class HoldRecord(Record):
    """A reason why a snapshot must stay."""

    __tablename__ = "snapshot_holds"
    __table_args__ = (Index("ix_snapshot_holds_holder", "holder_kind", "holder_id"),)

    snapshot_id: Mapped[SnapshotId] = mapped_column(ForeignKey(SnapshotRecord.id), primary_key=True)
    holder_kind: Mapped[HolderKind] = mapped_column(one_of(HolderKind), primary_key=True)
    holder_id: Mapped[str] = mapped_column(primary_key=True)
