"""What runs every few seconds or minutes does not walk through a table that grows, however much is in it.

The reconcilers are run on a crowd in which nearly everything is settled, as it is in life; then every statement that
they sent is explained, as those of the calls are. What runs by the hour may look at everything: that is what it is for.
"""

from datetime import timedelta

import pytest
from sqlalchemy import update

from lamina.control.bulk_exports.records import BulkExportRecord
from lamina.control.bulk_exports.states import BulkState
from lamina.control.first_start import DEFAULT_REGION
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import ImageState
from lamina.control.reconcilers import make_reconcilers
from lamina.control.snapshots.records import GroupRecord, NoteRecord
from lamina.control.snapshots.states import GroupState
from tests.factories.crowd import Crowd, fill
from tests.factories.installation import ZONE, open_site
from tests.load.test_query_plans import SNAPSHOTS, explain_postgresql, explain_sqlite, watching

HOUR = timedelta(hours=1).total_seconds()
SETTLED = ((NoteRecord, "is_noted", True), (GroupRecord, "state", GroupState.ACCOMPLISHED))
SETTLED += ((ImageRecord, "state", ImageState.AVAILABLE), (BulkExportRecord, "state", BulkState.FINISHED))
# Indexes of what is not settled, of which there is never much.
FEW = ("ix_snapshots_archiving", "ix_snapshot_chains_uncounted", "ix_snapshot_notes_unnoted")
# Tables of at most some ten thousand rows, which take some milliseconds as a whole.
SMALL = ("bulk_exports", "connections", "disks", "encryption_keys", "images", "instances", "policies")
SMALL += ("snapshot_groups",)
# The sum over all chains goes into the series: once a minute, and some 50 ms for 100,000 of them.
SUMS = ("meter_usage", "snapshot_chains")


def is_walk(reconciler, walk):
    """Whether part of a plan reads all of a table that may be large."""
    words = walk.replace('"', " ").replace(",", " ").split()
    return not (set(words) & {*FEW, *SMALL} or ((reconciler, SUMS[1]) == SUMS and SUMS[1] in words))


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path) as opened:
        neighbour = opened.as_another_account()
        crowd = Crowd(
            account_id=opened.account_id,
            neighbour_id=neighbour.account_id,
            region_id=DEFAULT_REGION.id,
            zone_id=ZONE,
            snapshots=SNAPSHOTS,
            teams=SNAPSHOTS // 1000,
        )
        fill(opened.installation.database, crowd)
        with opened.installation.database.transaction() as session:
            for record, name, value in SETTLED:
                session.execute(update(record).values({name: value}))
        opened.installation.database.analyse()
        yield opened


def test_no_reconciler_that_runs_often_walks_through_a_table_that_grows(site):
    engine = site.installation.database._engine
    with watching(engine) as watch:
        for reconciler in make_reconcilers(site.installation):
            if reconciler.every_seconds < HOUR:
                watch.label = reconciler.name
                reconciler.run()
    explain = explain_sqlite if engine.dialect.name == "sqlite" else explain_postgresql
    with engine.connect() as connection:
        found = [
            f"{label}: {walk}\n    {statement}"
            for statement, (label, parameters) in watch.seen.items()
            for walk in explain(connection, statement, parameters)
            if is_walk(label, walk)
        ]
    assert not found, "\n".join(found)
