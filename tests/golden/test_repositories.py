"""Repositories of every released format version must open, restore and verify for ever."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from lamina.engine.maintenance.sweep import sweep
from lamina.engine.maintenance.verify import verify
from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import KeyFile, Passphrase, WrongSecretError
from tests.factories.disks import WRITTEN_ZERO
from tests.factories.repositories import bring_back, read_map
from tests.golden.freeze import KEY_FILE, PASSPHRASE

VERSIONS = sorted(Path(__file__).parent.glob("v[0-9]*"))


@pytest.fixture(params=VERSIONS, ids=lambda path: path.name)
def golden(request, tmp_path):
    """A copy that may be written to, and what must be in it."""
    shutil.copytree(request.param / "store", tmp_path / "store")
    expected = json.loads((request.param / "expected.json").read_text())
    return DirectoryStore(tmp_path / "store"), expected


def check(repository, expected):
    alive = [item for item in expected if not item.get("deleted")]
    assert sorted(repository.list_snapshots()) == sorted(item["snapshot"] for item in alive)
    for item in alive:
        manifest = repository.read_manifest(item["snapshot"])
        assert (manifest.name, manifest.size_bytes, manifest.used_bytes) == (
            item["name"],
            item["size_bytes"],
            item["used_bytes"],
        )
        assert manifest.annotations == {"disk_id": "d-golden"}
        disk = bring_back(repository, item["snapshot"])
        assert hashlib.sha256(disk.read(0, disk.size_bytes)).hexdigest() == item["sha256"]
        found = {
            str(block): "zero" if what == WRITTEN_ZERO else "data"
            for block, what in read_map(repository, item["snapshot"]).items()
        }
        assert found == item["map"]


def test_there_is_one_for_the_current_version():
    assert "v1" in [path.name for path in VERSIONS]


def test_it_opens_restores_and_verifies(golden):
    store, expected = golden
    repository = Repository.open(store, Passphrase(PASSPHRASE))
    check(repository, expected)
    assert verify(repository, percent=100).is_sound


def test_the_secret_that_was_replaced_does_not_open_it(golden):
    with pytest.raises(WrongSecretError):
        Repository.open(golden[0], KeyFile(KEY_FILE))


def test_a_sweep_keeps_what_must_stay(golden):
    store, expected = golden
    repository = Repository.open(store, Passphrase(PASSPHRASE))
    report = sweep(repository)
    assert report.removed_packs
    assert not report.damage
    check(repository, expected)
    assert verify(repository, percent=100).is_sound
