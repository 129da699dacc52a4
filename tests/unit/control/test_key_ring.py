"""The material of keys: the same for everybody, gone for good when it is destroyed, never in clear on the medium."""

import os
import threading

import pytest

from lamina.control.keys.errors import KeyDestroyedError, KeyMaterialMissingError
from lamina.control.keys.key_ring import KeyRing
from lamina.control.root_key import RootKey
from lamina.failures import Corruption
from lamina.ids import mint_key_id
from tests.factories.damage import flip_file

ROOT = RootKey(bytes(range(32)))


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "keys", ROOT)


def read_files(folder) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_what_is_sealed_opens_after_a_restart(ring, tmp_path):
    key_id = mint_key_id()
    ring.make(key_id, 1)
    ring.make(key_id, 1)
    sealed = ring.seal(key_id, 1, b"the secret", owner="d-1")
    again = KeyRing(tmp_path / "keys", ROOT)
    assert again.open(key_id, 1, sealed, owner="d-1") == b"the secret"
    assert again.derive(key_id, 1, "repository/1") == ring.derive(key_id, 1, "repository/1")
    assert ring.derive(key_id, 1, "repository/1") != ring.derive(key_id, 1, "repository/2")
    with pytest.raises(Corruption):
        ring.open(key_id, 1, sealed, owner="d-2")


def test_versions_and_keys_are_independent(ring):
    one, two = mint_key_id(), mint_key_id()
    for key_id, version in ((one, 1), (one, 2), (two, 1)):
        ring.make(key_id, version)
    secrets = {ring.derive(one, 1, "x"), ring.derive(one, 2, "x"), ring.derive(two, 1, "x")}
    assert len(secrets) == 3
    ring.forget(one, 1)
    ring.forget(one, 1)
    with pytest.raises(KeyMaterialMissingError):
        ring.derive(one, 1, "x")
    assert ring.derive(one, 2, "x") in secrets


def test_another_root_key_opens_nothing(ring, tmp_path):
    key_id = mint_key_id()
    ring.make(key_id, 1)
    with pytest.raises(Corruption, match=r"root\.key"):
        KeyRing(tmp_path / "keys", RootKey(os.urandom(32))).derive(key_id, 1, "x")


def test_a_destroyed_key_is_gone_and_never_made_again(ring, tmp_path):
    key_id = mint_key_id()
    ring.make(key_id, 1)
    before = read_files(tmp_path / "keys")
    ring.destroy(key_id)
    ring.destroy(key_id)
    assert read_files(tmp_path / "keys") == b""
    assert before
    for use in (
        ring.make,
        lambda *given: ring.derive(*given, "x"),
        lambda *given: ring.seal(*given, b"", owner=""),
    ):
        with pytest.raises(KeyDestroyedError):
            use(key_id, 1)


def test_a_key_that_never_had_material_can_be_destroyed(ring):
    key_id = mint_key_id()
    ring.destroy(key_id)
    with pytest.raises(KeyDestroyedError):
        ring.make(key_id, 1)


def test_two_that_make_it_at_once_get_the_same(tmp_path):
    key_id = mint_key_id()
    barrier = threading.Barrier(8)
    found = []

    def make() -> None:
        ring = KeyRing(tmp_path / "keys", ROOT)
        barrier.wait()
        ring.make(key_id, 1)
        found.append(ring.derive(key_id, 1, "x"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "keys" / key_id).iterdir()] == ["1"]


def test_a_damaged_file_is_noticed(ring, tmp_path):
    key_id = mint_key_id()
    ring.make(key_id, 1)
    path = tmp_path / "keys" / key_id / "1"
    flip_file(path)
    with pytest.raises(Corruption):
        ring.derive(key_id, 1, "x")
