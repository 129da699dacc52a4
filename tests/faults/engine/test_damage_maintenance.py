"""Sweeps and compactions of a damaged repository destroy nothing: undo the damage, and all is as it was."""

from contextlib import suppress

import pytest

from lamina.engine.condemned import CondemnedList, put_condemned
from lamina.engine.maintenance.compaction import compact
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.maintenance.verify import verify
from lamina.engine.sessions import mint_session_id
from lamina.failures import Corruption, Refusal
from tests.factories.repositories import bring_back, copy_store, sweep_clean, take
from tests.faults.engine.damaging import Damage, apply, flip, removed
from tests.faults.engine.every_object import ROLES, open_repository


def list_damages(every, key):
    data = every.objects[key]
    yield from (flip(data, 7), flip(data, len(data) // 2), flip(data, len(data) - 1))
    yield Damage("cut", data[: len(data) // 2], 0, 0)
    # Without a manifest a snapshot does not exist, and what only it needs goes: test_damage_undetectable.py.
    if every.role_of(key) != "manifest":
        yield removed(data)
    for other in every.keys_of(every.role_of(key)):
        if other != key:
            yield Damage(f"exchanged for {other}", every.objects[other], 0, 0)


def maintain(repository):
    """Everything that removes or moves, each as often as it may take to come to an end."""
    for operation in (sweep, sweep, lambda it: compact(it, sparse_below=2.0), sweep, sweep):
        with suppress(Corruption, Refusal):
            operation(repository)


def check_snapshots(repository, disks):
    for snapshot_id, disk in disks.items():
        assert verify(repository, snapshot_id, percent=100, workers=1).is_sound, snapshot_id
        assert bring_back(repository, snapshot_id).contents == disk.contents, snapshot_id


@pytest.mark.parametrize("readers_run", [True, False])
@pytest.mark.parametrize("role", ROLES)
def test_maintenance_of_a_damaged_repository_destroys_nothing(every, role, readers_run):
    for key in every.keys_of(role):
        for damage in list_damages(every, key):
            store = copy_store(every.store)
            repository = open_repository(store)
            if not readers_run and role != "session":
                for session in every.keys_of("session"):
                    store.delete(session)
            apply(store, key, damage)
            maintain(repository)
            store.put(key, every.objects[key])
            check_snapshots(open_repository(store), every.disks)


@pytest.mark.parametrize("role", ["manifest", "data pack", "map pack"])
def test_after_the_damage_is_undone_maintenance_goes_on_to_its_end(every, role):
    for key in every.keys_of(role):
        store = copy_store(every.store)
        for session in every.keys_of("session"):
            store.delete(session)
        apply(store, key, flip(every.objects[key], len(every.objects[key]) // 2))
        maintain(open_repository(store))
        store.put(key, every.objects[key])
        repository = open_repository(store)
        maintain(repository)
        report = sweep_clean(repository)
        assert (report.damage, report.waiting_packs, report.waiting_manifests) == ([], 0, 0)
        assert verify(repository, percent=100, workers=1).is_sound
        check_snapshots(repository, every.disks)


@pytest.fixture
def compacted(every):
    """The repository with nobody in it, so that everything condemned is ripe; superseded manifests among it."""
    store = copy_store(every.store)
    for session in every.keys_of("session"):
        store.delete(session)
    return store


def damage_of_current(store, where):
    """Spoil the manifest that a compaction wrote for s-base, or a page below it."""
    repository = open_repository(store)
    key = repository.find_folder("s-base").bodies[-1]
    if where == "page":
        (branch,) = [
            ref for index, ref in repository.read_manifest("s-base").root.branches.items() if index == 0
        ]
        key = f"map/{branch.location.pack.session.hex()}/{branch.location.pack.number:08x}"
        return key, flip(store.get(key), branch.location.offset + 3)
    return key, flip(store.get(key), 100)


@pytest.mark.parametrize("where", ["manifest", "page"])
def test_the_superseded_manifest_of_a_damaged_snapshot_stays(every, compacted, where):
    key, damage = damage_of_current(compacted, where)
    old = "snapshots/s-base/00000000"
    good = compacted.get(key)
    apply(compacted, key, damage)
    repository = open_repository(compacted)
    for _ in range(3):
        report = sweep(repository)
    assert report.damage
    assert bring_back(as_it_was(repository, "s-base"), "s-base").contents == every.disks["s-base"].contents
    compacted.put(key, good)
    sweep_clean(open_repository(compacted))
    assert old not in {row.key for row in compacted.list("snapshots/s-base/")}


def as_it_was(repository, snapshot_id):
    """The repository before a compaction touched the snapshot, as an operator would bring it back."""
    store = copy_store(repository.store)
    store.delete(repository.find_folder(snapshot_id).bodies[-1])
    return open_repository(store)


def test_a_damaged_superseded_manifest_holds_nothing_up(every, compacted):
    old = "snapshots/s-base/00000000"
    apply(compacted, old, flip(every.objects[old], 100))
    repository = open_repository(compacted)
    report = sweep_clean(repository)
    assert (report.damage, report.waiting_packs, report.waiting_manifests) == ([], 0, 0)
    assert verify(repository, percent=100, workers=1).is_sound


def test_deleting_a_damaged_snapshot_lets_sweeps_remove_packs_again(every, compacted):
    key, damage = damage_of_current(compacted, "manifest")
    apply(compacted, key, damage)
    repository = open_repository(compacted)
    assert sweep(repository).removed_packs == 0
    repository.delete_snapshot("s-base")
    report = sweep_clean(repository)
    assert (report.damage, report.waiting_packs, report.waiting_manifests) == ([], 0, 0)
    assert not list(compacted.list("snapshots/s-base/"))
    check_snapshots(repository, {name: every.disks[name] for name in ("s-next", "s-late")})


def test_a_compaction_that_meets_a_damaged_record_changes_no_snapshot(every, compacted):
    repository = open_repository(compacted)
    before = repository.list_folders()
    key = next(key for key in every.keys_of("data pack") if every.list_records(key))
    apply(compacted, key, flip(every.objects[key], every.list_records(key)[0][0]))
    with pytest.raises(Corruption, match=key):
        compact(repository, sparse_below=2.0)
    assert repository.list_folders() == before


def test_a_compaction_does_not_begin_while_a_page_is_damaged(every, compacted):
    key, damage = damage_of_current(compacted, "page")
    apply(compacted, key, damage)
    report = compact(open_repository(compacted), sparse_below=2.0)
    assert report.rewritten_snapshots == 0
    assert key in report.skipped


def test_a_condemned_damaged_pack_is_not_used_again_and_stays_while_it_is_needed(every, compacted):
    """What a full capture finds in the local index may be damaged; a condemned list is how that is said."""
    key = next(key for key in every.keys_of("data pack") if every.list_records(key))
    apply(compacted, key, flip(every.objects[key], every.list_records(key)[0][0]))
    repository = open_repository(compacted)
    sweep_id = mint_session_id()
    put_condemned(
        compacted,
        repository.cipher,
        CondemnedList(sweep=sweep_id, pack_keys=frozenset({key}), manifest_keys=frozenset(), witnesses=None),
    )
    take(repository, every.disks["s-next"], snapshot_id="s-whole")
    check_snapshots(repository, {"s-whole": every.disks["s-next"]})
    sweep_clean(repository)
    assert any(compacted.list(key))
    for snapshot_id in ("s-base", "s-next", "s-late"):
        repository.delete_snapshot(snapshot_id)
    sweep_clean(repository)
    assert not any(compacted.list(key))
    assert verify(repository, percent=100).is_sound
