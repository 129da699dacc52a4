"""A world of captures, restores, deletes, sweeps and so on that run at once, and what must never happen in it.

Checked at every call (`GuardedStore`): nothing goes that a snapshot needs, nothing comes that is not all there.
Checked when an operation ends: it did what it said, or had an excuse. Checked at the end of all: every snapshot
restores to its exact bytes, nothing half-made is visible, and a quiet sweep leaves nothing but what snapshots need.
"""

from lamina.blockio.extents import Extent
from lamina.engine.condemned import list_condemned
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.maintenance.compaction import compact
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.maintenance.verify import verify
from lamina.engine.repository import Repository, SnapshotExistsError, SnapshotNotFoundError
from lamina.engine.sessions import SESSIONS, list_sessions
from lamina.failures import Corruption, Fault
from lamina.transfer.capture import CaptureRequest, ChangeHint, capture
from lamina.transfer.duplicate import DuplicateRequest, duplicate
from lamina.transfer.progress import Progress
from lamina.transfer.restore import restore
from tests.factories.disks import SparseDisk, SparseTarget, fill
from tests.factories.repositories import (
    SECRET,
    STALE,
    bring_back,
    bury,
    find_dead_pid,
    make_clock,
    sweep_clean,
)
from tests.stateful.engine.guarded import GuardedStore, LostDataError
from tests.stateful.engine.stepping import Actor, SteppedStore

_DISK_BLOCKS = 260  # three leaves
_PLACES = (0, 1, 2, 127, 128, 129, 259)
_TEXTS = 5  # few, so that blocks come back and deduplication has something to find
_ACTORS_MAX = 6
_LOOKING_AROUND = ("list ", "get snapshots/", "put sessions/", "put condemned/")


class World:
    """One repository and whoever works on it.

    Attributes:
        store: the real store; reading it directly is not a step.
        trace: every call that happened, for whoever reads a failure.
    """

    def __init__(self, chance, cache_dir=None):
        self._chance = chance
        self._cache_dir = cache_dir
        self._clock = make_clock()
        self.store = GuardedStore()
        Repository.create(self.store, SECRET, clock=self._clock)
        self.store.watch()
        self.trace = []
        self._actors = []
        self._slept = set()
        self._disk = SparseDisk(_DISK_BLOCKS * BLOCK_BYTES - 5)
        self._expected = {}
        self._changed_since = {}
        self._deleted = set()
        self._numbers = iter(range(10**9))
        self._steps = 0
        self._favourite = None

    # Who may act

    def capture(self):
        """Change the disk and capture it, with or without a parent, with or without a hint."""
        changed = self._change_disk()
        for extents in self._changed_since.values():
            extents.extend(changed)
        parent = self._pick_snapshot()
        snapshot_id = f"s-{next(self._numbers)}"
        hint = None
        if parent is not None and self._chance.random() < 0.5:
            hint = ChangeHint(relative_to=parent, extents=tuple(self._changed_since[parent]))
        frozen = self._disk.copy()
        self._expected[snapshot_id] = frozen
        self._changed_since[snapshot_id] = []
        request = CaptureRequest(
            snapshot_id=snapshot_id,
            parent=parent,
            hint=hint,
            tracking=snapshot_id,
            workers=1,
            sample_blocks=1,
        )

        def judge(actor):
            if isinstance(actor.outcome, Exception):
                gone = isinstance(actor.outcome, SnapshotNotFoundError) and (
                    parent in self._deleted or not self._was_committed(parent)
                )
                revoked = (
                    isinstance(actor.outcome, SnapshotExistsError | Corruption | Fault)
                    and actor in self._slept
                )
                assert gone or revoked, repr(actor.outcome)
            else:
                assert snapshot_id in self.store.observer.list_snapshots() or snapshot_id in self._deleted
                assert not actor.outcome.hint_lied

        self._start(f"capture {snapshot_id}", lambda repo: capture(repo, frozen, request, Progress()), judge)

    def duplicate(self):
        """Make a second snapshot of the content of one that is there now."""
        original = self._pick_snapshot()
        if original is None:
            return
        snapshot_id = f"s-{next(self._numbers)}"
        self._expected[snapshot_id] = self._expected[original]
        self._changed_since[snapshot_id] = list(self._changed_since[original])
        request = DuplicateRequest(original=original, snapshot_id=snapshot_id, tracking=snapshot_id)

        def judge(actor):
            if isinstance(actor.outcome, SnapshotNotFoundError):
                assert original in self._deleted or not self._was_committed(original)
            elif isinstance(actor.outcome, Exception):
                assert isinstance(actor.outcome, SnapshotExistsError | Corruption | Fault), repr(
                    actor.outcome
                )
                assert actor in self._slept, repr(actor.outcome)
            else:
                assert snapshot_id in self.store.observer.list_snapshots() or snapshot_id in self._deleted

        self._start(f"duplicate {snapshot_id}", lambda repo: duplicate(repo, request), judge)

    def restore(self):
        """Restore a snapshot that is there now."""
        snapshot_id = self._pick_snapshot()
        if snapshot_id is None:
            return
        target = SparseTarget(self._disk.size_bytes)

        def judge(actor):
            if isinstance(actor.outcome, SnapshotNotFoundError):
                assert snapshot_id in self._deleted or not self._was_committed(snapshot_id)
            elif isinstance(actor.outcome, Exception):
                # A reader without a heartbeat for a day was taken out, and what it reads may go away.
                assert isinstance(actor.outcome, Corruption), repr(actor.outcome)
                assert actor in self._slept, repr(actor.outcome)
            elif target.disk.contents != self._expected[snapshot_id].contents:
                raise LostDataError(f"restoring {snapshot_id} brought wrong bytes")

        self._start(f"restore {snapshot_id}", lambda repo: restore(repo, snapshot_id, target), judge)

    def delete(self):
        """Delete a snapshot that is there now."""
        snapshot_id = self._pick_snapshot()
        if snapshot_id is None:
            return
        self._deleted.add(snapshot_id)

        def judge(actor):
            if isinstance(actor.outcome, SnapshotNotFoundError):
                assert not self._was_committed(snapshot_id), repr(actor.outcome)
            else:
                assert actor.outcome is None, repr(actor.outcome)
            assert snapshot_id not in self.store.observer.list_snapshots()

        self._start(f"delete {snapshot_id}", lambda repo: repo.delete_snapshot(snapshot_id), judge)

    def sweep(self):
        """Sweep beside everything else."""

        def judge(actor):
            busy = isinstance(actor.outcome, Fault) and actor.outcome.retryable
            assert busy or not actor.outcome.damage, repr(actor.outcome)

        self._start("sweep", sweep, judge)

    def compact(self):
        """Compact everything that is not completely alive."""

        def judge(actor):
            assert not isinstance(actor.outcome, Exception), repr(actor.outcome)

        self._start("compact", lambda repo: compact(repo, sparse_below=0.99), judge)

    def verify(self):
        """Verify every byte."""

        def judge(actor):
            assert not isinstance(actor.outcome, Exception), repr(actor.outcome)
            assert actor.outcome.is_sound or actor in self._slept, repr(actor.outcome)

        self._start("verify", lambda repo: verify(repo, percent=100, workers=1), judge)

    # What the scheduler does

    def step(self):
        """Let one of the actors make one call; False when nobody is left."""
        running = [actor for actor in self._actors if actor.is_running]
        if not running:
            return False
        self._steps += 1
        awake = [actor for actor in running if actor.sleeps_until <= self._steps] or running
        if self._favourite not in awake or self._chance.random() < 0.15:
            self._favourite = self._chance.choice(awake)
        call = self._advance(self._favourite)
        # Knowledge grows old while its owner sleeps: that is where the rules of §5 are needed.
        if self._chance.random() < (0.2 if call.startswith(_LOOKING_AROUND) else 0.02):
            self._favourite.sleeps_until = self._steps + self._chance.randrange(10, 300)
        return True

    def kill(self):
        """Kill an actor, some after one more call whose answer it never gets."""
        running = [actor for actor in self._actors if actor.is_running]
        if not running:
            return
        actor = self._chance.choice(running)
        if self._chance.random() < 0.5:
            self._advance(actor)
            if not actor.is_running:
                return
        self.trace.append(f"{actor.name}: killed")
        actor.kill()
        # Of a compaction the sweep waits for proof that it is dead; of the others a day without heartbeat will do.
        if "compact" in actor.name or self._chance.random() < 0.5:
            self._bury()

    def pass_a_day(self):
        """A day without heartbeats: whoever runs now looks dead and is not."""
        self.trace.append("a day passes")
        self._clock.advance(STALE)
        self._slept.update(actor for actor in self._actors if actor.is_running)

    def finish(self):
        """Let everybody come to an end, then look at what is left."""
        while self.step():
            pass
        self._bury()
        fresh = Repository.open(self.store, SECRET, clock=self._clock)
        sweep_clean(fresh)
        for snapshot_id in fresh.list_snapshots():
            if bring_back(fresh, snapshot_id).contents != self._expected[snapshot_id].contents:
                raise LostDataError(f"{snapshot_id} has other bytes")
        bodies = [folder.bodies[-1] for folder in fresh.list_folders() if folder.is_visible]
        needed = set().union(*(self.store.needs[key] for key in bodies))
        left = {row.key for folder in ("data/", "map/") for row in self.store.list(folder)}
        assert left == needed, f"left over or lost: {sorted(left ^ needed)}"
        # A pack that was condemned too late, when a capture had come to need it, stays on its list.
        lists = list_condemned(self.store, fresh.cipher).lists
        assert all(item.pack_keys and item.pack_keys <= needed for item in lists), lists
        assert not any(item.manifest_keys for item in lists), lists
        known = {f"condemned/{item.sweep}{end}" for item in lists for end in ("", ".sessions")}
        litter = {row.key for folder in ("condemned/", SESSIONS) for row in self.store.list(folder)} - known
        assert not litter, f"left over: {litter}"
        report = verify(fresh, percent=100)
        assert report.is_sound, report

    # How it is done

    def _start(self, name, operation, judge):
        if sum(actor.is_running for actor in self._actors) >= _ACTORS_MAX:
            return
        actor = Actor(f"{name} #{next(self._numbers)}")
        actor.judge = judge
        if self._chance.random() < 0.2:
            actor.sleeps_until = self._steps + self._chance.randrange(10, 300)
        store = SteppedStore(self.store, actor)
        cache_dir = self._cache_dir
        self._actors.append(actor)
        actor.start(lambda: operation(Repository.open(store, SECRET, clock=self._clock, cache_dir=cache_dir)))

    def _advance(self, actor):
        call = actor.step(self._chance.choice)
        self.trace.append(f"{actor.name}: {call}")
        for alarm in self.store.alarms:
            raise alarm
        if not actor.is_running:
            self.trace.append(f"{actor.name}: ended with {actor.outcome!r:.300}")
            actor.judge(actor)
        return call

    def _bury(self):
        """Sessions of actors that are gone look like those of a process that is gone."""
        alive = set().union(*(actor.session_keys for actor in self._actors if actor.is_running))
        sessions = {item.session_id for item in list_sessions(self.store, self.store.observer.cipher)}
        bury(
            self.store,
            self.store.observer,
            find_dead_pid(),
            {item for item in sessions if SESSIONS + item not in alive},
        )

    def _was_committed(self, snapshot_id):
        """Whether a manifest was ever written; a revocation is none, though a listing cannot tell at once."""
        return any(key.startswith(f"snapshots/{snapshot_id}/") for key in self.store.needs)

    def _pick_snapshot(self):
        found = [item for item in self.store.observer.list_snapshots() if item not in self._deleted]
        return self._chance.choice([*found, *found, None]) if found else None

    def _change_disk(self):
        """Change some blocks; what was changed."""
        changed = []
        for _ in range(self._chance.randrange(1, 4)):
            offset = self._chance.choice(_PLACES) * BLOCK_BYTES
            length = min(BLOCK_BYTES, self._disk.size_bytes - offset)
            match self._chance.randrange(8):
                case 0:
                    self._disk.punch(offset, length)
                case 1:
                    self._disk.zero(offset, length)
                case _:
                    self._disk.write(offset, fill(self._chance.randrange(_TEXTS), length))
            changed.append(Extent(offset, length))
        return changed
