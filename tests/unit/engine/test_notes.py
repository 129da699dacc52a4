"""Notes beside manifests: the latest one counts, sweeps remove them with their snapshot, damage is told."""

import pytest

from lamina.engine.maintenance.verify import verify
from lamina.engine.manifest import Note
from lamina.engine.objects.store import ObjectExistsError
from lamina.failures import Corruption
from tests.factories.damage import flip
from tests.factories.disks import make_block_disk
from tests.factories.repositories import make_repository, objects_of, reopen, sweep_clean, take

SNAPSHOT = "s-noted"


@pytest.fixture
def repository():
    repository = make_repository()
    take(repository, make_block_disk({0: "a"}), snapshot_id=SNAPSHOT, annotations={"of": "the manifest"})
    return repository


def put(repository, number, **annotations):
    repository.put_note(repository.find_folder(SNAPSHOT), Note(number=number, annotations=annotations))


def list_notes(repository):
    return [key for key in objects_of(repository.store) if "/note-" in key]


def test_the_latest_note_takes_the_place_of_those_before_it(repository):
    assert reopen(repository).find_note(SNAPSHOT) is None
    put(repository, 1, name="first")
    put(repository, 12, name="second")
    assert reopen(repository).find_note(SNAPSHOT) == Note(number=12, annotations={"name": "second"})
    assert list_notes(repository) == [f"snapshots/{SNAPSHOT}/note-00000012"]
    assert reopen(repository).read_manifest(SNAPSHOT).annotations == {"of": "the manifest"}


def test_the_highest_number_wins_whoever_comes_last(repository):
    folder = repository.find_folder(SNAPSHOT)
    for number in (2, 1):
        repository.put_note(folder, Note(number=number, annotations={"number": str(number)}))
    assert repository.find_note(SNAPSHOT).number == 2
    with pytest.raises(ObjectExistsError):
        repository.put_note(folder, Note(number=2, annotations={}))
    put(repository, 3)
    assert list_notes(repository) == [f"snapshots/{SNAPSHOT}/note-00000003"]


def test_a_note_is_sealed_to_its_place(repository):
    put(repository, 1, secret="told to nobody")
    [key] = list_notes(repository)
    data = repository.store.get(key)
    assert b"told" not in data
    for place, content in ((key, flip(data)), (key, data[:20]), (key.replace("1", "2"), data)):
        repository.store.put(place, content)
        with pytest.raises(Corruption, match="note-"):
            reopen(repository).find_note(SNAPSHOT)
        report = verify(reopen(repository), percent=100, workers=1)
        assert [place in reason for reason in report.damaged_objects] == [True]
        assert not report.damaged_ranges
        repository.store.put(key, data)


def test_a_sweep_removes_the_notes_of_a_snapshot_that_is_gone(repository):
    take(repository, make_block_disk({0: "b"}), snapshot_id="s-other")
    folder = repository.find_folder(SNAPSHOT)
    put(repository, 1)
    sweep_clean(repository)
    assert len(list_notes(repository)) == 1
    repository.delete_snapshot(SNAPSHOT)
    assert repository.find_note(SNAPSHOT) is None
    sweep_clean(repository)
    assert not [key for key in objects_of(repository.store) if SNAPSHOT in key]
    repository.put_note(folder, Note(number=2, annotations={}))  # somebody was slow
    assert repository.list_snapshots() == ["s-other"]
    sweep_clean(repository)
    assert not [key for key in objects_of(repository.store) if SNAPSHOT in key]
