"""Every byte of every small object is flipped, cut, exchanged, removed: somebody notices, and names the object."""

import pytest

from lamina.engine.objects.memory import MemoryStore
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import Passphrase
from lamina.failures import Corruption, Refusal
from tests.faults.engine.damaging import Tally, flip, judge, list_cuts, list_exchanges
from tests.faults.engine.every_object import SMALL_ROLES

_HEADER_BYTES = 8


def list_flips(data):
    """One bit of every byte, and every bit of the header."""
    for position in range(len(data)):
        yield flip(data, position)
    for position in range(_HEADER_BYTES):
        for bit in range(8):
            if bit != position % 8:
                yield flip(data, position, bit)


@pytest.mark.parametrize("role", SMALL_ROLES)
def test_no_flipped_bit_goes_undetected(every, role):
    key = every.keys_of(role)[0]
    # Of all small objects a restore reads the manifest only; the other tests restore everything every time.
    concerned = [snapshot_id for snapshot_id in every.disks if key.startswith(f"snapshots/{snapshot_id}/")]
    tally = Tally()
    for damage in list_flips(every.objects[key]):
        tally.add(key, damage, judge(every, key, damage, percent=0, snapshots=concerned))
    assert tally.undetected == []
    assert tally.tried["bit"] == len(every.objects[key]) + 7 * _HEADER_BYTES


@pytest.mark.parametrize("role", SMALL_ROLES)
def test_no_cut_and_no_exchange_goes_undetected(every, role):
    tally = Tally()
    for key in every.keys_of(role):
        for damage in (*list_cuts(every.objects[key]), *list_exchanges(every, key)):
            tally.add(key, damage, judge(every, key, damage, percent=0))
    assert tally.undetected == []
    assert tally.tried["cut"]
    assert tally.tried["replaced"]


def test_no_damage_of_a_passphrase_slot_goes_undetected():
    store = MemoryStore()
    Repository.create(store, Passphrase("open sesame"))
    slot = store.get("keys/00000000")
    # A look costs a tenth of a second and 64 MiB: every kind of field once, and every byte of a cheap slot above.
    positions = (7, 8, 40, slot.index(b"argon2id"), slot.index(b'"salt"') + 9, len(slot) - 60, len(slot) - 1)
    damages = [*(flip(slot, position) for position in positions), *list_cuts(slot)]
    for damage in damages:
        store.put("keys/00000000", damage.data)
        with pytest.raises((Corruption, Refusal)):
            Repository.open(store, Passphrase("open sesame"))


def test_a_slot_with_a_salt_that_argon2_would_not_take_is_corrupt():
    store = MemoryStore()
    Repository.create(store, Passphrase("open sesame"))
    slot = store.get("keys/00000000")
    at = slot.index(b'"salt":"') + len(b'"salt":"')
    store.put("keys/00000000", slot[:at] + b" " * 30 + slot[at + 30 :])  # hex may be spaced: one byte is left
    with pytest.raises(Corruption, match="argon2id"):
        Repository.open(store, Passphrase("open sesame"))
