"""Encrypted volumes: callers see the bytes, the folder does not; rotating writes small files; a lost key is the end."""

import os

import pytest

from lamina.control.disks.volumes import Sealing, Volumes
from lamina.control.keys.errors import KeyDestroyedError
from lamina.control.keys.key_ring import KeyRing
from lamina.control.root_key import RootKey
from lamina.ids import mint_disk_id, mint_key_id
from lamina.units import MIB

DISK, KEY = mint_disk_id(), mint_key_id()
SECRET = b"the quick brown fox " * 3000


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "keys", RootKey(bytes(range(32))))


@pytest.fixture
def volumes(tmp_path, ring):
    (tmp_path / "disks").mkdir()
    volumes = Volumes(tmp_path / "disks", ring)
    with volumes.create(DISK, 4 * MIB, Sealing(key_id=KEY, version=1)) as disk:
        disk.write(1000, [SECRET])
        disk.flush()
    return volumes


def read(volumes):
    content = bytearray(len(SECRET))
    with volumes.open(DISK) as disk:
        disk.read_into(1000, [content])
    return bytes(content)


def read_folder(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_folder_tells_nothing(volumes, tmp_path):
    assert read(volumes) == SECRET
    with volumes.open_source(DISK) as source:
        content = bytearray(len(SECRET))
        source.read_into(1000, [content])
    assert content == SECRET
    with volumes.freeze(DISK, "now", None) as frozen:
        frozen.source.read_into(1000, [content])
    assert content == SECRET
    assert b"quick" not in read_folder(tmp_path)
    assert volumes.keys.find(DISK) == (KEY, 1)


def test_emptying_a_disk_keeps_it_encrypted(volumes, tmp_path):
    with volumes.create(DISK, 4 * MIB) as disk:  # as re-initialising does
        disk.write(1000, [SECRET])
    assert read(volumes) == SECRET
    assert b"quick" not in read_folder(tmp_path)


def test_rotating_seals_the_secret_anew_and_leaves_the_bytes(volumes, ring, tmp_path):
    before = volumes.raw_path(DISK).read_bytes()
    ring.make(KEY, 2)
    volumes.keys.rewrap(DISK, 2)
    volumes.keys.rewrap(DISK, 2)
    ring.forget(KEY, 1)
    assert volumes.keys.find(DISK) == (KEY, 2)
    assert read(Volumes(tmp_path / "disks", ring)) == SECRET
    assert volumes.raw_path(DISK).read_bytes() == before


def test_without_its_key_a_disk_is_noise(volumes, ring):
    ring.destroy(KEY)
    for use in (volumes.open, volumes.open_source, lambda disk: volumes.freeze(disk, "now", None)):
        with pytest.raises(KeyDestroyedError):
            use(DISK)
    volumes.remove(DISK)
    assert volumes.list_disks() == []


def test_a_disk_without_a_key_is_as_it_was(volumes):
    other = mint_disk_id()
    with volumes.create(other, MIB) as disk:
        disk.write(0, [SECRET])
    assert volumes.raw_path(other).read_bytes()[: len(SECRET)] == SECRET
    assert volumes.keys.find(other) is None


def test_secrets_of_disks_differ(volumes, tmp_path):
    other = mint_disk_id()
    content = os.urandom(4096)
    for disk_id in (DISK, other):
        with volumes.create(disk_id, MIB, Sealing(key_id=KEY, version=1)) as disk:
            disk.write(0, [content])
    assert volumes.raw_path(DISK).read_bytes()[:4096] != volumes.raw_path(other).read_bytes()[:4096]
