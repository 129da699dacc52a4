"""A key is disabled, rotated or destroyed between any two steps of work on what it protects (row B60).

Whatever the moment: the work ends, finished or cleanly undone; a disabled key loses nothing, a rotated one changes
nothing, and of a destroyed one nothing is left.
"""

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.clone import DiskClone, clone_disk
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.states import DiskState
from lamina.control.encryption.destroy import destroy_due_keys
from lamina.control.encryption.rotate import rotate_key
from lamina.control.images.scratch import FILES
from lamina.control.keys.modify import disable_key, enable_key, schedule_deletion
from lamina.control.kinds import KINDS
from lamina.control.reconcilers import run_timely
from lamina.control.scope import Limits
from lamina.control.snapshots.copy import NewCopy, copy_snapshot
from lamina.control.snapshots.create import NewSnapshot, create_snapshot
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.tasks.records import TaskRecord
from lamina.tasks.runner import Runner
from lamina.tasks.states import ACTIVE
from lamina.tasks.task import BULK, COPY, QUICK
from lamina.units import KIB
from tests.factories.installation import ZONE, open_site
from tests.factories.keys import find_key, list_objects, make_encrypted, make_key, read_clear, with_key
from tests.factories.regions import FAR, add_region

CONTENT = os.urandom(96 * KIB)
LANES = {QUICK: 1, COPY: 1, BULK: 1, FILES: 1}


def capture(scope, disk_id, _snapshot_id):
    return create_snapshot(scope, NewSnapshot(disk_id=disk_id)).id


def restore(scope, _disk_id, snapshot_id):
    new = NewDisk(zone_id=ZONE, category=DiskCategory.CLOUD_ESSD, size_gib=20, snapshot_id=snapshot_id)
    return create_disk(scope, new).id


def roll_back(scope, disk_id, snapshot_id):
    return reset_disk(scope, disk_id, snapshot_id).id


def clone(scope, disk_id, _snapshot_id):
    new = DiskClone(source_id=disk_id, category=DiskCategory.CLOUD_ESSD, size_gib=20)
    return clone_disk(scope, new).id


def copy(scope, _disk_id, snapshot_id):
    return copy_snapshot(scope, NewCopy(snapshot_id=snapshot_id, region_id=FAR, encryption=with_key())).id


def disable(site, key_id):
    with site.scope() as scope:
        disable_key(scope, key_id)


def rotate(site, key_id):
    with site.scope() as scope:
        rotate_key(scope, key_id)
    work_quickly(site)


def destroy(site, key_id):
    with site.scope() as scope:
        schedule_deletion(scope, key_id, 7)
    site.clock.advance(timedelta(days=7))
    destroy_due_keys(site.installation)
    work_quickly(site)


def work_quickly(site):
    """What has a lane of its own beside the work that is under way."""
    Runner(site.installation.database, site.clock, site.installation, KINDS, {QUICK: 1}).run_until_idle()


class Meddler:
    """Carries out tasks, and does something else behind the step with a certain number."""

    def __init__(self, site, number, meddle):
        self._count = number
        self._meddle = meddle
        kinds = tuple(
            replace(kind, steps=tuple(replace(step, run=self._behind(step)) for step in kind.steps))
            for kind in KINDS
        )
        self._runner = Runner(site.installation.database, site.clock, site.installation, kinds, LANES)
        self._site = site

    @property
    def is_done(self):
        return self._count < 0

    def work(self):
        for _ in range(4):
            self._runner.run_until_idle()
            self._site.clock.advance(timedelta(hours=1))
            run_timely(self._site.installation)
        self._runner.run_until_idle()

    def _behind(self, step):
        def run(plant, arguments, context):
            step.run(plant, arguments, context)
            self._count -= 1
            if self._count == -1:
                self._meddle()

        return run


def find(site, made):
    with site.installation.database.reading() as session:
        assert not session.scalars(select(TaskRecord).where(TaskRecord.state.in_(ACTIVE))).all()
        return session.get(DiskRecord, made), session.get(SnapshotRecord, made)


def check(site, made, *, is_readable):
    disk, snapshot = find(site, made)
    if snapshot is not None:
        assert snapshot.state in (SnapshotState.ACCOMPLISHED, SnapshotState.FAILED)
        is_there = snapshot.state is SnapshotState.ACCOMPLISHED and not snapshot.is_data_missing
        assert is_readable or not is_there or snapshot.region_id == FAR, "what has another key stays"
    if disk is not None:  # one that could not be made is gone
        assert disk.state is DiskState.AVAILABLE
        assert not is_readable or read_clear(site, made, len(CONTENT)) == CONTENT


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, limits=Limits(may_copy_snapshots=True)) as opened:
        add_region(opened)
        yield opened


@pytest.mark.parametrize("meddle", [disable, rotate, destroy])
@pytest.mark.parametrize("start", [capture, restore, roll_back, clone, copy])
def test_b60_a_key_changes_between_any_two_steps(site, start, meddle):
    number = 0
    while True:
        key_id = make_key(site)
        disk_id = make_encrypted(site, CONTENT, key_id)
        snapshot_id = site.make_snapshot(disk_id)
        with site.scope() as scope:
            made = start(scope, disk_id, snapshot_id)
        meddler = Meddler(site, number, lambda key_id=key_id: meddle(site, key_id))
        meddler.work()
        if not meddler.is_done:
            assert number, "there is a step"
            return
        if meddle is disable:
            with site.scope() as scope:
                enable_key(scope, key_id)
        if meddle is destroy:
            assert list_objects(site, key_id) == {}
            assert find_key(site, key_id).deletes_at is None
        else:
            assert read_clear(site, disk_id, len(CONTENT)) == CONTENT
        check(site, made, is_readable=meddle is not destroy)
        number += 1
