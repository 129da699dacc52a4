"""Destroyed keys: what they protected is gone, wherever copies of it are (row B60)."""

import base64
import os
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from lamina.control.disks.delete import delete_disk
from lamina.control.disks.volumes import Volumes
from lamina.control.encryption.destroy import destroy_due_keys
from lamina.control.images.plan import DiskOfImage
from lamina.control.keys.errors import KeyDestroyedError, KeyNotFoundError
from lamina.control.keys.key_ring import KeyRing
from lamina.control.keys.modify import cancel_deletion, schedule_deletion
from lamina.control.keys.queries import get_key
from lamina.control.keys.states import KeyState
from lamina.control.kinds import KINDS
from lamina.control.repositories import Repositories, Secrets
from lamina.control.root_key import RootKey
from lamina.control.snapshots.sizes import count_sizes
from lamina.control.snapshots.states import SnapshotState
from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import KeyFile, WrongSecretError
from lamina.tasks.runner import Runner
from lamina.tasks.task import QUICK
from lamina.units import KIB
from tests.factories.image_copies import make_image_of
from tests.factories.images import make_system_snapshot
from tests.factories.keys import NEAR, find_key, list_objects, make_encrypted, make_key

MARKER = b"Attack at dawn. " * 256 * 16  # 64 KiB, so that it would show in every block


def schedule(site, key_id, days=7):
    with site.scope() as scope:
        schedule_deletion(scope, key_id, days)


def destroy(site, key_id):
    schedule(site, key_id)
    site.clock.advance(timedelta(days=7))
    destroy_due_keys(site.installation)
    site.work()


def list_secrets(site, key_id, disk_id):
    """Everything that would open something, in the forms in which it might be written down."""
    keys = site.installation.keys
    material = keys._read(key_id, 1)
    content = site.installation.volumes.keys._read(disk_id)
    repository = site.installation.repositories.find(site.account_id, NEAR, key_id)
    raw = (
        material,
        keys.derive(key_id, 1, f"repository/{site.account_id}/{NEAR}"),
        keys.open(key_id, 1, content.sealed, owner=disk_id),
        repository.master.object_key(),
        repository.master.key,
    )
    return [form for each in raw for form in (each, each.hex().encode(), base64.b64encode(each))]


def read_everything(*folders):
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path, path.read_bytes()


def test_nothing_that_is_left_opens_a_copy_that_was_made_before(site, tmp_path):
    key_id = make_key(site)
    disk_id = make_encrypted(site, MARKER, key_id)
    site.make_snapshot(disk_id)
    copies = tmp_path / "copies"
    data = site.installation.directory
    shutil.copytree(data / "disks", copies / "disks")
    shutil.copytree(data / "store", copies / "store")
    sealed = list_objects(site, key_id)
    assert sealed
    destroy(site, key_id)
    root = RootKey.load(data / "root.key")
    ring = KeyRing(data / "keys", root)
    with pytest.raises(KeyDestroyedError):
        Volumes(copies / "disks", ring).open(disk_id)
    store = DirectoryStore(copies / "store" / NEAR / f"{site.account_id}.{key_id}")
    for purpose in (f"repository/{site.account_id}", f"repository/{site.account_id}/{NEAR}", "keys", "vault"):
        with pytest.raises(WrongSecretError):
            Repository.open(store, KeyFile(root.derive(purpose)))
    assert [path.name for path in (data / "keys" / key_id).iterdir()] == ["destroyed"]
    assert (data / "keys" / key_id / "destroyed").read_bytes() == b""


def test_neither_plaintext_nor_secrets_lie_about_at_any_time(site, tmp_path, capfd):
    key_id = make_key(site)
    disk_id = make_encrypted(site, MARKER, key_id)
    site.make_snapshot(disk_id)
    wanted = [MARKER[:KIB], *list_secrets(site, key_id, disk_id)]
    for path, content in read_everything(tmp_path):
        assert not [each for each in wanted if each in content], path
    destroy(site, key_id)
    for path, content in read_everything(tmp_path):
        assert not [each for each in wanted if each in content], path
    said = capfd.readouterr()
    assert not [each for each in wanted if each in (said.out + said.err).encode()]
    assert not site.installation.volumes.raw_path(disk_id).exists()
    assert list_objects(site, key_id) == {}


def list_cached(site, key_id):
    cache = site.installation.settings.cache_dir
    return [path for path in cache.rglob("*") if path.is_file() and key_id in path.parts]


def test_the_local_caches_of_its_repository_go_with_a_key(site):
    key_id, other = make_key(site), make_key(site)
    disk_id = make_encrypted(site, MARKER, key_id)
    site.make_snapshot(disk_id)
    site.make_snapshot(make_encrypted(site, MARKER, other))
    site.make_snapshot(site.make_imported(MARKER))
    count_sizes(site.installation)
    assert {path.name for path in list_cached(site, key_id)} == {"blocks.sqlite", "sizes.sqlite"}
    kept = set(site.installation.settings.cache_dir.rglob("*.sqlite")) - set(list_cached(site, key_id))
    assert len(kept) == 4
    destroy(site, key_id)
    assert set(site.installation.settings.cache_dir.rglob("*.sqlite")) == kept
    destroy_due_keys(site.installation)
    assert list_cached(site, other)


def test_another_host_removes_its_caches_too(site, tmp_path):
    key_id = make_key(site)
    site.make_snapshot(make_encrypted(site, MARKER, key_id))
    here = site.installation
    settings = replace(here.settings, cache_dir=tmp_path / "cache of the other")
    secrets = Secrets(root_key=here.root_key, ring=KeyRing(here.directory / "keys", here.root_key))
    there = Repositories(here.database, secrets, lambda _: settings, site.clock, here.directory)
    repository = there.find(site.account_id, NEAR, key_id)
    repository.open_index().close()
    assert list(settings.cache_dir.rglob("blocks.sqlite"))
    destroy(site, key_id)
    there.forget_destroyed()
    assert not list(settings.cache_dir.rglob("*.sqlite"))
    repository.open_index().close()  # by work that was under way
    assert list(settings.cache_dir.rglob("blocks.sqlite"))
    again = Repositories(here.database, secrets, lambda _: settings, site.clock, here.directory)
    again.forget_destroyed()  # a process that knows nothing of the repository
    assert not list((settings.cache_dir / "keyed").iterdir())


def test_a_cache_that_cannot_be_removed_keeps_no_key_from_being_destroyed(site):
    key_id = make_key(site)
    site.make_snapshot(make_encrypted(site, MARKER, key_id))
    keyed = site.installation.settings.cache_dir / "keyed"
    (keyed / key_id).rename(keyed / "aside")
    (keyed / key_id).write_text("no folder")
    destroy(site, key_id)
    assert list_objects(site, key_id) == {}
    assert find_key(site, key_id).deletes_at is None
    (keyed / key_id).unlink()
    (keyed / "aside").rename(keyed / key_id)
    destroy_due_keys(site.installation)
    assert list_cached(site, key_id) == []


def test_what_was_under_way_when_a_key_was_destroyed_is_cleared_away_as_well(site):
    key_id = make_key(site)
    disk_id = make_encrypted(site, MARKER, key_id)
    site.make_snapshot(disk_id)
    here = site.installation
    opened = here.repositories.find(site.account_id, NEAR, key_id)
    late = site.start_snapshot(disk_id)
    schedule(site, key_id)
    site.clock.advance(timedelta(days=7))
    destroy_due_keys(here)
    Runner(here.database, site.clock, here, KINDS, {QUICK: 1}).run_until_idle()  # captures have another lane
    assert list_objects(site, key_id) == {}
    opened.store.put("data/late", MARKER)
    assert find_key(site, key_id).deletes_at is not None
    site.work()
    assert site.snapshot(late).state is SnapshotState.FAILED
    assert list_objects(site, key_id)
    destroy_due_keys(here)
    site.work()
    assert list_objects(site, key_id) == {}
    assert find_key(site, key_id).deletes_at is None


def test_the_rows_stay_until_their_owner_deletes_them(site):
    key_id = make_key(site)
    disk_id = make_encrypted(site, MARKER, key_id)
    snapshot_id = site.make_snapshot(disk_id)
    make_image_of(
        site, [DiskOfImage(snapshot_id=make_system_snapshot(site)), DiskOfImage(snapshot_id=snapshot_id)]
    )
    other = make_encrypted(site, MARKER)
    kept = site.make_snapshot(other)
    destroy(site, key_id)
    assert site.snapshot(snapshot_id).is_data_missing
    assert site.disk(disk_id).key_id == key_id
    with pytest.raises(KeyDestroyedError):
        site.start_snapshot(disk_id)
    with site.scope() as scope, pytest.raises(KeyNotFoundError):
        get_key(scope, key_id)
    with site.scope() as scope:
        delete_disk(scope, disk_id)
    second = site.make_snapshot(other)
    assert not site.snapshot(kept).is_data_missing
    assert site.snapshot(second).changed_bytes == 0


def test_a_snapshot_of_a_destroyed_key_can_be_deleted(site):
    key_id = make_key(site)
    snapshot_id = site.make_snapshot(make_encrypted(site, MARKER, key_id))
    destroy(site, key_id)
    site.delete(snapshot_id)
    assert site.snapshot(snapshot_id) is None


def test_nothing_happens_before_the_time_is_over_or_when_it_is_cancelled(site):
    key_id = make_key(site)
    disk_id = make_encrypted(site, os.urandom(KIB), key_id)
    schedule(site, key_id)
    site.clock.advance(timedelta(days=7, seconds=-1))
    destroy_due_keys(site.installation)
    assert site.work() == 0
    with site.scope() as scope:
        cancel_deletion(scope, key_id)
    site.clock.advance(timedelta(days=9))
    destroy_due_keys(site.installation)
    assert site.work() == 0
    assert find_key(site, key_id).state is KeyState.ENABLED
    assert site.make_snapshot(disk_id)


def test_another_process_lets_go_of_the_repository(site):
    key_id = make_key(site)
    site.make_snapshot(make_encrypted(site, MARKER, key_id))
    repositories = site.installation.repositories
    assert repositories.find(site.account_id, NEAR, key_id) is not None
    KeyRing(site.installation.directory / "keys", site.installation.root_key).destroy(key_id)
    with pytest.raises(KeyDestroyedError):
        repositories.find(site.account_id, NEAR, key_id)
    with pytest.raises(KeyDestroyedError):
        repositories.ensure(site.account_id, NEAR, key_id)
    repositories.forget_destroyed()
    assert all(place.key_id != key_id for place in repositories._open)
