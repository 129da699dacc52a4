"""Two operations at once, stopped at every pair of store calls: each rule of docs/format.md §5 is needed by some pair.

By default some pairs of stops are drawn; `LAMINA_INTERLEAVINGS` set to 1000 or more tries them all.
"""

import os
import random
from functools import partial

import pytest

from lamina.engine.maintenance.sweep import sweep
from tests.stateful.engine.operations import (
    NEW,
    OLD,
    SMALL,
    begin,
    begin_sparse,
    capture_again,
    condemn_everything,
    contents_of,
    delete,
    in_turn,
    restore_exactly,
    squeeze,
)
from tests.stateful.engine.scenes import END, Scene

_PAIRS = 100
_ALL = int(os.environ.get("LAMINA_INTERLEAVINGS", "0")) >= 1000


def garbage_is_found_again():
    """Packs of a dead capture are swept while another capture finds its blocks in them."""
    store = begin(OLD, is_dropped=True).store
    return Scene(store, sweep, partial(capture_again, NEW, None), contents_of(second=NEW))


def garbage_is_found_again_and_swept_twice():
    """The same, and the capture ends in the middle of the second sweep."""
    store = begin(OLD, is_dropped=True).store
    return Scene(store, partial(capture_again, NEW, None), in_turn(sweep, sweep), contents_of(second=NEW))


def condemned_garbage_is_found():
    """The list is there before the capture: it must not rely on what is listed."""
    store = begin(OLD, is_condemned=True, is_dropped=True).store
    return Scene(store, partial(capture_again, NEW, None), sweep, contents_of(second=NEW))


def parent_is_deleted():
    """A capture inherits from a snapshot that is deleted and swept at the same time."""
    store = begin(OLD).store
    remove = in_turn(partial(delete, "s-first"), sweep, sweep)
    return Scene(store, partial(capture_again, NEW, "s-first"), remove, contents_of(first=OLD, second=NEW))


def parent_with_condemned_packs_is_deleted():
    """The list is older than the capture, so that it waits for nobody: only the parent's manifest keeps the packs."""
    store = begin(OLD, is_condemned=True).store
    remove = in_turn(partial(delete, "s-first"), sweep, sweep)
    return Scene(store, partial(capture_again, NEW, "s-first"), remove, contents_of(first=OLD, second=NEW))


def parent_with_condemned_packs_is_compacted():
    """The same for a manifest that a compaction supersedes."""
    repository = begin_sparse()
    condemn_everything(repository)
    remove = in_turn(squeeze, sweep, sweep)
    inherit = partial(capture_again, NEW, "s-small")
    return Scene(repository.store, inherit, remove, contents_of(small=SMALL, second=NEW))


def compacted_snapshot_is_deleted():
    """A compaction moves the records of a snapshot that is deleted and swept meanwhile."""
    remove = in_turn(partial(delete, "s-small"), sweep, sweep)
    return Scene(begin_sparse().store, squeeze, remove, contents_of(small=SMALL))


def compaction_beside_compaction():
    """Two compactions of the same packs, and the sweeps that follow."""
    both = in_turn(squeeze, sweep)
    return Scene(begin_sparse().store, both, both, contents_of(small=SMALL))


def sweep_beside_sweep():
    """Two sweeps of a deleted snapshot beside one that stays."""
    repository = begin(OLD)
    capture_again(NEW, "s-first", repository)
    delete("s-first", repository)
    return Scene(repository.store, sweep, sweep, contents_of(second=NEW))


def restored_snapshot_is_deleted():
    """A restore reads to its end what is deleted and swept meanwhile."""
    remove = in_turn(partial(delete, "s-first"), sweep, sweep)
    store = begin(OLD, is_condemned=True).store
    return Scene(store, partial(restore_exactly, OLD, "s-first"), remove, contents_of(first=OLD))


def restored_snapshot_is_compacted():
    """A restore reads to its end what is moved elsewhere and swept meanwhile."""
    read = partial(restore_exactly, SMALL, "s-small")
    return Scene(begin_sparse().store, read, in_turn(squeeze, sweep, sweep), contents_of(small=SMALL))


def restored_snapshot_was_compacted():
    """The manifest that the snapshot began with is about to go, with its packs."""
    repository = begin_sparse()
    squeeze(repository)
    read = partial(restore_exactly, SMALL, "s-small")
    return Scene(repository.store, read, in_turn(sweep, sweep), contents_of(small=SMALL))


_SCENES = [
    garbage_is_found_again,
    garbage_is_found_again_and_swept_twice,
    condemned_garbage_is_found,
    parent_is_deleted,
    parent_with_condemned_packs_is_deleted,
    parent_with_condemned_packs_is_compacted,
    compacted_snapshot_is_deleted,
    compaction_beside_compaction,
    sweep_beside_sweep,
    restored_snapshot_is_deleted,
    restored_snapshot_is_compacted,
    restored_snapshot_was_compacted,
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
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], (one, other, outcomes)
