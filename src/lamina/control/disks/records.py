"""The tables of disks and of the connections to them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.states import TRANSITIONS, DiskRole, DiskState
from lamina.control.instances.records import InstanceRecord
from lamina.control.keys.records import KeyRecord
from lamina.control.regions.records import RegionRecord, ZoneRecord
from lamina.database import Record, one_of
from lamina.ids import (
    AccountId,
    ConnectionId,
    DiskId,
    InstanceId,
    KeyId,
    PolicyId,
    RegionId,
    SnapshotId,
    TaskId,
    ZoneId,
)
from lamina.units import GIB


class DiskRecord(Record):
    """One disk.

    Attributes:
        role: system or data.
        was_attached: it was imported, connected, detached, or part of a running instance: it may hold something.
        source_snapshot_id: what it was made from; constant for life, also when that snapshot is gone.
        reset_snapshot_id: while it is rolled back, to which snapshot.
        task_id: the task that made, is making, rolls back, attaches or deletes it; the latest one.
        source_disk_id: what it is a clone of; constant for life.
        image_id: the image that it was made from, which may be gone; constant for life.
        image_device: which of that image's disks; constant for life.
        instance_id: the instance that it belongs to: from `Attaching` on, or from its creation with the instance.
        origin_instance_id: the instance that it was made with as its system disk, while that exists.
        device: what the instance calls it, such as `/dev/xvdb`.
        delete_with_instance: it goes when its instance is released.
        delete_auto_snapshot: its automatic snapshots go when it goes.
        enable_auto_snapshot: policies may take snapshots of it.
        key_id: what its bytes and its snapshots are encrypted with; constant for life.
        policy_id: the automatic snapshot policy that is applied to it, if one is.
        policy_applied_at: since when.
    """

    __tablename__ = "disks"
    __table_args__ = (
        CheckConstraint("length(name) <= 128", name="name_length"),
        CheckConstraint("length(description) <= 256", name="description_length"),
        CheckConstraint("size_gib > 0", name="size_positive"),
        # lists are walked in this order; the state is for counting without a look at the rows
        Index("ix_disks_account_created", "account_id", "region_id", "created_at", "id", "state"),
        Index("ix_disks_name", "account_id", "region_id", "name", "created_at", "id"),
        Index("ix_disks_policy", "policy_id", "id"),
        Index("ix_disks_state", "state"),
        Index("ix_disks_image", "image_id", "account_id"),
    )

    id: Mapped[DiskId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    zone_id: Mapped[ZoneId] = mapped_column(ForeignKey(ZoneRecord.id))
    name: Mapped[str | None]
    description: Mapped[str | None]
    role: Mapped[DiskRole] = mapped_column(one_of(DiskRole))
    category: Mapped[DiskCategory] = mapped_column(one_of(DiskCategory))
    performance_level: Mapped[PerformanceLevel | None] = mapped_column(one_of(PerformanceLevel))
    size_gib: Mapped[int]
    state: Mapped[DiskState] = mapped_column(one_of(DiskState))
    was_attached: Mapped[bool]
    source_snapshot_id: Mapped[SnapshotId | None] = mapped_column(index=True)
    reset_snapshot_id: Mapped[SnapshotId | None]
    task_id: Mapped[TaskId | None]
    created_at: Mapped[datetime]
    attached_at: Mapped[datetime | None]
    detached_at: Mapped[datetime | None]
    source_disk_id: Mapped[DiskId | None]
    image_id: Mapped[str | None]
    image_device: Mapped[str | None]
    instance_id: Mapped[InstanceId | None] = mapped_column(ForeignKey(InstanceRecord.id), index=True)
    origin_instance_id: Mapped[InstanceId | None] = mapped_column(index=True)
    device: Mapped[str | None]
    delete_with_instance: Mapped[bool] = mapped_column(default=False)
    delete_auto_snapshot: Mapped[bool] = mapped_column(default=True)
    enable_auto_snapshot: Mapped[bool] = mapped_column(default=True)
    key_id: Mapped[KeyId | None] = mapped_column(ForeignKey(KeyRecord.id), index=True)
    policy_id: Mapped[PolicyId | None]
    policy_applied_at: Mapped[datetime | None]

    @property
    def rest_state(self) -> DiskState:
        """Where it belongs when nothing is done with it."""
        return DiskState.AVAILABLE if self.instance_id is None else DiskState.IN_USE

    @property
    def size_bytes(self) -> int:
        """The size in bytes."""
        return self.size_gib * GIB

    def move_to(self, state: DiskState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in TRANSITIONS[self.state], f"disk {self.id}: {self.state.value} to {state.value}"
        self.state = state


class ConnectionRecord(Record):
    """A disk that is open for reading and writing through the service. At most one per disk.

    Attributes:
        expires_at: when it ends unless it is renewed.
    """

    __tablename__ = "connections"

    id: Mapped[ConnectionId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    disk_id: Mapped[DiskId] = mapped_column(ForeignKey(DiskRecord.id), unique=True)
    opened_at: Mapped[datetime]
    expires_at: Mapped[datetime]
