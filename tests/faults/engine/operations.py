"""Every operation that changes a repository, and what must hold after it was broken off at any moment."""

from dataclasses import dataclass

from lamina.engine.maintenance.compaction import compact
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.maintenance.verify import verify
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.repository import (
    NoRepositoryError,
    Repository,
    RepositoryExistsError,
    SnapshotExistsError,
    SnapshotNotFoundError,
)
from lamina.engine.seal.keys import KeyFile, WrongSecretError
from tests.factories.disks import make_block_disk
from tests.factories.repositories import (
    SECRET,
    STALE,
    bring_back,
    bury,
    find_dead_pid,
    make_clock,
    make_repository,
    objects_of,
    sweep_clean,
    take,
)

NEW_SECRET = KeyFile(b"another key file of thirty-two b")
_DISK_BYTES = 300 * 65536 + 5
_DISKS = {
    "s-old": make_block_disk({0: "a", 1: "b", 2: "c", 3: "d", 140: "e"}, _DISK_BYTES),
    "s-mid": make_block_disk({0: "a", 1: "B", 140: "e", 299: "f"}, _DISK_BYTES),
    "s-new": make_block_disk({0: "A", 1: "b", 140: "e", 260: "g"}, _DISK_BYTES),
}
_LAST = make_block_disk({0: "A", 5: "last", 140: "e"}, _DISK_BYTES)


def open_any(store, clock=None):
    """Open with whichever of the two secrets fits."""
    try:
        return Repository.open(store, SECRET, clock=clock or make_clock())
    except WrongSecretError:
        return Repository.open(store, NEW_SECRET, clock=clock or make_clock())


def prepare():
    """Objects of a repository with two snapshots, a deleted one, and garbage."""
    repository = make_repository(clock=make_clock())
    take(repository, _DISKS["s-old"], snapshot_id="s-old", tracking="old")
    take(repository, _DISKS["s-mid"], snapshot_id="s-mid", parent="s-old", tracking="mid")
    take(repository, _DISKS["s-new"], snapshot_id="s-new", parent="s-mid")
    take(repository, make_block_disk({7: "garbage"}, _DISK_BYTES), snapshot_id="s-lost")
    repository.store.delete("snapshots/s-lost/00000000")
    repository.delete_snapshot("s-old")
    return objects_of(repository.store)


@dataclass(frozen=True)
class Operation:
    """Something that changes a repository.

    Attributes:
        run: does it, to a repository on the given store.
        done: what it raises when it is done again after it took effect; None when it may be done again.
        gone: a snapshot that it removes.
    """

    run: object
    done: type | None = None
    gone: str | None = None


def _init(store):
    Repository.create(store, SECRET, clock=make_clock())


def _capture(store, **request):
    take(open_any(store), _LAST, snapshot_id="s-last", **request)


OPERATIONS = {
    "init": Operation(run=_init, done=RepositoryExistsError),
    "full capture": Operation(run=_capture, done=SnapshotExistsError),
    "capture": Operation(run=lambda store: _capture(store, parent="s-new"), done=SnapshotExistsError),
    "delete": Operation(
        run=lambda store: open_any(store).delete_snapshot("s-mid"), done=SnapshotNotFoundError, gone="s-mid"
    ),
    "sweep": Operation(run=lambda store: sweep(open_any(store))),
    "compact": Operation(run=lambda store: compact(open_any(store), sparse_below=0.99)),
    "change secret": Operation(run=lambda store: open_any(store).change_secret(NEW_SECRET)),
}


class Trial:
    """One operation on a fresh copy of the repository."""

    _prepared = None

    def __init__(self, name, store=None):
        if Trial._prepared is None:
            Trial._prepared = prepare()
        self.operation = OPERATIONS[name]
        self.store = MemoryStore() if store is None else store
        if name != "init":
            for key, data in Trial._prepared.items():
                self.store.put(key, data)

    def check(self, *, was_really_killed=False):
        """The machine starts again: everything is right, the operation can be done, and nothing is left over."""
        clock = make_clock()
        if not was_really_killed:  # then sweeps must find out by themselves that the process is gone
            clock.advance(STALE)
        try:
            repository = open_any(self.store, clock)
        except NoRepositoryError:
            assert not objects_of(self.store)
        else:
            if not was_really_killed:
                bury(self.store, repository, find_dead_pid())
            self._check_snapshots(repository)
        self._do_again()
        repository = open_any(self.store, clock)
        self._check_snapshots(repository)
        report = sweep_clean(repository)
        assert not report.damage
        assert not report.waiting_packs
        report = verify(repository, percent=100)
        assert report.is_sound, report
        self._check_snapshots(repository)
        litter = [key for key in objects_of(self.store) if key.startswith(("sessions/", "condemned/"))]
        assert not litter

    def _do_again(self):
        try:
            self.operation.run(self.store)
        except Exception as error:
            if self.operation.done is None or not isinstance(error, self.operation.done):
                raise

    def _check_snapshots(self, repository):
        visible = set(repository.list_snapshots())
        if self.operation.run is not _init:
            assert visible >= {"s-mid", "s-new"} - {self.operation.gone}
        assert "s-old" not in visible
        for snapshot_id in visible:
            expected = _DISKS.get(snapshot_id, _LAST)
            assert bring_back(repository, snapshot_id).contents == expected.contents, snapshot_id
