"""The tables of policies and of what they did. Which policy a disk has is a column of the disk."""

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.keys.choose import Encryption
from lamina.control.policies.copy_rule import CopyRule
from lamina.control.policies.schedule import Cursor, Timetable
from lamina.control.policies.states import TRANSITIONS, RunOutcome
from lamina.control.regions.records import RegionRecord
from lamina.database import Record, one_of
from lamina.ids import AccountId, DiskId, KeyId, PolicyId, RegionId, RunId, SnapshotId

_OF_POLICY: Final = text("disk_id IS NULL")


class _CopyColumns:
    """The columns of a copy rule.

    Attributes:
        copy_region_id: where copies go.
        copy_retention_days: how long they are kept; None is for ever.
        copy_is_encrypted: whether they are encrypted.
        copy_key_id: with which key of that region; None is the service's own.
    """

    copy_region_id: Mapped[RegionId | None]
    copy_retention_days: Mapped[int | None]
    copy_is_encrypted: Mapped[bool] = mapped_column(default=False)
    copy_key_id: Mapped[KeyId | None]

    @property
    def copy_rule(self) -> CopyRule | None:
        """The rule; None if there is none."""
        if self.copy_region_id is None:
            return None
        return CopyRule(
            region_id=self.copy_region_id,
            retention_days=self.copy_retention_days,
            encryption=Encryption(is_encrypted=self.copy_is_encrypted, key_id=self.copy_key_id),
        )

    @copy_rule.setter
    def copy_rule(self, rule: CopyRule | None) -> None:
        """Write it down, or clear it."""
        self.copy_region_id = rule.region_id if rule else None
        self.copy_retention_days = rule.retention_days if rule else None
        self.copy_is_encrypted = bool(rule and rule.encryption.is_encrypted)
        self.copy_key_id = rule.encryption.key_id if rule else None


class PolicyRecord(_CopyColumns, Record):
    """One automatic snapshot policy.

    Attributes:
        hours: of its timetable, such as `0,12`.
        weekdays: of its timetable, such as `1,7`; 1 is Monday.
        retention_days: how long its snapshots are kept; None is for ever. Counts for later snapshots only.
        copies: whether its snapshots are copied; its copy rule stays when that ends.
        next_run_at: its next point in time; those before were dealt with.
        planned_at: when that was found out.
        settled_until: the last point whose record was forgotten.
    """

    __tablename__ = "policies"
    __table_args__ = (
        CheckConstraint("length(name) <= 128", name="name_length"),
        Index("ix_policies_account_created", "account_id", "region_id", "created_at", "id"),
        Index("ix_policies_next_run_at", "next_run_at"),
        Index("ix_policies_planned_at", "planned_at"),
    )

    id: Mapped[PolicyId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    name: Mapped[str | None]
    hours: Mapped[str]
    weekdays: Mapped[str]
    retention_days: Mapped[int | None]
    copies: Mapped[bool]
    created_at: Mapped[datetime]
    next_run_at: Mapped[datetime]
    planned_at: Mapped[datetime]
    settled_until: Mapped[datetime | None]

    @property
    def timetable(self) -> Timetable:
        """When it runs."""
        return Timetable(hours=_read_numbers(self.hours), weekdays=_read_numbers(self.weekdays))

    @timetable.setter
    def timetable(self, timetable: Timetable) -> None:
        """Write it down. The next point has to be found anew."""
        self.hours = ",".join(map(str, timetable.hours))
        self.weekdays = ",".join(map(str, timetable.weekdays))

    @property
    def cursor(self) -> Cursor:
        """How far it has come."""
        return Cursor(
            next_run_at=self.next_run_at, planned_at=self.planned_at, settled_until=self.settled_until
        )


class RunRecord(_CopyColumns, Record):
    """What became of a point of a policy: one row for the policy, and one for each of its disks.

    At most one row per disk and point, whatever policies the disk had: that is why no point runs twice. It has the
    policy's copy rule until it is settled what becomes of the copy.

    Attributes:
        policy_id: whose point it was; the policy may be gone.
        disk_id: of which disk; None in the policy's own row.
        point: the point in time.
        snapshot_id: what was started.
        reason: why nothing was, or why it was not copied.
        copy_id: the copy.
    """

    __tablename__ = "policy_runs"
    __table_args__ = (
        UniqueConstraint("disk_id", "point"),
        Index(
            "uq_policy_runs_policy_point",
            "policy_id",
            "point",
            unique=True,
            sqlite_where=_OF_POLICY,
            postgresql_where=_OF_POLICY,
        ),
        Index("ix_policy_runs_copy_region_id", "copy_region_id"),
        Index("ix_policy_runs_account", "account_id", "region_id", "point", "id"),
        Index("ix_policy_runs_policy", "policy_id", "point", "id"),
        Index("ix_policy_runs_point", "point"),
    )

    id: Mapped[RunId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    policy_id: Mapped[PolicyId]
    disk_id: Mapped[DiskId | None]
    point: Mapped[datetime]
    outcome: Mapped[RunOutcome] = mapped_column(one_of(RunOutcome))
    snapshot_id: Mapped[SnapshotId | None]
    reason: Mapped[str | None]
    copy_id: Mapped[SnapshotId | None]
    recorded_at: Mapped[datetime]

    def move_to(self, outcome: RunOutcome) -> None:
        """Change the outcome; a change that the table of states does not have is a bug."""
        assert outcome in TRANSITIONS[self.outcome], f"run {self.id}: {self.outcome.value} to {outcome.value}"
        self.outcome = outcome


def _read_numbers(joined: str) -> tuple[int, ...]:
    return tuple(int(each) for each in joined.split(","))
