"""Every two things that can be done with a disk, the second before the first is finished; then all tasks, late first.

Whoever comes second is refused or served, never half of it. When everything has ended, with a reconciler between any
two tasks: no task failed, the disk is at rest or gone with its bytes, its file is as long as its row says, nothing
refers to an instance that is gone, and every snapshot is accomplished, and as large as its row says.
"""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from lamina.blockio.file_volume import list_frozen
from lamina.control.disks.attach import Attachment, attach_disk
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.clone import DiskClone, clone_disk
from lamina.control.disks.connect import connect
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.delete import delete_disk
from lamina.control.disks.detach import detach_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.resize import resize_disk
from lamina.control.disks.start import restart_disks
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.disks.tidy import forget_leftover_clones
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.kinds import KINDS
from lamina.control.provisioning.reinit import reinit_disk
from lamina.control.provisioning.release import delete_instance
from lamina.control.provisioning.restart import restart_emptied_disks, restart_instances
from lamina.control.provisioning.start import start_instance
from lamina.control.provisioning.stop import stop_instance
from lamina.control.snapshots.create import NewSnapshot, create_snapshot
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.groups.restart import restart_groups
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.restart import restart_snapshots
from lamina.control.snapshots.states import SnapshotState
from lamina.failures import Refusal
from lamina.ids import DiskId, InstanceId, SnapshotId
from lamina.tasks.records import TaskRecord
from lamina.tasks.runner import Runner
from lamina.tasks.states import ACTIVE, TaskState
from lamina.units import GIB, KIB
from tests.factories.installation import ZONE, open_site
from tests.factories.instances import attach, make_free_disk, make_instance, start

OLD, NEW = b"\1" * 64 * KIB, b"\2" * 64 * KIB


@dataclass
class World:
    """A disk that says NEW, its snapshot that says OLD, and an instance."""

    disk_id: DiskId
    snapshot_id: SnapshotId
    instance_id: InstanceId


VERBS = {
    "attach": lambda scope, it: attach_disk(
        scope, Attachment(disk_id=it.disk_id, instance_id=it.instance_id)
    ),
    "detach": lambda scope, it: detach_disk(scope, it.disk_id, it.instance_id, delete_with_instance=True),
    "delete": lambda scope, it: delete_disk(scope, it.disk_id),
    "connect": lambda scope, it: connect(scope, it.disk_id),
    "roll back": lambda scope, it: reset_disk(scope, it.disk_id, it.snapshot_id),
    "reinitialise": lambda scope, it: reinit_disk(scope, it.disk_id, starts_instance=True),
    "clone": lambda scope, it: clone_disk(
        scope, DiskClone(source_id=it.disk_id, category=DiskCategory.CLOUD_AUTO, size_gib=2)
    ),
    "resize": lambda scope, it: resize_disk(scope, it.disk_id, 3),
    "snapshot": lambda scope, it: create_snapshot(scope, NewSnapshot(disk_id=it.disk_id)),
    "group": lambda scope, it: create_group(
        scope, NewGroup(disk_ids=(it.disk_id,), categories=frozenset(DiskCategory))
    ),
    "delete snapshot": lambda scope, it: delete_snapshot(scope, it.snapshot_id, force=True),
    "make from snapshot": lambda scope, it: create_disk(
        scope, NewDisk(zone_id=ZONE, category=DiskCategory.CLOUD_AUTO, snapshot_id=it.snapshot_id)
    ),
    "start": lambda scope, it: start_instance(scope, it.instance_id),
    "stop": lambda scope, it: stop_instance(scope, it.instance_id),
    "release": lambda scope, it: delete_instance(scope, it.instance_id, force=True),
}
ALWAYS = ("clone", "resize", "snapshot", "group", "release")
FIRST = {
    "free": ("attach", "delete", "roll back", "start", *ALWAYS),
    "stopped": ("detach", "roll back", "reinitialise", "start", *ALWAYS),
    "running": ("detach", "stop", *ALWAYS),
}
"""What takes a while, by where the disk is: free, or a disk of an instance in this state."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with open_site(tmp_path_factory.mktemp("interleavings")) as site:
        yield site


@pytest.mark.parametrize(("place", "first"), [(place, first) for place in FIRST for first in FIRST[place]])
def test_any_second_verb_is_served_or_refused_and_all_is_well_in_the_end(site, place, first):
    done = 0
    for second in VERBS:
        world = make_world(site, place)
        assert is_served(site, world, first)
        done += is_served(site, world, second)
        finish_late_ones_first(site)
        check(site, f"{place}: {first}, then {second}")
        tidy_up(site)
    assert done, f"{first} keeps everybody away"


def make_world(site, place):
    instance_id = make_instance(site)
    disk_id = make_free_disk(site, OLD)
    snapshot_id = site.make_snapshot(disk_id)
    site.write(disk_id, 0, NEW)
    if place != "free":
        attach(site, disk_id, instance_id)
    if place == "running":
        start(site, instance_id)
    return World(disk_id=disk_id, snapshot_id=snapshot_id, instance_id=instance_id)


def is_served(site, world, verb):
    """Carry out a verb; answers whether it was allowed."""
    try:
        with site.scope() as scope:
            VERBS[verb](scope, world)
    except Refusal:
        return False
    return True


def finish_late_ones_first(site):
    """Carry out all tasks, the latest one first, with everything that mends strange states between any two."""
    plant = site.installation
    while True:
        restart_disks(plant)
        with plant.database.reading() as session:
            active = select(TaskRecord).where(TaskRecord.state.in_(ACTIVE))
            latest = session.scalars(active.order_by(TaskRecord.created_at.desc(), TaskRecord.id)).all()
        if not latest:
            break
        kinds = [kind for kind in KINDS if kind.name == latest[0].kind]
        assert Runner(plant.database, site.clock, plant, kinds, {latest[0].lane: 1}).run_next(latest[0].lane)
    for job in (
        restart_instances,
        restart_emptied_disks,
        restart_snapshots,
        restart_groups,
        forget_leftover_clones,
    ):
        job(plant)
    assert site.work() == 0, "nothing was stranded"


def check(site, case):
    volumes = site.installation.volumes
    with site.installation.database.reading() as session:
        disks = {disk.id: disk for disk in session.scalars(select(DiskRecord))}
        instances = {each.id: each for each in session.scalars(select(InstanceRecord))}
        snapshots = session.scalars(select(SnapshotRecord)).all()
        failed = session.scalars(select(TaskRecord).where(TaskRecord.state == TaskState.FAILED)).all()
    assert not [(task.kind, task.failure) for task in failed], case
    assert sorted(disks) == volumes.list_disks(), case
    for disk in disks.values():
        rest = DiskState.AVAILABLE if disk.instance_id is None else DiskState.IN_USE
        assert (disk.state, disk.reset_snapshot_id) == (rest, None), case
        assert {disk.instance_id, disk.origin_instance_id} <= {None, *instances}, case
        assert volumes.raw_path(disk.id).stat().st_size == disk.size_bytes, case
        has_bytes = disk.role is DiskRole.DATA
        assert not has_bytes or site.read(disk.id, 0, len(OLD)) in (OLD, NEW, bytes(len(OLD))), case
        bases = {snapshot.id for snapshot in snapshots if snapshot.disk_id == disk.id}
        assert set(list_frozen(volumes.frozen_folder(disk.id))) <= bases, case
    assert {each.state for each in instances.values()} <= {InstanceState.RUNNING, InstanceState.STOPPED}, case
    assert {each.id for each in snapshots} == set(site.list_stored()), case
    repository = site.installation.repositories.find(site.account_id, "cn-hangzhou")
    for snapshot in snapshots:
        assert snapshot.state is SnapshotState.ACCOMPLISHED, case
        manifest = repository.read_manifest(snapshot.id)
        assert manifest.size_bytes == snapshot.disk_size_gib * GIB, case
        assert manifest.used_bytes == len(OLD), case


def tidy_up(site):
    """Away with everything, so that the next case has an empty site."""
    site.clock.advance(timedelta(days=1))  # connections end
    with site.scope() as scope:
        for instance_id in scope.session.scalars(select(InstanceRecord.id)).all():
            delete_instance(scope, instance_id, force=True)
    site.work()
    with site.scope() as scope:
        for disk_id in scope.session.scalars(select(DiskRecord.id)).all():
            delete_disk(scope, disk_id)
        for snapshot_id in scope.session.scalars(select(SnapshotRecord.id)).all():
            delete_snapshot(scope, snapshot_id, force=True)
    site.work()
    assert not site.installation.volumes.list_disks()
    with site.scope() as scope:
        scope.session.execute(delete(TaskRecord))
