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
        image_id: what the caller asked for; constant for life.
        image_family: the same, where a family was named instead.
        instance_type: a type of `machine_types`.
        key_pair_name: recorded for the caller; Lamina keeps no secrets of guests.
        security_group_id: recorded for the caller; Lamina has no networks.
        v_switch_id: the same.
        is_deletion_protected: whether releasing it is refused.
        is_security_locked: whether the operator locked it.
        stopped_mode: what the last stop asked for.
        task_id: the task that makes, starts, stops or releases it; the latest one.
        started_at: when it was last started; None if it never was.
    """

    __tablename__ = "instances"
    __table_args__ = (
        CheckConstraint("length(name) <= 128", name="name_length"),
        CheckConstraint("length(description) <= 256", name="description_length"),
        Index("ix_instances_account_created", "account_id", "region_id", "created_at", "id"),
        Index("ix_instances_state", "state"),
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
    instance_type: Mapped[str]
    key_pair_name: Mapped[str | None]
    security_group_id: Mapped[str | None]
    v_switch_id: Mapped[str | None]
    state: Mapped[InstanceState] = mapped_column(one_of(InstanceState))
    is_deletion_protected: Mapped[bool]
    is_security_locked: Mapped[bool] = mapped_column(default=False)
    stopped_mode: Mapped[StoppedMode] = mapped_column(one_of(StoppedMode), default=StoppedMode.NOT_APPLICABLE)
    task_id: Mapped[TaskId | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]

    def move_to(self, state: InstanceState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in TRANSITIONS[self.state], f"instance {self.id}: {self.state.value} to {state.value}"
        self.state = state
