"""Short ways to policies; the fixture `site` is that of the folder above."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from lamina.control.policies.apply import apply_policy
from lamina.control.policies.create import NewPolicy, create_policy
from lamina.control.policies.due import run_due_policies
from lamina.control.policies.records import PolicyRecord, RunRecord
from lamina.control.policies.schedule import Timetable
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind, SnapshotState

EVERY_HOUR = Timetable.of(range(24), range(1, 8))


@dataclass
class Policies:
    """What tests of policies do all the time, on a site whose clock they move."""

    site: object

    def make(self, *disk_ids, timetable=EVERY_HOUR, retention_days=7, **options):
        with self.site.scope() as scope:
            new = NewPolicy(timetable=timetable, retention_days=retention_days, **options)
            policy_id = create_policy(scope, new).id
        if disk_ids:
            self.apply(policy_id, *disk_ids)
        return policy_id

    def apply(self, policy_id, *disk_ids):
        with self.site.scope() as scope:
            apply_policy(scope, policy_id, disk_ids)

    def get(self, policy_id):
        with self.site.installation.database.reading() as session:
            return session.get(PolicyRecord, policy_id)

    def look(self):
        """One look of the reconciler, without the tasks that it leaves."""
        run_due_policies(self.site.installation)

    def run(self):
        self.look()
        self.site.work()

    def advance(self, **step):
        self.site.clock.advance(timedelta(**step))

    def pass_hours(self, count=1):
        for _ in range(count):
            self.advance(hours=1)
            self.run()

    def runs(self, disk_id=None):
        """Outcomes with their points, oldest first: of a disk, or of policies."""
        with self.site.installation.database.reading() as session:
            rows = session.scalars(
                select(RunRecord)
                .where(RunRecord.disk_id == disk_id if disk_id else RunRecord.disk_id.is_(None))
                .order_by(RunRecord.point)
            ).all()
        return [(row.point, row.outcome.value) for row in rows]

    def reasons(self, disk_id):
        with self.site.installation.database.reading() as session:
            rows = session.scalars(
                select(RunRecord).where(RunRecord.disk_id == disk_id).order_by(RunRecord.point)
            )
            return [row.reason for row in rows]

    def automatic(self, disk_id):
        """The automatic snapshots of a disk that are not being deleted, oldest first."""
        with self.site.installation.database.reading() as session:
            return session.scalars(
                select(SnapshotRecord)
                .where(
                    SnapshotRecord.disk_id == disk_id,
                    SnapshotRecord.kind == SnapshotKind.AUTO,
                    SnapshotRecord.state != SnapshotState.DELETING,
                )
                .order_by(SnapshotRecord.created_at)
            ).all()


@pytest.fixture
def policies(site):
    return Policies(site)


def at(hour, day=1, minute=0):
    """An instant of January 2026, in UTC."""
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)
