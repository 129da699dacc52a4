"""Rotation of keys: nothing that is stored is rewritten, and everything stays readable (row B60)."""

import os
import threading

import pytest

from lamina.control.disks.volumes import Sealing
from lamina.control.encryption.rotate import rotate_key
from lamina.control.keys.create import ensure_service_key
from lamina.control.keys.errors import KeyMaterialMissingError, KeyNotEnabledError
from lamina.control.keys.modify import disable_key
from lamina.ids import mint_disk_id, mint_key_id
from lamina.tasks.errors import TaskBusyError
from lamina.units import KIB, MIB
from tests.factories.keys import (
    NEAR,
    find_key,
    list_objects,
    list_stored,
    make_encrypted,
    make_key,
    read_clear,
    start_rotation,
)

CONTENT = os.urandom(96 * KIB)
SLOTS = "keys/"


def rotate(site, key_id):
    start_rotation(site, key_id)
    site.work()


def test_a_rotation_rewrites_no_data(site):
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENT, key_id)
    snapshot_id = site.make_snapshot(disk_id)
    before, raw = list_objects(site, key_id), site.read(disk_id, 0, MIB)
    rotate(site, key_id)
    after = list_objects(site, key_id)
    data = {name: content for name, content in after.items() if not name.startswith(SLOTS)}
    assert data == {name: content for name, content in before.items() if not name.startswith(SLOTS)}
    assert data
    slots = [{name for name in objects if name.startswith(SLOTS)} for objects in (before, after)]
    assert [len(names) for names in slots] == [1, 1]
    assert slots[0] != slots[1]
    assert site.read(disk_id, 0, MIB) == raw
    assert (find_key(site, key_id).version, find_key(site, key_id).rotated_at) == (2, site.clock.now())
    site.installation.repositories._open.clear()
    assert list_stored(site, key_id) == [snapshot_id]
    assert read_clear(site, disk_id, len(CONTENT)) == CONTENT


def test_the_material_before_opens_nothing_any_more(site, tmp_path):
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENT, key_id)
    site.make_snapshot(disk_id)
    material = site.installation.keys._read(key_id, 1)
    rotate(site, key_id)
    with pytest.raises(KeyMaterialMissingError):
        site.installation.keys.derive(key_id, 1, "x")
    folders = (site.installation.directory / "keys", site.installation.directory / "disks")
    left = b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*.key"))
    assert material not in left


def test_rotations_follow_one_another(site):
    with site.scope() as scope:
        key_id = ensure_service_key(scope).id
    disk_id = make_encrypted(site, CONTENT)
    for version in (2, 3, 4):
        rotate(site, key_id)
        assert site.installation.keys.list_versions(key_id) == [version]
    assert read_clear(site, disk_id, len(CONTENT)) == CONTENT
    assert read_clear(site, make_encrypted(site, b"later"), 5) == b"later"


def test_a_key_without_anything_is_rotated(site):
    key_id = make_key(site)
    rotate(site, key_id)
    assert find_key(site, key_id).version == 2
    assert read_clear(site, make_encrypted(site, b"first", key_id), 5) == b"first"
    assert site.make_snapshot(make_encrypted(site, b"first", key_id)) in list_stored(site, key_id)


def test_one_rotation_at_a_time_and_of_enabled_keys_only(site):
    key_id = make_key(site)
    start_rotation(site, key_id)
    with site.scope() as scope, pytest.raises(TaskBusyError):
        rotate_key(scope, key_id)
    site.work()
    with site.scope() as scope:
        disable_key(scope, key_id)
        with pytest.raises(KeyNotEnabledError):
            rotate_key(scope, key_id)


def test_a_rotation_waits_for_what_is_being_sealed(site):
    keys, key_id = site.installation.keys, mint_key_id()
    renewed = threading.Event()

    def renew() -> None:
        keys.renew(key_id, 2)
        renewed.set()

    with keys.sealing(key_id, 1) as version:
        assert version == 1
        thread = threading.Thread(target=renew)
        thread.start()
        assert not renewed.wait(0.2)
    thread.join()
    with keys.sealing(key_id, 1) as version:
        assert version == 2


def test_lost_material_is_not_made_anew(site):
    key_id = make_key(site)
    rotate(site, key_id)
    for version in site.installation.keys.list_versions(key_id):
        site.installation.keys.forget(key_id, version)
    disk_id = mint_disk_id()
    with pytest.raises(KeyMaterialMissingError):
        site.installation.volumes.create(disk_id, MIB, Sealing(key_id=key_id, version=2))
    with pytest.raises(KeyMaterialMissingError):
        site.installation.repositories.ensure(site.account_id, NEAR, key_id)
