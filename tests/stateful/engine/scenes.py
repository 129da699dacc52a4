"""Operations that interrupt each other at chosen store calls."""

from dataclasses import dataclass

from lamina.engine.repository import Repository
from tests.factories.repositories import (
    SECRET,
    STALE,
    bring_back,
    bury,
    find_dead_pid,
    make_clock,
    objects_of,
    sweep_clean,
)
from tests.stateful.engine.guarded import GuardedStore, LostDataError
from tests.stateful.engine.stepping import Actor, SteppedStore

END = 10**6


class Stage:
    """A copy of a repository, on which operations run when they are told to.

    Attributes:
        clock: everybody's clock.
    """

    def __init__(self, store):
        self.clock = make_clock()
        self._store = GuardedStore()
        for key, data in objects_of(store).items():
            self._store.put(key, data)
        self._store.watch()
        self._actors = {}

    def enter(self, **operations):
        """Start operations; each stops at its first store call."""
        for name, operation in operations.items():
            actor = self._actors[name] = Actor(name)
            stepped = SteppedStore(self._store, actor)
            actor.start(lambda operation=operation, stepped=stepped: operation(self._open(stepped)))

    def run(self, name, *, calls=END, until=None):
        """Let one go on for some calls, or until a call that begins with `until` is next; how many it made."""
        actor = self._actors[name]
        done = 0
        while actor.is_running and done < calls:
            if until is not None and actor.next_call.startswith(until):
                break
            actor.step(lambda tickets: tickets[0])
            done += 1
            if self._store.alarms:
                raise self._store.alarms[0]
        return done

    def outcome(self, name):
        """What an operation returned or raised; it must have ended."""
        assert not self._actors[name].is_running, f"{name} has not ended"
        return self._actors[name].outcome

    def kill(self, name):
        """Kill an operation."""
        self._actors[name].kill()

    def pass_a_day(self):
        """Every session that is there now looks stale."""
        self.clock.advance(STALE)

    def check(self, contents):
        """When all have ended: every snapshot that is there is right, and nothing is left over."""
        assert not any(actor.is_running for actor in self._actors.values())
        fresh = self._open(self._store)
        bury(self._store, fresh, find_dead_pid())
        sweep_clean(fresh)
        if self._store.alarms:
            raise self._store.alarms[0]
        visible = fresh.list_snapshots()
        for snapshot_id in visible:
            if bring_back(fresh, snapshot_id).contents != contents[snapshot_id]:
                raise LostDataError(f"{snapshot_id} has other bytes")
        bodies = [folder.bodies[-1] for folder in fresh.list_folders() if folder.is_visible]
        needed = set().union(*(self._store.needs[key] for key in bodies))
        left = {row.key for folder in ("data/", "map/") for row in self._store.list(folder)}
        assert left == needed
        return set(visible)

    def _open(self, store):
        return Repository.open(store, SECRET, clock=self.clock)


@dataclass(frozen=True)
class Scene:
    """A repository in some state, and two operations on it.

    Attributes:
        store: the objects of the repository; it is copied for every run.
        first: an operation on a repository.
        second: the other one.
        contents: for every snapshot that may exist in the end, the contents of its disk.
    """

    store: object
    first: object
    second: object
    contents: dict

    def play(self, first_calls, second_calls=END):
        """Run `first` for some calls, `second` for some, then the first and the second to their ends."""
        stage = Stage(self.store)
        stage.enter(first=self.first, second=self.second)
        counts = [stage.run("first", calls=first_calls), stage.run("second", calls=second_calls)]
        counts = [counts[0] + stage.run("first"), counts[1] + stage.run("second")]
        stage.check(self.contents)
        return counts, [stage.outcome("first"), stage.outcome("second")]
