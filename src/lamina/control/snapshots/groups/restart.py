"""Groups that wait for a task which is gone."""

import logging
from typing import Final

from sqlalchemy import select

from lamina.control.installation import Installation
from lamina.control.snapshots.records import GroupRecord, SnapshotRecord
from lamina.control.snapshots.states import GroupState, SnapshotState
from lamina.tasks.queue import is_active
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)


def restart_groups(plant: Installation) -> None:
    """Settle every unfinished group whose task is gone by what became of its members.

    The members are settled by `restart_snapshots`, which runs before.
    """
    with plant.database.reading() as session:
        unfinished = session.scalars(
            select(GroupRecord).where(GroupRecord.state == GroupState.PROGRESSING)
        ).all()
        stranded = [group.id for group in unfinished if not is_active(session, group.task_id)]
    for group_id in stranded:
        with plant.database.transaction() as session:
            group = session.get(GroupRecord, group_id)
            if (
                group is None
                or group.state is not GroupState.PROGRESSING
                or is_active(session, group.task_id)
            ):
                continue
            states = set(
                session.scalars(select(SnapshotRecord.state).where(SnapshotRecord.group_id == group_id))
            )
            if SnapshotState.PROGRESSING in states:
                continue  # they are settled first
            is_whole = states == {SnapshotState.ACCOMPLISHED}
            group.move_to(GroupState.ACCOMPLISHED if is_whole else GroupState.FAILED)
            group.failure = None if is_whole else "its task ended without telling how"
        log(_LOGGER, logging.WARNING, "a stranded snapshot group was settled", group_id=group_id)
