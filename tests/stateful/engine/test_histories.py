"""Histories of three and more operations, call by call, each with the rule of docs/format.md §5 that it needs."""

from functools import partial

import pytest

from lamina.engine.maintenance.sweep import sweep
from lamina.engine.repository import SnapshotExistsError, SnapshotNotFoundError
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
    restore_exactly,
    squeeze,
)
from tests.stateful.engine.scenes import Stage

_COMMIT = "put_new snapshots/"
_CONTENTS = contents_of(first=OLD, second=NEW, small=SMALL)
_capture = partial(capture_again, NEW, None)
_inherit = partial(capture_again, NEW, "s-first")


def test_a_capture_published_after_a_list_reads_that_list():
    stage = Stage(begin(OLD, is_dropped=True).store)
    stage.enter(capture=_capture, sweep=sweep)
    stage.run("capture", until="put sessions/")
    stage.run("sweep", until="delete data/")
    stage.run("capture", until=_COMMIT)
    stage.run("sweep")
    stage.run("capture")
    assert stage.outcome("capture") is None
    assert stage.check(_CONTENTS) == {"s-second"}


def test_a_condemned_pack_that_is_reached_stays_condemned():
    stage = Stage(begin(OLD, is_condemned=True).store)
    stage.enter(early_sweep=sweep, late_sweep=sweep)
    # Its mark reaches the packs. A sweep that took them off its list would do so at this point, or much later.
    stage.run("early_sweep", until="delete condemned/")
    # A third one removed the manifest and was killed before it came to the list of the packs.
    stage.enter(
        delete=partial(delete, "s-first"),
        third_sweep=lambda repo: repo.store.delete("snapshots/s-first/00000000"),
    )
    stage.run("delete")
    stage.run("third_sweep")
    stage.run("late_sweep", until="delete data/")
    stage.run("early_sweep")
    stage.enter(capture=_capture)
    stage.run("capture", until=_COMMIT)
    stage.run("late_sweep")
    stage.run("capture")
    assert stage.outcome("capture") is None
    assert stage.check(_CONTENTS) == {"s-second"}


def test_a_restore_does_not_begin_with_a_manifest_that_is_about_to_go():
    repository = begin_sparse()
    condemn_everything(repository)
    squeeze(repository)
    stage = Stage(repository.store)
    stage.enter(sweep=sweep, restore=partial(restore_exactly, SMALL, "s-small"))
    stage.run("sweep", until="delete snapshots/s-small/00000000")
    stage.run("restore", until="get_range")
    stage.run("sweep")
    stage.enter(next_sweep=sweep)
    stage.run("next_sweep")
    stage.run("restore")
    assert stage.outcome("restore") is None
    assert stage.check(_CONTENTS) == {"s-small"}


@pytest.mark.parametrize("operation", [_capture, _inherit])
def test_a_capture_that_slept_for_a_day_is_revoked_and_cannot_commit(operation):
    stage = Stage(begin(OLD, is_dropped=operation is _capture).store)
    stage.enter(capture=operation)
    stage.run("capture", until=_COMMIT)
    stage.pass_a_day()
    stage.enter(sweep=sweep, next_sweep=sweep)
    stage.run("sweep")
    stage.run("next_sweep")
    stage.run("capture")
    assert isinstance(stage.outcome("capture"), SnapshotExistsError)
    assert "s-second" not in stage.check(_CONTENTS)


def test_a_capture_that_commits_before_it_can_be_revoked_exists():
    stage = Stage(begin(OLD).store)
    stage.enter(capture=_inherit, sweep=sweep)
    stage.run("capture", until=_COMMIT)
    stage.pass_a_day()
    stage.run("sweep", until=_COMMIT)  # the sweep's own try at the same key
    stage.run("capture", calls=1)
    stage.run("sweep")
    stage.run("capture")
    assert stage.outcome("capture") is None
    assert stage.check(_CONTENTS) == {"s-first", "s-second"}


def test_a_revocation_outlives_the_deletion_of_what_looked_like_a_snapshot():
    stage = Stage(begin(OLD).store)
    stage.enter(capture=_inherit, sweep=sweep, delete=partial(delete, "s-second"))
    stage.run("capture", until=_COMMIT)
    stage.pass_a_day()
    stage.run("sweep", until="put snapshots/s-second/revoked")
    stage.kill("sweep")  # for now, names say that there is a snapshot
    stage.run("delete")
    for name in ("second_sweep", "third_sweep"):
        stage.enter(**{name: sweep})
        stage.run(name)
    stage.run("capture")
    assert isinstance(stage.outcome("capture"), SnapshotExistsError)
    assert stage.check(_CONTENTS) == {"s-first"}


def test_a_half_made_revocation_is_completed_although_its_capture_has_ended():
    stage = Stage(begin(OLD).store)
    stage.enter(capture=_inherit, sweep=sweep)
    stage.run("capture", until=_COMMIT)
    stage.pass_a_day()
    stage.run("sweep", until="put snapshots/s-second/revoked")
    stage.kill("sweep")
    stage.run("capture")
    assert isinstance(stage.outcome("capture"), SnapshotExistsError)
    assert stage.check(_CONTENTS) == {"s-first"}


def test_a_compaction_that_slept_for_a_day_is_waited_for():
    stage = Stage(begin_sparse().store)
    stage.enter(compaction=squeeze, sweep=sweep, next_sweep=sweep)
    stage.run("compaction", until="put snapshots/")
    stage.pass_a_day()
    stage.run("sweep")
    stage.run("next_sweep")
    stage.run("compaction")
    assert stage.outcome("compaction").rewritten_snapshots == 1
    assert stage.check(_CONTENTS) == {"s-small"}


def test_the_inheritance_of_a_deleted_snapshot_goes_over_two_generations():
    # The list waits for the first heir; when that is deleted, the second heir is all that needs the packs.
    stage = Stage(begin(OLD, is_condemned=True).store)
    stage.enter(heir=_inherit)
    stage.run("heir")
    stage.enter(grandchild=partial(capture_again, OLD, "s-second", snapshot_id="s-third"))
    stage.run("grandchild", until=_COMMIT)
    stage.enter(delete=partial(delete, "s-first"), delete_heir=partial(delete, "s-second"))
    stage.run("delete")
    stage.run("delete_heir")
    for name in ("sweep", "next_sweep"):
        stage.enter(**{name: sweep})
        stage.run(name)
    stage.run("grandchild")
    assert stage.outcome("grandchild") is None
    assert stage.check({**_CONTENTS, "s-third": _CONTENTS["s-first"]}) == {"s-third"}


def test_a_deleted_snapshot_cannot_become_a_parent():
    stage = Stage(begin(OLD).store)
    stage.enter(delete=partial(delete, "s-first"), capture=partial(_inherit, tolerant=False))
    stage.run("delete")
    stage.run("capture")
    assert isinstance(stage.outcome("capture"), SnapshotNotFoundError)
    assert stage.check(_CONTENTS) == set()


def test_a_list_whose_sweep_was_killed_is_finished_by_the_next_one():
    stage = Stage(begin(OLD, is_dropped=True).store)
    stage.enter(sweep=sweep)
    stage.run("sweep", until="list condemned/")
    stage.run("sweep", calls=1)
    stage.run("sweep", until="put condemned/")
    stage.run("sweep", calls=1)
    stage.kill("sweep")  # the list is there and says nothing of witnesses
    assert stage.check(_CONTENTS) == set()
