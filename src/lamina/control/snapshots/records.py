"""The tables of snapshots and of what holds them."""

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.disks.states import DiskRole
from lamina.control.keys.records import KeyRecord
from lamina.control.regions.records import RegionRecord
from lamina.control.snapshots.states import (
    CATEGORY_TRANSITIONS,
    GROUP_TRANSITIONS,
    TRANSITIONS,
    GroupState,
    HolderKind,
    SnapshotCategory,
    SnapshotKind,
    SnapshotState,
)
from lamina.database import Record, one_of
from lamina.ids import AccountId, DiskId, KeyId, RegionId, SnapshotGroupId, SnapshotId, TaskId

IS_ARCHIVING: Final = text(f"category = '{SnapshotCategory.ARCHIVING.value}'")
"""Of a snapshot: a task is archiving it. There are few, so they have an index; it is found by these very words."""


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
        source_snapshot_id: what it is a copy of; the original may be gone.
        source_region_id: where the original is.
        group_id: the group that it was taken with; None when it was taken alone, or its group was deleted.
        incremental_bytes: bytes of its blocks that the snapshot before it in the chain does not have; all of them
            for the first one. What the capture measured, until the chain is counted.
        exclusive_bytes: stored bytes of the blocks that no other snapshot in the repository has: what deleting it
            frees. None until the chain is counted.
        key_id: what its data is encrypted with; constant for life.
    """

    __tablename__ = "snapshots"
    __table_args__ = (
        CheckConstraint("length(name) <= 128", name="name_length"),
        CheckConstraint("length(description) <= 256", name="description_length"),
        # lists are walked in this order; the rest is for counting and skipping without a look at the rows
        Index(
            "ix_snapshots_account_created",
            *("account_id", "region_id", "created_at", "id"),
            *("state", "kind", "category", "disk_role"),
        ),
        Index("ix_snapshots_name", "account_id", "region_id", "name", "created_at", "id"),
        Index("ix_snapshots_state", "state", "account_id", "region_id", "created_at", "id"),
        Index("ix_snapshots_disk", "disk_id", "created_at"),
        Index("ix_snapshots_expires_at", "expires_at"),
        Index("ix_snapshots_group", "group_id"),
        Index("ix_snapshots_key", "key_id", "account_id", "region_id", "created_at", "id"),
        Index("ix_snapshots_source", "source_snapshot_id"),
        Index("ix_snapshots_archiving", "id", sqlite_where=IS_ARCHIVING, postgresql_where=IS_ARCHIVING),
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
    source_snapshot_id: Mapped[SnapshotId | None]
    source_region_id: Mapped[RegionId | None]
    group_id: Mapped[SnapshotGroupId | None]
    incremental_bytes: Mapped[int | None]
    exclusive_bytes: Mapped[int | None]
    key_id: Mapped[KeyId | None] = mapped_column(ForeignKey(KeyRecord.id))

    def move_to(self, state: SnapshotState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in TRANSITIONS[self.state], f"snapshot {self.id}: {self.state.value} to {state.value}"
        self.state = state

    def move_to_category(self, category: SnapshotCategory) -> None:
        """Change the category; a change that the table of categories does not have is a bug."""
        known = CATEGORY_TRANSITIONS[self.category]
        assert category in known, f"snapshot {self.id}: {self.category.value} to {category.value}"
        self.category = category


class HoldRecord(Record):
    """A reason why a snapshot must stay."""

    __tablename__ = "snapshot_holds"
    __table_args__ = (Index("ix_snapshot_holds_holder", "holder_kind", "holder_id", "snapshot_id"),)

    snapshot_id: Mapped[SnapshotId] = mapped_column(ForeignKey(SnapshotRecord.id), primary_key=True)
    holder_kind: Mapped[HolderKind] = mapped_column(one_of(HolderKind), primary_key=True)
    holder_id: Mapped[str] = mapped_column(primary_key=True)


class LockRecord(Record):
    """A lock on a snapshot: nobody deletes it before the lock expires.

    Attributes:
        cool_off_hours: for how long the lock can be changed and taken off.
        duration_days: for how long it lasts, from its start.
        created_at: when it was asked for.
        starts_at: when it began to count; None while the snapshot is being created.
        cool_off_until: the end of the cool-off period; None as above.
        expires_at: the end of the lock; None as above.
    """

    __tablename__ = "snapshot_locks"
    __table_args__ = (
        Index("ix_snapshot_locks_account", "account_id", "region_id", "created_at", "snapshot_id"),
    )

    snapshot_id: Mapped[SnapshotId] = mapped_column(ForeignKey(SnapshotRecord.id), primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    cool_off_hours: Mapped[int]
    duration_days: Mapped[int]
    created_at: Mapped[datetime]
    starts_at: Mapped[datetime | None]
    cool_off_until: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class NoteRecord(Record):
    """That a snapshot changed after its manifest was written, which has to be noted in its repository.

    Attributes:
        revision: how often it changed; the number of its next note, unless the repository has a higher one.
        is_noted: the repository knows this revision.
    """

    __tablename__ = "snapshot_notes"
    __table_args__ = (
        Index(
            "ix_snapshot_notes_unnoted",
            "snapshot_id",
            sqlite_where=text("is_noted IS 0"),
            postgresql_where=text("is_noted IS false"),
        ),
    )

    snapshot_id: Mapped[SnapshotId] = mapped_column(ForeignKey(SnapshotRecord.id), primary_key=True)
    revision: Mapped[int]
    is_noted: Mapped[bool]


class GroupRecord(Record):
    """Snapshots of several disks, taken at one instant. The members' rows name the group.

    Attributes:
        instance_id: the instance whose disks they are; None when disks were named one by one.
        task_id: the task that takes it.
        failure: why it failed.
    """

    __tablename__ = "snapshot_groups"
    __table_args__ = (
        CheckConstraint("length(name) <= 128", name="name_length"),
        CheckConstraint("length(description) <= 256", name="description_length"),
        Index("ix_snapshot_groups_account", "account_id", "region_id", "created_at", "id"),
        Index("ix_snapshot_groups_state", "state"),
    )

    id: Mapped[SnapshotGroupId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    instance_id: Mapped[str | None]
    name: Mapped[str | None]
    description: Mapped[str | None]
    state: Mapped[GroupState] = mapped_column(one_of(GroupState))
    created_at: Mapped[datetime]
    task_id: Mapped[TaskId | None]
    failure: Mapped[str | None]

    def move_to(self, state: GroupState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in GROUP_TRANSITIONS[self.state], f"group {self.id}: {self.state.value} to {state.value}"
        self.state = state


class ChainRecord(Record):
    """The snapshots of one disk in one region, summed up. Kept true by `chain.sum_up_chain`.

    Attributes:
        snapshot_count: how many there are, whatever their state.
        standard_bytes: the size of those that are not archived: the used capacity of the first, and what changed
            from each to the next.
        archive_bytes: the size of those that are archived, in the same sense.
        revision: grows with each change of the chain.
        is_counted: the exact sizes of this revision are in the rows of the snapshots.
    """

    __tablename__ = "snapshot_chains"
    __table_args__ = (
        Index("ix_snapshot_chains_account", "account_id", "region_id", "created_at", "disk_id"),
        Index(
            "ix_snapshot_chains_uncounted",
            *("account_id", "region_id"),
            sqlite_where=text("is_counted IS 0"),
            postgresql_where=text("is_counted IS false"),
        ),
    )

    disk_id: Mapped[DiskId] = mapped_column(primary_key=True)
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id), primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    created_at: Mapped[datetime]
    snapshot_count: Mapped[int]
    standard_bytes: Mapped[int]
    archive_bytes: Mapped[int]
    revision: Mapped[int]
    is_counted: Mapped[bool]


class UsageRecord(Record):
    """What the snapshots of an account in a region came to, from one instant until the next row's.

    Attributes:
        measured_at: a whole minute.
    """

    __tablename__ = "snapshot_usage"

    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id), primary_key=True)
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id), primary_key=True)
    measured_at: Mapped[datetime] = mapped_column(primary_key=True)
    standard_bytes: Mapped[int]
    archive_bytes: Mapped[int]
