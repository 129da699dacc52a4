"""Drop old records of runs."""

from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from lamina.control.installation import Installation
from lamina.control.policies.records import PolicyRecord, RunRecord
from lamina.control.policies.schedule import KEEP_RUNS
from lamina.control.policies.states import RunOutcome

_AT_ONCE: Final = 500  # others wait for a transaction to end, and a point may have been about 10,000 disks


def forget_runs(plant: Installation) -> None:
    """Forget what became of points older than `KEEP_RUNS`, point by point, in transactions that end soon.

    A policy remembers the last of its points that was forgotten: without the records, a clock that is set back
    must not make it run again.
    """
    before = plant.clock.now() - KEEP_RUNS
    while True:
        with plant.database.reading() as session:
            point = session.scalar(select(func.min(RunRecord.point)))
        if point is None or point >= before:
            return
        with plant.database.transaction() as session:
            _settle_policies(session, point)
            some = select(RunRecord.id).where(RunRecord.point == point).limit(_AT_ONCE)
            session.execute(delete(RunRecord).where(RunRecord.id.in_(some)))


def _settle_policies(session: Session, point: datetime) -> None:
    ran = select(RunRecord.policy_id).where(
        RunRecord.point == point, RunRecord.disk_id.is_(None), RunRecord.outcome != RunOutcome.MISSED
    )
    session.execute(
        update(PolicyRecord)
        .where(
            PolicyRecord.id.in_(ran),
            or_(PolicyRecord.settled_until.is_(None), PolicyRecord.settled_until < point),
        )
        .values(settled_until=point)
        .execution_options(synchronize_session=False)
    )
