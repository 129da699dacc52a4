"""Random histories of disks and snapshots against a model of plain dictionaries.

Whatever happened, in whatever order, with restarts, killed workers and reconcilers in between: rows say what the
model says, every disk has its bytes, and every accomplished snapshot can be restored.
"""

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from lamina.blockio.raw_file import RawFileTarget
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.delete import delete_disk
from lamina.control.disks.queries import DiskFilter, list_disks
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.states import DiskState
from lamina.control.kinds import KINDS
from lamina.control.paging import Slice
from lamina.control.reconcilers import make_reconcilers
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.queries import SnapshotFilter, list_snapshots
from lamina.control.snapshots.states import SnapshotState
from lamina.failures import Refusal
from lamina.tasks.lease import LEASE
from lamina.tasks.reconcile import Reconciling
from lamina.transfer.restore import restore
from lamina.units import GIB, KIB
from tests.factories.installation import ZONE, open_site
from tests.factories.tasks import Killed, make_dying_runner

BLOCK = 64 * KIB
BLOCKS = 6
STEPS = [(kind, index) for kind in KINDS for index in range(len(kind.steps))]


@dataclass
class ModelDisk:
    state: DiskState
    content: list[int] = field(default_factory=lambda: [0] * BLOCKS)
    was_attached: bool = False
    source: str | None = None
    target: str | None = None  # what it is being rolled back to


@dataclass
class ModelSnapshot:
    disk: str
    state: SnapshotState
    content: list[int] | None = None


class ControlMachine(RuleBasedStateMachine):
    disks = Bundle("disks")
    snapshots = Bundle("snapshots")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lamina-control-"))
        self.model_disks: dict[str, ModelDisk] = {}
        self.model_snapshots: dict[str, ModelSnapshot] = {}
        self.open()

    def open(self):
        self.context = open_site(self.folder)
        self.site = self.context.__enter__()

    # what users do

    @rule(target=disks)
    def import_disk(self):
        disk_id = self.site.make_imported(size_bytes=GIB)
        self.finish()
        self.model_disks[disk_id] = ModelDisk(DiskState.AVAILABLE, was_attached=True)
        return disk_id

    @rule(disk=disks, block=st.integers(0, BLOCKS - 1), value=st.integers(0, 3))
    def write(self, disk, block, value):
        model = self.model_disks.get(disk)
        is_allowed = model is not None and model.state is DiskState.AVAILABLE
        with self.expecting(is_allowed):
            self.site.write(disk, block * BLOCK, bytes([value]) * BLOCK)
            model.content[block], model.was_attached = value, True

    @rule(target=snapshots, disk=disks)
    def start_snapshot(self, disk):
        model = self.model_disks.get(disk)
        is_allowed = (
            model is not None
            and model.state is DiskState.AVAILABLE
            and model.was_attached
            and not self.is_being_captured(disk)
        )
        snapshot_id = "none"
        with self.expecting(is_allowed):
            snapshot_id = self.site.start_snapshot(disk)
            self.model_snapshots[snapshot_id] = ModelSnapshot(disk, SnapshotState.PROGRESSING)
        return snapshot_id

    @rule(snapshot=snapshots, force=st.booleans())
    def delete_snapshot(self, snapshot, force):
        model = self.model_snapshots.get(snapshot)
        holders = [each for each in self.model_disks.values() if each.source == snapshot]
        readers = [each for each in holders if each.state is DiskState.CREATING]
        readers += [each for each in self.model_disks.values() if each.target == snapshot]
        is_known = model is not None and model.state is not SnapshotState.DELETING
        with self.expecting(is_known and not readers and (force or not holders)), self.site.scope() as scope:
            delete_snapshot(scope, snapshot, force=force)
            model.state = SnapshotState.DELETING

    @rule(disk=disks, snapshot=snapshots)
    def roll_back(self, disk, snapshot):
        model, source = self.model_disks.get(disk), self.model_snapshots.get(snapshot)
        is_allowed = (
            model is not None
            and source is not None
            and model.state is DiskState.AVAILABLE
            and source.state is SnapshotState.ACCOMPLISHED
            and source.disk == disk
            and not self.is_being_captured(disk)
        )
        with self.expecting(is_allowed), self.site.scope() as scope:
            reset_disk(scope, disk, snapshot)
            model.state, model.target = DiskState.REINITING, snapshot

    @rule(target=disks, snapshot=snapshots)
    def create_from(self, snapshot):
        source = self.model_snapshots.get(snapshot)
        disk_id = "none"
        is_allowed = source is not None and source.state is SnapshotState.ACCOMPLISHED
        with self.expecting(is_allowed), self.site.scope() as scope:
            disk_id = create_disk(
                scope, NewDisk(zone_id=ZONE, category=DiskCategory.CLOUD_AUTO, snapshot_id=snapshot)
            ).id
            self.model_disks[disk_id] = ModelDisk(DiskState.CREATING, list(source.content), source=snapshot)
        return disk_id

    @rule(disk=consumes(disks))
    def delete_disk(self, disk):
        model = self.model_disks.get(disk)
        is_allowed = (
            model is not None and model.state is DiskState.AVAILABLE and not self.is_being_captured(disk)
        )
        with self.expecting(is_allowed), self.site.scope() as scope:
            delete_disk(scope, disk)
            model.state = DiskState.DELETING

    # what happens meanwhile

    @rule()
    def work(self):
        self.site.work()
        self.finish()

    @rule(step=st.sampled_from(STEPS))
    def work_and_be_killed(self, step):
        """A worker dies right behind one of the steps; another one goes on when the lease has run out."""
        try:
            make_dying_runner(self.site, *step).run_until_idle()
        except Killed:
            self.site.clock.advance(LEASE + timedelta(seconds=1))
        self.site.work()
        self.finish()

    @rule()
    def restart(self):
        clock = self.site.clock
        self.context.__exit__(None, None, None)
        self.open()
        self.site.clock.instant = clock.instant

    @rule()
    def reconcile(self):
        Reconciling(make_reconcilers(self.site.installation)).run_all()

    @rule(minutes=st.integers(-90, 90))
    def move_the_clock(self, minutes):
        self.site.clock.advance(timedelta(minutes=minutes))

    # what must hold

    @invariant()
    def rows_say_what_the_model_says(self):
        with self.site.scope() as scope:
            snapshots = list_snapshots(scope, SnapshotFilter(), Slice(limit=1000)).items
            disks = list_disks(scope, DiskFilter(), Slice(limit=1000)).items
        assert {view.snapshot.id: view.snapshot.state for view in snapshots} == {
            key: model.state
            for key, model in self.model_snapshots.items()
            if model.state is not SnapshotState.DELETING
        }
        assert {view.disk.id: view.disk.state for view in disks} == {
            key: model.state
            for key, model in self.model_disks.items()
            if model.state is not DiskState.DELETING
        }

    @invariant()
    def usable_disks_have_their_bytes(self):
        for disk_id, model in self.model_disks.items():
            if model.state is DiskState.AVAILABLE:
                assert self.read_disk(disk_id) == model.content

    def teardown(self):
        try:
            self.work()
            self.rows_say_what_the_model_says()
            self.usable_disks_have_their_bytes()
            assert sorted(self.site.list_stored()) == sorted(self.model_snapshots)
            for snapshot_id, model in self.model_snapshots.items():
                assert self.restore(snapshot_id) == model.content
        finally:
            self.context.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    # the model

    def expecting(self, is_allowed):
        return _Expectation(is_allowed)

    def is_being_captured(self, disk):
        """Also while the capture is being cancelled."""
        return any(each.disk == disk and each.content is None for each in self.model_snapshots.values())

    def finish(self):
        """Everything that was under way is done."""
        for key, snapshot in list(self.model_snapshots.items()):
            if snapshot.state is SnapshotState.PROGRESSING:
                snapshot.state, snapshot.content = (
                    SnapshotState.ACCOMPLISHED,
                    list(self.model_disks[snapshot.disk].content),
                )
            elif snapshot.state is SnapshotState.DELETING:
                del self.model_snapshots[key]
        for key, disk in list(self.model_disks.items()):
            if disk.state is DiskState.DELETING:
                del self.model_disks[key]
            elif disk.target is not None:
                disk.content, disk.target = list(self.model_snapshots[disk.target].content), None
                disk.state = DiskState.AVAILABLE
            disk.state = DiskState.AVAILABLE if disk.state is DiskState.CREATING else disk.state

    def read_disk(self, disk_id):
        return split(self.site.read(disk_id, 0, BLOCKS * BLOCK))

    def restore(self, snapshot_id):
        repository = self.site.installation.repositories.find(self.site.account_id, "cn-hangzhou")
        path = self.folder / "restored.raw"
        with RawFileTarget.create(path, GIB, replace=True) as target:
            restore(repository, snapshot_id, target)
        with path.open("rb") as file:
            return split(file.read(BLOCKS * BLOCK))


class _Expectation:
    """What is allowed succeeds, and what is not is refused and changes nothing."""

    def __init__(self, is_allowed):
        self.is_allowed = is_allowed

    def __enter__(self):
        return None

    def __exit__(self, kind, value, trace):
        if self.is_allowed:
            return False
        assert isinstance(value, Refusal), f"expected a refusal, not {value!r}"
        return True


def split(content: bytes) -> list[int]:
    blocks = [content[index * BLOCK : (index + 1) * BLOCK] for index in range(BLOCKS)]
    assert all(block == block[:1] * BLOCK for block in blocks), "a block is torn"
    return [block[0] for block in blocks]


# One step costs about 30 ms, so this machine draws fewer examples than cheap properties do.
ControlMachine.TestCase.settings = hypothesis.settings(
    max_examples=max(5, hypothesis.settings().max_examples // 4), stateful_step_count=30
)
TestControlMachine = ControlMachine.TestCase
