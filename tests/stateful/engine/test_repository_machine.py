"""A repository against a dictionary: any sequence of operations, one after the other."""

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from lamina.blockio.extents import Extent
from lamina.engine.maintenance.compaction import compact
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.maintenance.verify import verify
from lamina.engine.manifest import CaptureMode
from lamina.transfer.capture import ChangeHint
from lamina.transfer.restore import RestoreRequest, restore
from tests.factories.disks import SparseDisk, SparseTarget, fill
from tests.factories.repositories import make_clock, make_repository, read_map, reopen, sweep_clean, take

_SIZES = [0, 1, 65535, 65536, 65537, 127 * 65536, 128 * 65536, 128 * 65536 + 1, 300 * 65536 - 7]
_FAR = 33 * 2**30 + 12345  # the second branch
_EDGES = [0, 1, 511, 65535, 65536, 127 * 65536, 128 * 65536 - 1, 128 * 65536, 299 * 65536, 2**35 - 1, 2**35]
_LENGTHS = [1, 512, 4096, 65535, 65536, 65537, 200_000]


class RepositoryMachine(RuleBasedStateMachine):
    """One disk, one repository; the model is a copy of the disk for every snapshot."""

    snapshots = Bundle("snapshots")

    @initialize(size=st.sampled_from([*_SIZES, _FAR]))
    def make(self, size):
        self.repository = make_repository(clock=make_clock())
        self.disk = SparseDisk(size)
        self.model = {}
        self.changed_since = {}
        self.numbers = iter(range(10**6))

    @rule(where=st.sampled_from(_EDGES), length=st.sampled_from(_LENGTHS), what=st.integers(-3, 6))
    def write(self, where, length, what):
        if where >= self.disk.size_bytes:
            return
        length = min(length, self.disk.size_bytes - where)
        match what:
            case -3:
                self.disk.punch(where, length)
            case -2:
                self.disk.zero(where, length)
            case -1:
                self.disk.write(where, bytes(length))
            case _:
                self.disk.write(where, fill(what, length))
        for extents in self.changed_since.values():
            extents.append(Extent(where, length))

    @rule(size=st.sampled_from([*_SIZES, _FAR]))
    def resize(self, size):
        if size < self.disk.size_bytes:
            self.changed_since = {}  # a hint cannot say what was cut off and came back
        self.disk.resize(size)

    @rule(target=snapshots, workers=st.sampled_from([1, 2]))
    def capture(self, workers):
        return self._take(workers=workers).snapshot_id

    @rule(target=snapshots, parent=snapshots, is_hinted=st.booleans(), level=st.sampled_from([1, 3]))
    def capture_again(self, parent, is_hinted, level):
        if parent not in self.model:
            return parent
        hint = None
        if is_hinted and parent in self.changed_since:
            hint = ChangeHint(relative_to=parent, extents=tuple(self.changed_since[parent]))
        result = self._take(parent=parent, hint=hint, zstd_level=level, sample_blocks=128)
        assert not result.hint_lied
        assert hint is None or result.mode is CaptureMode.HINT
        before = self.model[parent]
        is_same = before.describe() == self.disk.describe() and before.size_bytes == self.disk.size_bytes
        ids = {self.repository.read_manifest(item).content_id for item in (parent, result.snapshot_id)}
        assert (len(ids) == 1) == is_same
        assert not is_same or result.stored_bytes == 0
        return result.snapshot_id

    @rule(snapshot_id=snapshots)
    def delete(self, snapshot_id):
        if self.model.pop(snapshot_id, None) is not None:
            self.repository.delete_snapshot(snapshot_id)
            self.changed_since.pop(snapshot_id, None)

    @rule()
    def sweep(self):
        assert not sweep(self.repository).damage

    @rule(share=st.sampled_from([0.3, 0.99]))
    def compact(self, share):
        assert compact(self.repository, sparse_below=share).skipped is None

    @rule()
    def reopen(self):
        self.repository = reopen(self.repository)

    @rule(
        snapshot_id=snapshots,
        extra=st.sampled_from([0, 1, 70_000]),
        options=st.tuples(st.booleans(), st.booleans()),
    )
    def restore_over_something_else(self, snapshot_id, extra, options):
        if snapshot_id not in self.model:
            return
        is_blank, keep_zeros = options
        wanted = self.model[snapshot_id]
        is_blank |= wanted.size_bytes == _FAR  # comparing 33 GiB takes its time
        target = SparseTarget(wanted.size_bytes + extra, is_blank=is_blank)
        if not is_blank:
            target.disk = self.disk.copy()
            target.disk.resize(wanted.size_bytes)
            target.disk.resize(wanted.size_bytes + extra)
            target.disk.write(wanted.size_bytes, b"x" * extra)
        behind = target.disk.read(wanted.size_bytes, extra)
        restore(self.repository, snapshot_id, target, RestoreRequest(keep_zeros=keep_zeros))
        assert target.disk.read(wanted.size_bytes, extra) == behind
        target.disk.resize(wanted.size_bytes)
        assert target.disk.contents == wanted.contents

    @precondition(lambda self: self.model)
    @rule()
    def verify(self):
        report = verify(self.repository, percent=100)
        assert report.is_sound, report
        assert report.snapshots == len(self.model)

    @invariant()
    def lists_what_is_there(self):
        if hasattr(self, "model"):
            assert set(self.repository.list_snapshots()) == set(self.model)

    def teardown(self):
        if not hasattr(self, "model"):
            return
        fresh = reopen(self.repository)
        sweep_clean(fresh)
        for snapshot_id, disk in self.model.items():
            assert read_map(fresh, snapshot_id) == disk.describe()

    def _take(self, **request):
        snapshot_id = f"s-{next(self.numbers)}"
        result = take(self.repository, self.disk, snapshot_id=snapshot_id, tracking=snapshot_id, **request)
        self.model[snapshot_id] = self.disk.copy()
        self.changed_since[snapshot_id] = []
        return result


TestRepositoryMachine = RepositoryMachine.TestCase
TestRepositoryMachine.settings = settings(
    max_examples=settings().max_examples, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)
