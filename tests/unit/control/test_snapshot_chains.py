"""What is summed up of a chain is true after every change, also of what is added to it without a look at the rest."""

import itertools
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select

from lamina.control.disks.queries import get_disk
from lamina.control.scope import Limits
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.create import NewSnapshot, add_snapshot
from lamina.control.snapshots.errors import SnapshotInProgressError, SnapshotQuotaError
from lamina.control.snapshots.records import ChainRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from tests.factories.installation import open_site

HOUR = timedelta(hours=1)


class UndoneError(Exception):
    """Ends a history, so that the next one begins with nothing."""


class History:
    """Changes of the chain of one disk, in one session."""

    def __init__(self, site, scope, disk_id):
        self.site, self.scope, self.session = site, scope, scope.session
        self.disk = get_disk(scope, disk_id)
        self.changes = 0
        self.seen = (0, 0)

    def add(self, step=HOUR):
        self.site.clock.advance(step)
        add_snapshot(self.scope, self.disk, NewSnapshot(disk_id=self.disk.id))
        self.changes += 1

    def add_earlier(self):
        self.add(-3 * HOUR)

    def finish(self):
        for snapshot in self.rows(SnapshotState.PROGRESSING)[:1]:
            snapshot.incremental_bytes = 1 << len(self.rows(SnapshotState.ACCOMPLISHED))
            self.change(snapshot, SnapshotState.ACCOMPLISHED)

    def remove(self):
        there = self.rows(SnapshotState.ACCOMPLISHED) + self.rows(SnapshotState.PROGRESSING)
        for snapshot in there[:1]:
            self.change(snapshot, SnapshotState.DELETING)

    def change(self, snapshot, state):
        snapshot.move_to(state)
        sum_up_chain(self.session, snapshot, self.site.clock.now())
        self.changes += 1

    def rows(self, *states):
        query = select(SnapshotRecord).where(SnapshotRecord.state.in_(states))
        return self.session.scalars(query.order_by(SnapshotRecord.created_at, SnapshotRecord.id)).all()

    def check(self):
        there = self.rows(*(state for state in SnapshotState if state is not SnapshotState.DELETING))
        size = sum(snapshot.incremental_bytes or 0 for snapshot in there)
        chains = self.session.execute(
            select(
                ChainRecord.snapshot_count,
                ChainRecord.standard_bytes,
                ChainRecord.archive_bytes,
                ChainRecord.is_counted,
            )
        ).all()
        assert chains == ([(len(there), size, 0, False)] if self.changes else [])
        self.check_revision()
        if there:
            assert self.session.scalar(select(ChainRecord.created_at)) == there[0].created_at

    def check_revision(self):
        """It grows by one with each change, wherever it began."""
        revision = self.session.scalar(select(ChainRecord.revision))
        changes, before = self.seen
        if changes:
            assert revision == before + self.changes - changes
        self.seen = (self.changes, revision)


CHANGES = (History.add, History.add_earlier, History.finish, History.remove)


@pytest.mark.parametrize("forgets", [False, True], ids=["one session", "a session each"])
def test_every_history_of_a_chain_leaves_its_sums_true(site, forgets):
    disk_id = site.make_imported(b"x")
    for changes in itertools.product(CHANGES, repeat=3):
        with suppress(UndoneError), site.scope() as scope:
            history = History(site, scope, disk_id)
            for change in changes:
                change(history)
                if forgets:
                    scope.session.flush()
                    scope.session.expire_all()
                history.check()
            raise UndoneError


def start_at_once(site, disk_ids):
    """Start a snapshot of each disk, all at the same time; tells what came of each."""
    together = threading.Barrier(len(disk_ids))

    def start(disk_id):
        together.wait()
        try:
            site.start_snapshot(disk_id)
        except (SnapshotInProgressError, SnapshotQuotaError) as refused:
            return type(refused)
        return None

    with ThreadPoolExecutor(len(disk_ids)) as threads:
        return Counter(threads.map(start, disk_ids))


def test_of_calls_at_once_as_many_pass_as_the_quota_has_room_for_and_each_is_counted(tmp_path):
    with open_site(tmp_path, limits=Limits(manual_snapshots_per_disk=2)) as site:
        disk_ids = [site.make_imported(b"x") for _ in range(3)]
        for outcome in (SnapshotInProgressError, SnapshotInProgressError, SnapshotQuotaError):
            passing = 0 if outcome is SnapshotQuotaError else len(disk_ids)
            tried = 3 * len(disk_ids)
            assert start_at_once(site, 3 * disk_ids) == +Counter({None: passing, outcome: tried - passing})
            site.work()
        with site.scope() as scope:
            assert scope.session.scalars(select(ChainRecord.snapshot_count)).all() == [2, 2, 2]
            assert len(scope.session.scalars(select(SnapshotRecord.id)).all()) == 6
