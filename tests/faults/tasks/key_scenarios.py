"""The kinds of tasks that keys bring."""

from datetime import timedelta

import pytest

from lamina.control.encryption.destroy import DESTROY_KEY, destroy_due_keys
from lamina.control.encryption.rotate import ROTATE_KEY
from lamina.control.keys.errors import KeyDestroyedError
from lamina.control.keys.modify import schedule_deletion
from lamina.control.keys.states import KeyState
from lamina.control.repositories import Place
from lamina.engine.repository import Repository
from lamina.ids import DiskId, KeyId, SnapshotId
from tests.factories.installation import Site
from tests.factories.keys import (
    NEAR,
    find_key,
    list_objects,
    make_encrypted,
    make_key,
    read_clear,
    start_rotation,
)
from tests.faults.tasks.scenario import Scenario

CONTENT = b"nobody else's business" * 4096
_Made = tuple[KeyId, DiskId, SnapshotId]


def _make(site: Site) -> _Made:
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENT, key_id)
    return key_id, disk_id, site.make_snapshot(disk_id)


def _prepare_rotation(site: Site) -> _Made:
    made = _make(site)
    start_rotation(site, made[0])
    return made


def _reopen(site: Site, key_id: KeyId) -> Repository:
    """The key's repository as a process finds it that has just started."""
    site.installation.repositories._open.clear()
    found = site.installation.repositories.find(site.account_id, NEAR, key_id)
    assert found is not None
    return found


def _is_all_there(site: Site, made: _Made) -> None:
    key_id, disk_id, snapshot_id = made
    assert read_clear(site, disk_id, len(CONTENT)) == CONTENT
    assert _reopen(site, key_id).list_snapshots() == [snapshot_id]
    site.write(disk_id, 0, b"changed")
    site.roll_back(disk_id, snapshot_id)
    assert read_clear(site, disk_id, len(CONTENT)) == CONTENT


def _is_rotated(site: Site, made: _Made) -> None:
    key_id, disk_id, _ = made
    assert find_key(site, key_id).version == 2
    assert site.installation.keys.list_versions(key_id) == [2]
    assert site.installation.volumes.keys.find(disk_id) == (key_id, 2)
    _is_all_there(site, made)


def _is_readable(site: Site, made: _Made) -> None:
    """A rotation that failed may have got anywhere; the next one ends it."""
    _is_all_there(site, made)
    start_rotation(site, made[0])
    site.work()
    assert len(site.installation.keys.list_versions(made[0])) == 1
    _is_all_there(site, made)


def _prepare_destruction(site: Site) -> _Made:
    made = _make(site)
    with site.scope() as scope:
        schedule_deletion(scope, made[0], 7)
    site.clock.advance(timedelta(days=7))
    destroy_due_keys(site.installation)
    return made


def _is_destroyed(site: Site, made: _Made) -> None:
    key_id, disk_id, snapshot_id = made
    key = find_key(site, key_id)
    assert (key.state, key.deletes_at) == (KeyState.DESTROYED, None)
    assert not site.installation.volumes.raw_path(disk_id).parent.exists()
    snapshot = site.snapshot(snapshot_id)
    assert snapshot is not None
    assert snapshot.is_data_missing
    assert list_objects(site, key_id) == {}
    with pytest.raises(KeyDestroyedError):
        site.installation.repositories.find(site.account_id, NEAR, key_id)
    with pytest.raises(KeyDestroyedError):
        site.installation.keys.derive(key_id, 1, "anything")
    place = Place(account_id=site.account_id, region_id=NEAR, key_id=key_id)
    assert place not in site.installation.repositories._open


def _is_ended_later(site: Site, made: _Made) -> None:
    """There is no way back: the next look of the reconciler starts what is left."""
    destroy_due_keys(site.installation)
    site.work()
    _is_destroyed(site, made)


SCENARIOS = [
    Scenario(ROTATE_KEY, _prepare_rotation, _is_rotated, _is_readable),
    Scenario(DESTROY_KEY, _prepare_destruction, _is_destroyed, _is_ended_later),
]
