"""Two operations that interrupt each other once each, at every pair of store calls."""

from dataclasses import dataclass

from lamina.engine.repository import Repository
from tests.factories.repositories import SECRET, bring_back, make_clock, objects_of, sweep_clean
from tests.stateful.engine.guarded import GuardedStore, LostDataError
from tests.stateful.engine.stepping import Actor, SteppedStore

END = 10**6


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
        store = GuardedStore()
        for key, data in objects_of(self.store).items():
            store.put(key, data)
        store.watch()
        actors = [_start(store, "first", self.first), _start(store, "second", self.second)]
        counts = [_run(store, actors[0], first_calls), _run(store, actors[1], second_calls)]
        counts = [count + _run(store, actor, END) for count, actor in zip(counts, actors, strict=True)]
        self._check(store)
        return counts, [actor.outcome for actor in actors]

    def _check(self, store):
        fresh = Repository.open(store, SECRET, clock=make_clock())
        sweep_clean(fresh)
        if store.alarms:
            raise store.alarms[0]
        for snapshot_id in fresh.list_snapshots():
            if bring_back(fresh, snapshot_id).contents != self.contents[snapshot_id]:
                raise LostDataError(f"{snapshot_id} has other bytes")


def _start(store, name, operation):
    actor = Actor(name)
    stepped = SteppedStore(store, actor)
    actor.start(lambda: operation(Repository.open(stepped, SECRET, clock=make_clock())))
    return actor


def _run(store, actor, calls):
    done = 0
    while actor.is_running and done < calls:
        actor.step(lambda tickets: tickets[0])
        done += 1
        if store.alarms:
            raise store.alarms[0]
    return done
