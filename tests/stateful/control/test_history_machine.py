"""B17 through the whole service: whatever was deleted, in whatever order, every other snapshot has its exact bytes.

Random histories of writes, snapshots, groups, runs of a policy, deletions, expiry, eviction, roll-backs, clones,
sweeps, compactions, restarts and killed workers, against a model of plain dictionaries.
"""

import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from lamina.blockio.raw_file import RawFileTarget
from lamina.control.disks.build import BUILD_DISK
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.clone import CLONE_DISK, DiskClone, clone_disk
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.delete import delete_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.remove import REMOVE_DISK
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.roll_back import ROLL_BACK_DISK
from lamina.control.disks.states import DiskState
from lamina.control.first_start import DEFAULT_REGION
from lamina.control.paging import Slice
from lamina.control.policies.apply import apply_policy
from lamina.control.policies.create import NewPolicy, create_policy
from lamina.control.policies.due import run_due_policies
from lamina.control.policies.run import RUN_POLICY
from lamina.control.policies.schedule import Timetable
from lamina.control.scope import Limits
from lamina.control.snapshots.capture import CAPTURE_SNAPSHOT
from lamina.control.snapshots.chain_queries import list_chains
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.expire import expire_snapshots
from lamina.control.snapshots.groups.capture import CAPTURE_GROUP
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.groups.delete import delete_group
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import REMOVE_SNAPSHOT
from lamina.control.snapshots.sizes import count_sizes
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.control.snapshots.usage import list_usage, measure_usage, meter_usage
from lamina.engine.maintenance.compaction import compact
from lamina.engine.maintenance.sweep import sweep
from lamina.failures import Refusal
from lamina.tasks.lease import LEASE
from lamina.transfer.restore import restore
from lamina.units import GIB
from tests.factories.installation import ZONE, open_site
from tests.factories.tasks import Killed, make_dying_runner
from tests.stateful.control.history import (
    BLOCK,
    PLACES,
    VALUES,
    ModelDisk,
    Taken,
    block,
    change,
    check_sizes,
    count_chain,
    read_content,
    read_snapshot,
)

QUOTA = 3
NOBODY = "s-nobody"
# Which of those that are there, in the order in which they came: a history is told again in spite of random ids.
WHICH = st.integers(0, 11)
CHANGES = st.dictionaries(
    st.integers(0, len(PLACES) - 1), st.sampled_from(VALUES), min_size=1, max_size=len(PLACES) - 1
)
RETENTION_DAYS = 2
STARTED = (
    BUILD_DISK,
    CAPTURE_GROUP,
    CAPTURE_SNAPSHOT,
    CLONE_DISK,
    REMOVE_DISK,
    REMOVE_SNAPSHOT,
    ROLL_BACK_DISK,
    RUN_POLICY,
)
STEPS = [(kind, index) for kind in STARTED for index in range(len(kind.steps))]


class HistoryMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lamina-history-"))
        self.disk_models: dict[str, ModelDisk] = {}
        self.taken: dict[str, Taken] = {}
        self.groups: list[str] = []
        self.open()

    def open(self, clock=None):
        limits = Limits(automatic_snapshots_per_disk=QUOTA)
        self.context = open_site(self.folder, clock=clock, limits=limits)
        self.site = self.context.__enter__()

    @initialize()
    def begin(self):
        hours = Timetable.of(range(24), range(1, 8))
        with self.site.scope() as scope:
            self.policy_id = create_policy(
                scope, NewPolicy(timetable=hours, retention_days=RETENTION_DAYS)
            ).id
        made = [self.site.make_imported(size_bytes=GIB) for _ in range(2)]
        self.disk_models.update({disk_id: ModelDisk() for disk_id in made})
        self.apply_policy(0)

    # what users do; whatever the service refuses does not happen

    @rule(disk=WHICH, changes=CHANGES)
    def write(self, disk, changes):
        self.change(self.pick_disk(disk), changes)

    @rule(disk=WHICH, retention=st.sampled_from([None, None, 1]))
    def take(self, disk, retention):
        self.start(self.pick_disk(disk), retention)

    @rule(disk=WHICH, history=st.lists(CHANGES, min_size=1, max_size=4))
    def take_several(self, disk, history):
        """A chain grows."""
        for changes in history:
            self.change(self.pick_disk(disk), changes)
            self.start(self.pick_disk(disk), None)
            self.work()

    @rule(chosen=st.lists(WHICH, min_size=1, max_size=3))
    def take_group(self, chosen):
        self.tick()
        disk_ids = tuple(dict.fromkeys(map(self.pick_disk, chosen)))
        with suppress(Refusal):
            with self.site.scope() as scope:
                group_id = create_group(scope, NewGroup(disk_ids=disk_ids)).id
            members = {row.disk_id: row.id for row in self.rows() if row.group_id == group_id}
            self.groups.append(group_id)
            self.taken.update({members[disk_id]: Taken(disk_id, group=group_id) for disk_id in disk_ids})

    @rule(snapshot=WHICH, force=st.booleans())
    def delete(self, snapshot, force):
        snapshot_id = self.pick_snapshot(snapshot)
        with suppress(Refusal), self.site.scope() as scope:
            delete_snapshot(scope, snapshot_id, force=force)
            holders = [each for each in self.disk_models.values() if each.origin == snapshot_id]
            assert force or not holders, "a disk was made from it"
            self.taken[snapshot_id].is_asked_away = True

    @precondition(lambda self: len(self.taken) >= 4)
    @rule()
    def thin_out(self):
        """Every other snapshot goes, and what it leaves half empty is packed together."""
        for number in range(0, len(self.taken), 2):
            self.delete(number, force=True)
        self.work()
        self.sweep(2)
        self.compact()

    @rule(group=WHICH)
    def delete_group(self, group):
        if not self.groups:
            return
        with self.site.scope() as scope:
            for outcome in delete_group(scope, self.groups.pop(group % len(self.groups))):
                if outcome.refusal is None:
                    self.taken[outcome.snapshot_id].is_asked_away = True

    @rule(snapshot=WHICH)
    def roll_back(self, snapshot):
        snapshot_id = self.pick_snapshot(snapshot)
        with suppress(Refusal), self.site.scope() as scope:
            disk = self.taken[snapshot_id].disk if snapshot_id in self.taken else NOBODY
            reset_disk(scope, disk, snapshot_id)
            self.disk_models[disk].target = snapshot_id

    @rule(snapshot=WHICH)
    def create_from(self, snapshot):
        snapshot_id = self.pick_snapshot(snapshot)
        new = NewDisk(zone_id=ZONE, category=DiskCategory.CLOUD_AUTO, snapshot_id=snapshot_id)
        with suppress(Refusal), self.site.scope() as scope:
            made = ModelDisk(self.taken[snapshot_id].content if snapshot_id in self.taken else None)
            made.origin = snapshot_id
            self.disk_models[create_disk(scope, new).id] = made

    @rule(disk=WHICH)
    def clone(self, disk):
        disk_id = self.pick_disk(disk)
        new = DiskClone(source_id=disk_id, category=DiskCategory.CLOUD_AUTO, size_gib=1)
        with suppress(Refusal), self.site.scope() as scope:
            self.disk_models[clone_disk(scope, new).id] = ModelDisk(None, source=disk_id)

    @rule(disk=WHICH)
    def delete_disk(self, disk):
        disk_id = self.pick_disk(disk)
        if len(self.disk_models) == 1:
            return  # a history without disks is soon told
        with suppress(Refusal), self.site.scope() as scope:
            delete_disk(scope, disk_id)
            del self.disk_models[disk_id]
            for taken in self.taken.values():
                taken.is_asked_away |= taken.disk == disk_id and taken.is_automatic

    @rule(disk=WHICH)
    def apply_policy(self, disk):
        with suppress(Refusal), self.site.scope() as scope:
            apply_policy(scope, self.policy_id, [self.pick_disk(disk)])

    # what happens meanwhile

    @rule(disk=WHICH, hours=st.lists(CHANGES, min_size=1, max_size=5))
    def pass_hours(self, disk, hours):
        """The policy takes a disk each hour, and from the fourth on the earliest goes."""
        for changes in hours:
            self.change(self.pick_disk(disk), changes)
            self.site.clock.advance(timedelta(hours=1))
            run_due_policies(self.site.installation)
            self.work()

    @rule(hours=st.sampled_from([13, 26]))
    def sleep(self, hours):
        self.site.clock.advance(timedelta(hours=hours))

    @rule()
    def expire(self):
        expire_snapshots(self.site.installation)

    @rule()
    def work(self):
        self.site.work()
        self.finish()

    @rule(step=st.sampled_from(STEPS))
    def work_and_be_killed(self, step):
        """A worker dies right behind one of the steps; another process goes on when the lease has run out."""
        with suppress(Killed):
            make_dying_runner(self.site, *step).run_until_idle()
        self.site.clock.advance(LEASE + timedelta(seconds=1))
        self.restart()
        self.work()

    @rule()
    def restart(self):
        self.context.__exit__(None, None, None)
        self.open(self.site.clock)

    @rule(times=st.integers(1, 3))
    def sweep(self, times):
        for _ in range(times if self.repository() is not None else 0):
            assert not sweep(self.repository()).damage

    @rule()
    def compact(self):
        if self.repository() is not None:
            compact(self.repository(), sparse_below=0.9)

    # what must hold

    @invariant()
    def only_what_may_go_is_gone(self):
        rows = {row.id: row for row in self.rows()}
        for snapshot_id in self.taken.keys() - rows.keys():
            assert self.taken.pop(snapshot_id).is_asked_away, snapshot_id
        for row in rows.values():
            taken = self.taken[row.id]
            is_expired = row.expires_at is not None and row.expires_at <= self.site.clock.now()
            may_go = taken.is_asked_away or is_expired or taken.is_automatic
            assert may_go or row.state is not SnapshotState.DELETING, row.id
            taken.is_asked_away |= row.state is SnapshotState.DELETING

    @invariant()
    def usable_disks_have_their_bytes(self):
        for disk_id, model in self.disk_models.items():
            if model.content is not None and model.target is None and self.is_there(disk_id):
                assert read_content(lambda at, length, disk=disk_id: self.site.read(disk, at, length)) == (
                    model.content
                )

    def teardown(self):
        try:
            self.work()
            self.sweep(2)
            self.compact()
            self.sweep(2)
            self.every_snapshot_is_whole()
            self.check_sizes()
            for row in self.rows():
                assert self.restore(row.id) == self.taken[row.id].content
        finally:
            self.context.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    # the model

    def finish(self):
        """Everything that was under way is done; what a policy started since is new to the model."""
        for model in self.disk_models.values():
            if model.target is not None:
                model.content, model.target = self.taken[model.target].content, None
        for model in self.disk_models.values():
            if model.source is not None:
                model.content, model.source = self.disk_models[model.source].content, None
        self.forget_cancelled()
        rows = self.rows()
        for row in rows:
            assert row.state is SnapshotState.ACCOMPLISHED, (row.id, row.failure)
            taken = self.taken.setdefault(
                row.id, Taken(row.disk_id, is_automatic=row.kind is SnapshotKind.AUTO)
            )
            if taken.content is None:
                taken.content = self.disk_models[row.disk_id].content
        self.taken = self.settle_evictions(rows)
        self.every_snapshot_is_whole()

    def forget_cancelled(self):
        """Who deletes one member of an unfinished group cancels the others."""
        cancelled = {each.group for each in self.taken.values() if each.is_asked_away} - {None}
        for row in self.rows():
            if row.state is SnapshotState.FAILED:
                assert self.taken.pop(row.id).group in cancelled, (row.id, row.failure)
                self.site.delete(row.id)

    def settle_evictions(self, rows):
        """The quota takes automatic snapshots of disks that have many, and never one that a disk was made from."""
        there = {row.id for row in rows}
        origins = {model.origin for model in self.disk_models.values()}
        for snapshot_id in self.taken.keys() - there:
            taken = self.taken[snapshot_id]
            is_evicted = taken.is_automatic and snapshot_id not in origins
            assert taken.is_asked_away or is_evicted, snapshot_id
        return {snapshot_id: taken for snapshot_id, taken in self.taken.items() if snapshot_id in there}

    def every_snapshot_is_whole(self):
        assert sorted(self.site.list_stored()) == sorted(self.taken)
        for snapshot_id, taken in self.taken.items():
            assert read_snapshot(self.repository(), snapshot_id) == taken.content, snapshot_id

    def check_sizes(self):
        count_sizes(self.site.installation)
        chains: dict[str, list[SnapshotRecord]] = {}
        for row in self.rows():
            chains.setdefault(row.disk_id, []).append(row)
        for disk_id, chain in chains.items():
            others = [taken.content for taken in self.taken.values() if taken.disk != disk_id]
            check_sizes(chain, count_chain([self.taken[row.id].content for row in chain], others))
        total = sum(row.incremental_bytes for chain in chains.values() for row in chain)
        meter_usage(self.site.installation)
        with self.site.scope() as scope:
            usage = measure_usage(scope)
            shown = list_chains(scope, None, None, Slice(limit=100)).items
            [point] = list_usage(scope, [self.site.clock.now()], None)
        assert (usage.snapshot_count, usage.size_bytes) == (len(self.taken), total)
        assert {view.chain.disk_id: view.chain.snapshot_count for view in shown} == {
            disk_id: len(chain) for disk_id, chain in chains.items()
        }
        assert point.size_bytes == total

    def change(self, disk_id, changes):
        with suppress(Refusal):
            for place, value in changes.items():
                self.site.write(disk_id, PLACES[place] * BLOCK, block(value))
                model = self.disk_models[disk_id]
                model.content = change(model.content, place, value)

    def start(self, disk_id, retention):
        self.tick()
        with suppress(Refusal):
            self.taken[self.site.start_snapshot(disk_id, retention_days=retention)] = Taken(disk_id)

    # looking

    def pick_disk(self, number):
        return list(self.disk_models)[number % len(self.disk_models)]

    def pick_snapshot(self, number):
        return list(self.taken)[number % len(self.taken)] if self.taken else NOBODY

    def tick(self):
        """The age of snapshots, and not their random ids, gives them their order: a history can be told again."""
        self.site.clock.advance(timedelta(seconds=1))

    def rows(self):
        with self.site.installation.database.reading() as session:
            return session.scalars(
                select(SnapshotRecord).order_by(SnapshotRecord.created_at, SnapshotRecord.id)
            ).all()

    def is_there(self, disk_id):
        with self.site.installation.database.reading() as session:
            return session.get(DiskRecord, disk_id).state is DiskState.AVAILABLE

    def repository(self):
        return self.site.installation.repositories.find(self.site.account_id, DEFAULT_REGION.id)

    def restore(self, snapshot_id):
        path = self.folder / "restored.raw"
        with RawFileTarget.create(path, GIB, replace=True) as target:
            restore(self.repository(), snapshot_id, target)
        with path.open("rb") as file:

            def read(offset, length):
                file.seek(offset)
                return file.read(length)

            return read_content(read)


# One step costs about 30 ms, so this machine draws fewer examples than cheap properties do.
HistoryMachine.TestCase.settings = hypothesis.settings(
    max_examples=max(5, hypothesis.settings().max_examples // 3), stateful_step_count=40
)
TestHistoryMachine = HistoryMachine.TestCase
