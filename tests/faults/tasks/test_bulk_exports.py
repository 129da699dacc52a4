"""A bulk export survives the death of whatever carries it on, at every transaction: nothing is made twice.

It is no task but rows and a job that looks at them, so it has a harness of its own. What its items wait for are tasks,
whose deaths `test_every_kind` is about.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import select

from lamina.control.bulk_exports.cancel import cancel_bulk_export
from lamina.control.bulk_exports.drive import drive_bulk_exports
from lamina.control.bulk_exports.records import BulkExportRecord
from lamina.control.bulk_exports.states import UNFINISHED, BulkState
from lamina.control.images.records import ImageRecord
from lamina.control.snapshots.records import SnapshotRecord
from lamina.database import Database
from lamina.tasks.records import TaskRecord
from lamina.units import KIB
from tests.factories.bulk_exports import read_bulk, read_items, read_states, start_bulk
from tests.factories.image_files import list_objects, make_bucket, make_image
from tests.factories.images import make_system_snapshot
from tests.factories.instances import make_instance
from tests.factories.tasks import Killed, rolled_back

CONTENT = bytes(range(1, 129)) * KIB
LOOKS = 40


@dataclass
class Deadly:
    """A database at which somebody dies: at his first transaction, his successor at the second one, and so on.

    Attributes:
        database: the real one.
        is_late: he dies when the transaction is committed, and not before that.
        next: the transaction of this life that is deadly.
        count: transactions in this life.
        deaths: how many there were.
    """

    database: Database
    is_late: bool
    next: int = 0
    count: int = 0
    deaths: int = 0

    def reading(self):
        return self.database.reading()

    @contextmanager
    def transaction(self, *, of=None):
        is_deadly = self.count == self.next
        self.count += 1
        transaction = self.database.transaction(of=of)
        with transaction if self.is_late or not is_deadly else rolled_back(transaction) as session:
            yield session
        if is_deadly:
            self.deaths += 1
            raise Killed


def drive_to_death(site, deadly):
    """Carry on until it is all done; whoever dies is followed by another one."""
    plant = replace(site.installation, database=deadly)
    for _ in range(LOOKS):
        deadly.count = 0
        try:
            drive_bulk_exports(plant)
        except Killed:
            deadly.next += 1
            continue
        deadly.next = 0
        site.work()
        with site.installation.database.reading() as session:
            if not session.scalars(
                select(BulkExportRecord).where(BulkExportRecord.state.in_(UNFINISHED))
            ).all():
                return
    raise AssertionError("it does not come to its end")


def count_rows(site, *records):
    with site.installation.database.reading() as session:
        return [len(session.scalars(select(record.id)).all()) for record in records]


@pytest.fixture
def sources(site):
    make_bucket(site)
    return {
        "instance_ids": [make_instance(site, is_running=True)],
        "snapshot_ids": [make_system_snapshot(site, CONTENT) for _ in range(2)],
        "image_ids": [make_image(site, CONTENT)],
    }


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("deletes_images", [False, True], ids=["kept", "deleted"])
def test_everything_is_made_once_whoever_dies_when(site, sources, is_late, deletes_images):
    images, snapshots, tasks = count_rows(site, ImageRecord, SnapshotRecord, TaskRecord)
    bulk_id = start_bulk(site, **sources, concurrency=2, deletes_images=deletes_images)
    deadly = Deadly(site.installation.database, is_late)
    drive_to_death(site, deadly)
    site.work()
    assert deadly.deaths >= 5
    assert read_bulk(site, bulk_id).state is BulkState.FINISHED
    assert read_states(site, bulk_id) == ["Finished"] * 4
    told = [each.key for item in read_items(site, bulk_id) for each in item.objects]
    assert sorted(told) == sorted(list_objects(site))
    assert len(told) == len(set(told)) == 4
    made, taken = (0, 0) if deletes_images else (3, 1)
    removals = 1 if deletes_images else 0
    assert count_rows(site, ImageRecord, SnapshotRecord, TaskRecord) == [
        images + made,
        snapshots + taken,
        tasks + 5 + removals,  # one capture, four exports, and the removal of a snapshot
    ]


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
def test_what_is_cancelled_leaves_nothing_whoever_dies_when(site, sources, is_late):
    before = count_rows(site, ImageRecord, SnapshotRecord)
    bulk_id = start_bulk(site, **sources, concurrency=2)
    drive_bulk_exports(site.installation)
    with site.scope() as scope:
        cancel_bulk_export(scope, bulk_id)
    drive_to_death(site, Deadly(site.installation.database, is_late))
    site.work()
    assert read_bulk(site, bulk_id).state is BulkState.CANCELLED
    assert read_states(site, bulk_id) == ["Cancelled"] * 4
    assert list_objects(site) == {}
    images, snapshots = count_rows(site, ImageRecord, SnapshotRecord)
    assert snapshots == before[1]
    assert images <= before[0] + 1, (
        "the image of the snapshot was made, and stays as it would after any other failure"
    )
