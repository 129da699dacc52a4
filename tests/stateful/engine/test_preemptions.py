"""Each rule of docs/format.md §5 against the one history that needs it: two operations, stopped at every call.

By default some pairs of stops are drawn; `LAMINA_INTERLEAVINGS` set to 1000 or more tries them all.
"""

import os
import random
from functools import partial

import pytest

from lamina.engine.condemned import CondemnedList, put_condemned, put_witnesses
from lamina.engine.maintenance.compaction import compact
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.repository import SnapshotNotFoundError
from lamina.engine.sessions import mint_session_id
from lamina.failures import LaminaError
from tests.factories.disks import make_block_disk
from tests.factories.repositories import make_clock, make_repository, take
from tests.stateful.engine.scenes import END, Scene

_PAIRS = 120
_ALL = int(os.environ.get("LAMINA_INTERLEAVINGS", "0")) >= 1000

_OLD = {0: "kept", 1: "old", 130: "far"}
_NEW = {0: "kept", 1: "new", 130: "far"}


def in_turn(*operations):
    """Several operations as one."""

    def run(repository):
        for operation in operations:
            operation(repository)

    return run


def delete(snapshot_id, repository):
    repository.delete_snapshot(snapshot_id)


def capture_again(blocks, parent, repository):
    """A capture that shares blocks with what is there; it may find its parent gone."""
    try:
        take(repository, make_block_disk(blocks, 200 * 65536), snapshot_id="s-second", parent=parent)
    except SnapshotNotFoundError:
        return


def condemn_everything(repository):
    """As a sweep would that was paused between its look and its list, for so long that captures came to need packs."""
    packs = frozenset(row.key for folder in ("data/", "map/") for row in repository.store.list(folder))
    sweep_id = mint_session_id()
    item = CondemnedList(sweep=sweep_id, pack_keys=packs, manifest_keys=frozenset(), witnesses=None)
    put_condemned(repository.store, repository.cipher, item)
    put_witnesses(repository.store, repository.cipher, sweep_id, [])


def begin(blocks, *, is_condemned=False, is_dropped=False):
    """A repository with one snapshot; its packs may be condemned, or all that is left of it."""
    repository = make_repository(clock=make_clock())
    take(repository, make_block_disk(blocks, 200 * 65536), snapshot_id="s-first")
    if is_condemned:
        condemn_everything(repository)
    if is_dropped:  # as after a capture that was killed: packs without a manifest
        repository.store.delete("snapshots/s-first/00000000")
    return repository


def contents_of(**snapshots):
    return {f"s-{name}": make_block_disk(blocks, 200 * 65536).contents for name, blocks in snapshots.items()}


def garbage_is_found_again():
    """Packs of a dead capture are swept while another capture finds its blocks in them."""
    return Scene(
        begin(_OLD, is_dropped=True).store,
        sweep,
        partial(capture_again, _NEW, None),
        contents_of(first=_OLD, second=_NEW),
    )


def garbage_is_found_again_and_swept_twice():
    """The same, and the capture ends in the middle of the second sweep."""
    return Scene(
        begin(_OLD, is_dropped=True).store,
        partial(capture_again, _NEW, None),
        in_turn(sweep, sweep),
        contents_of(first=_OLD, second=_NEW),
    )


def condemned_garbage_is_found():
    """The list is there before the capture: it must not rely on what is listed."""
    return Scene(
        begin(_OLD, is_condemned=True, is_dropped=True).store,
        partial(capture_again, _NEW, None),
        sweep,
        contents_of(first=_OLD, second=_NEW),
    )


def parent_is_deleted():
    """A capture inherits from a snapshot that is deleted and swept at the same time."""
    return Scene(
        begin(_OLD).store,
        partial(capture_again, _NEW, "s-first"),
        in_turn(partial(delete, "s-first"), sweep),
        contents_of(first=_OLD, second=_NEW),
    )


def parent_with_condemned_packs_is_deleted():
    """The list is older than the capture, so that it waits for nobody: only the parent's manifest keeps the packs."""
    return Scene(
        begin(_OLD, is_condemned=True).store,
        partial(capture_again, _NEW, "s-first"),
        in_turn(partial(delete, "s-first"), sweep),
        contents_of(first=_OLD, second=_NEW),
    )


def parent_with_condemned_packs_is_compacted():
    """The same for a manifest that a compaction supersedes."""
    repository = begin(_OLD)
    take(repository, make_block_disk({0: "kept"}, 200 * 65536), snapshot_id="s-small", parent="s-first")
    delete("s-first", repository)
    sweep(repository)
    condemn_everything(repository)
    return Scene(
        repository.store,
        partial(capture_again, _NEW, "s-small"),
        in_turn(partial(compact, sparse_below=0.99), sweep),
        contents_of(small={0: "kept"}, second=_NEW),
    )


def compaction_of_what_is_deleted():
    """A compaction moves the records of a snapshot that is deleted and swept meanwhile."""
    repository = begin(_OLD)
    take(repository, make_block_disk({0: "kept", 5: "five"}, 200 * 65536), snapshot_id="s-small", parent="s-first")
    delete("s-first", repository)
    sweep(repository)
    return Scene(
        repository.store,
        partial(compact, sparse_below=0.99),
        in_turn(partial(delete, "s-small"), sweep),
        contents_of(small={0: "kept", 5: "five"}),
    )


def compaction_beside_compaction():
    """Two compactions of the same packs, and the sweeps that follow."""
    repository = begin(_OLD)
    take(repository, make_block_disk({0: "kept", 5: "five"}, 200 * 65536), snapshot_id="s-small", parent="s-first")
    delete("s-first", repository)
    sweep(repository)
    squeeze = partial(compact, sparse_below=0.99)
    return Scene(
        repository.store,
        in_turn(squeeze, sweep),
        in_turn(squeeze, sweep),
        contents_of(small={0: "kept", 5: "five"}),
    )


def sweep_beside_sweep():
    """Two sweeps of a deleted snapshot beside one that stays."""
    repository = begin(_OLD)
    take(repository, make_block_disk(_NEW, 200 * 65536), snapshot_id="s-second", parent="s-first")
    delete("s-first", repository)
    return Scene(repository.store, sweep, sweep, contents_of(second=_NEW))


_SCENES = [
    garbage_is_found_again,
    garbage_is_found_again_and_swept_twice,
    condemned_garbage_is_found,
    parent_is_deleted,
    parent_with_condemned_packs_is_deleted,
    parent_with_condemned_packs_is_compacted,
    compaction_of_what_is_deleted,
    compaction_beside_compaction,
    sweep_beside_sweep,
]


@pytest.mark.parametrize("make_scene", _SCENES, ids=lambda make: make.__name__)
def test_two_operations_may_interrupt_each_other_anywhere(make_scene):
    scene = make_scene()
    (first, second), _ = scene.play(END)
    pairs = [(one, other) for one in range(first + 1) for other in range(1, second + 1)]
    stops = [(one, END) for one in range(first + 1)]
    stops += pairs if _ALL else random.Random(first * second).sample(pairs, min(_PAIRS, len(pairs)))
    for one, other in stops:
        try:
            _, outcomes = scene.play(one, other)
        except BaseException as error:
            error.add_note(f"the first was stopped after {one} calls, the second after {other}")
            raise
        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert not [failure for failure in failures if not isinstance(failure, LaminaError)], failures
        assert not failures, (failures, one, other)
