"""The table of the tasks that accounts may look at."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.regions.records import RegionRecord
from lamina.control.shown_tasks.states import TaskAction
from lamina.database import Record, one_of
from lamina.ids import AccountId, RegionId, TaskId


class ShownTaskRecord(Record):
    """Whose a task is. The task's own row says how far it is; when that one is forgotten, so is this.

    Attributes:
        action: what the API calls it.
        resource_id: what it works on.
        files: which files it writes or reads, in its order; see `files`.
    """

    __tablename__ = "shown_tasks"
    __table_args__ = (
        Index("ix_shown_tasks_account_created", "account_id", "region_id", "created_at", "task_id"),
        Index("ix_shown_tasks_resource", "resource_id"),
        Index("ix_shown_tasks_created_at", "created_at"),
    )

    task_id: Mapped[TaskId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    action: Mapped[TaskAction] = mapped_column(one_of(TaskAction))
    resource_id: Mapped[str]
    files: Mapped[str] = mapped_column(default="[]")
    created_at: Mapped[datetime]
