"""What nobody can notice from the store alone, why, and what happens instead."""

import pytest

from lamina.engine.condemned import list_condemned
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.maintenance.verify import verify
from lamina.engine.repository import SnapshotNotFoundError
from tests.factories.disks import SparseDisk, fill
from tests.factories.repositories import bring_back, copy_store, sweep_clean, take
from tests.faults.engine.damaging import judge, removed
from tests.faults.engine.every_object import ROLES, open_repository

# Objects whose removal looks like something that happens every day. Everything else about them is noticed.
WHY = {
    "manifest": "a snapshot without a manifest is one that was never committed, or was deleted and swept",
    "superseded manifest": "a sweep removes it too",
    "deleted manifest": "a sweep removes it too",
    "deletion marker": "a snapshot without one is one that nobody has deleted",
    "revocation marker": "the sweep that revoked the capture may have been killed before it wrote it",
    "session": "whoever published it removes it at its end",
    "condemned list": "the sweep that finishes with it removes it",
    "witness list": "the sweep that condemned may have been killed before it wrote it",
    "data pack": "no snapshot needs it: a sweep removes it too",
    "map pack": "no snapshot needs it: a sweep removes it too",
}


@pytest.fixture
def store(every):
    return copy_store(every.store)


def check_everything(repository, disks):
    """Everything is sound and every snapshot brings its bytes back."""
    report = verify(repository, percent=100, workers=1)
    assert report.is_sound, report
    for snapshot_id, disk in disks.items():
        assert bring_back(repository, snapshot_id).contents == disk.contents


def test_the_list_is_complete_and_has_nothing_too_many(every):
    quiet = set()
    for role in ROLES:
        for key in every.keys_of(role):
            verdict = judge(every, key, removed(every.objects[key]))
            if not verdict.is_reported:
                quiet.add(role)
                # But for the snapshot that is not there any more, none has lost a byte.
                lost = {snapshot_id for snapshot_id, ranges in verdict.ranges.items() if ranges != ()}
                assert lost <= {"s-late"}, key
    assert quiet == WHY.keys()


def test_a_snapshot_whose_manifest_is_removed_is_not_there(every, store):
    store.delete("snapshots/s-late/00000000")
    repository = open_repository(store)
    with pytest.raises(SnapshotNotFoundError, match="s-late"):
        bring_back(repository, "s-late")
    check_everything(repository, {name: every.disks[name] for name in ("s-base", "s-next")})


def test_behind_a_removed_manifest_the_one_that_it_superseded_counts_again_and_stays(every, store):
    repository = open_repository(store)
    store.delete(repository.find_folder("s-base").bodies[-1])
    for session in every.keys_of("session"):
        store.delete(session)  # the condemned list that has the superseded manifest on it matures
    sweep_clean(repository)
    check_everything(repository, every.disks)


def test_a_deleted_snapshot_whose_marker_is_removed_is_there_again_and_stays(every, store):
    store.delete("snapshots/s-dead1/deleted")
    for session in every.keys_of("session"):
        store.delete(session)
    repository = open_repository(store)
    sweep_clean(repository)
    dead = SparseDisk(bring_back(repository, "s-dead1").size_bytes)
    dead.write(0, fill("s-dead1"))
    check_everything(repository, {**every.disks, "s-dead1": dead})


def test_a_removed_marker_of_a_revocation_comes_back(every, store):
    store.delete("snapshots/s-never0/revoked")
    repository = open_repository(store)
    assert "s-never0" in repository.list_snapshots()  # as far as names can tell
    with pytest.raises(SnapshotNotFoundError):
        bring_back(repository, "s-never0")
    check_everything(repository, every.disks)
    sweep(repository)
    assert "s-never0" not in repository.list_snapshots()


def test_a_removed_session_protects_nothing_any_more(every, store):
    repository = open_repository(store)
    assert sweep(repository).removed_packs == 0
    for session in every.keys_of("session"):
        store.delete(session)
    assert sweep(repository).removed_packs > 0
    check_everything(repository, every.disks)


def test_what_was_on_a_removed_condemned_list_is_condemned_again(every, store):
    repository = open_repository(store)
    before = list_condemned(store, repository.cipher).keys
    for key in every.keys_of("condemned list"):
        store.delete(key)
    assert sweep(repository).removed_packs == 0
    assert list_condemned(store, repository.cipher).keys == before
    check_everything(repository, every.disks)


def test_a_list_without_witnesses_does_not_mature_before_it_has_new_ones(every, store):
    for key in every.keys_of("witness list"):
        store.delete(key)
    repository = open_repository(store)
    running = {key.removeprefix("sessions/") for key in every.keys_of("session")}
    report = sweep(repository)
    assert report.removed_packs == report.removed_manifests == 0
    assert set(report.waiting_for) == running
    assert all(item.witnesses == running for item in list_condemned(store, repository.cipher).lists)


def test_a_removed_pack_that_nobody_needs_is_stored_anew_when_somebody_does(every, store):
    lost = [key for key in every.keys_of("data pack") if not every.list_records(key)]
    for key in lost:
        store.delete(key)
    repository = open_repository(store)
    disk = SparseDisk(3 * 65536)
    disk.write(0, fill("s-dead0"))
    assert take(repository, disk, snapshot_id="s-again").new_bytes == 65536
    check_everything(repository, {**every.disks, "s-again": disk})


def test_a_lost_key_slot_is_an_alarm_while_the_repository_is_still_open(every, store):
    repository = open_repository(store)
    store.delete("keys/00000000")
    (alarm,) = verify(repository).damaged_objects
    assert "nobody can open the repository" in alarm


def test_a_lost_revocation_is_an_alarm(every, store):
    store.delete("snapshots/s-never0/00000000")
    (alarm,) = verify(open_repository(store)).damaged_objects
    assert "'snapshots/s-never0/00000000' is missing" in alarm
