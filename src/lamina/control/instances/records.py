"""The table of instances."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.instances.states import TRANSITIONS, InstanceState, StoppedMode
from lamina.control.regions.records import RegionRecord, ZoneRecord
from lamina.database import Record, one_of
from lamina.ids import AccountId, InstanceId, RegionId, TaskId, ZoneId


class InstanceRecord(Record):
    """One machine. Its disks say themselves which instance they belong to.

    Attributes:
        host_name: the name that the guest is told.
        image_id: the image that its system disk was made from, which may be gone; changes with the system disk.
        image_family: the family that was named instead of it, if one was.
        os_name: what that image is called among operating systems, such as `Ubuntu`.
        os_type: `linux` or `windows`, as that image says.
        instance_type: a type of `machine_types`.
        key_pair_name: recorded for the caller; Lamina keeps no secrets of guests.
        security_group_id: recorded for the caller; Lamina has no networks.
        v_switch_id: the same.
        is_deletion_protected: whether releasing it is refused.
        is_security_locked: whether the operator locked it.
        stopped_mode: what the last stop asked for.
        starts_when_made: whether it is started as soon as its disks are made.
        task_id: the task that makes, starts, stops, reboots or releases it; the latest one.
        started_at: when it was last started; None if it never was.
        expires_at: until when it is paid for in advance; None if it is paid by use.
        auto_release_at: when it is released by itself; only for those that are paid by use.
    """

    __tablename__ = "instances"
    __table_args__ = (
        CheckConstraint("length(name) <= 128", name="name_length"),
        CheckConstraint("length(description) <= 256", name="description_length"),
        Index("ix_instances_account_created", "account_id", "region_id", "created_at", "id"),
        Index("ix_instances_image", "image_id", "account_id"),
        Index("ix_instances_state", "state"),
        Index("ix_instances_expires", "expires_at"),
        Index("ix_instances_auto_release", "auto_release_at"),
    )

    id: Mapped[InstanceId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    zone_id: Mapped[ZoneId] = mapped_column(ForeignKey(ZoneRecord.id))
    name: Mapped[str]
    description: Mapped[str | None]
    host_name: Mapped[str]
    image_id: Mapped[str | None]
    image_family: Mapped[str | None]
    os_name: Mapped[str | None]
    os_type: Mapped[str | None]
    instance_type: Mapped[str]
    key_pair_name: Mapped[str | None]
    security_group_id: Mapped[str | None]
    v_switch_id: Mapped[str | None]
    state: Mapped[InstanceState] = mapped_column(one_of(InstanceState))
    is_deletion_protected: Mapped[bool]
    is_security_locked: Mapped[bool] = mapped_column(default=False)
    stopped_mode: Mapped[StoppedMode] = mapped_column(one_of(StoppedMode), default=StoppedMode.NOT_APPLICABLE)
    starts_when_made: Mapped[bool] = mapped_column(default=False)
    task_id: Mapped[TaskId | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    auto_release_at: Mapped[datetime | None]

    @property
    def is_prepaid(self) -> bool:
        """Whether it is paid for in advance."""
        return self.expires_at is not None

    def is_expired(self, now: datetime) -> bool:
        """Whether the time that it was paid for is over."""
        return self.expires_at is not None and self.expires_at <= now

    def move_to(self, state: InstanceState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in TRANSITIONS[self.state], f"instance {self.id}: {self.state.value} to {state.value}"
        self.state = state
