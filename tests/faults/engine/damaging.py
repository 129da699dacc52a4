"""Ways to damage an object, and one judge for all of them."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from lamina.blockio.extents import Extent, clip, normalise
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.maintenance.verify import verify
from lamina.failures import Corruption, Refusal
from lamina.transfer.restore import DamagedSnapshotError, RestoreRequest, restore
from tests.factories.disks import SparseTarget
from tests.factories.repositories import copy_store
from tests.faults.engine.every_object import ROLES, open_repository


class Damage(NamedTuple):
    """What becomes of one object: other bytes, or none; and which of its bytes are bad."""

    name: str
    data: bytes | None
    start: int
    end: int


def flip(data, position, bit=None):
    """One bit of a byte is another; which one rotates with the position unless it is given."""
    flipped = bytearray(data)
    flipped[position] ^= 1 << (position % 8 if bit is None else bit)
    return Damage(f"bit of byte {position}", bytes(flipped), position, position + 1)


def list_cuts(data):
    """Cut short in many places, and made longer."""
    size = len(data)
    lengths = {0, 1, 7, 8, 9, 19, 20, 36, 47, 48, 63, 64, size // 2, size - 17, size - 16, size - 8, size - 1}
    for length in sorted(length for length in lengths if 0 <= length < size):
        yield Damage(f"cut to {length} bytes", data[:length], length, size)
    for tail in (b"\0", b"\xff" * 16, data[-16:], data):
        yield Damage(f"grown by {len(tail)} bytes", data + tail, size, size + len(tail))


def list_exchanges(every, key):
    """Other objects' bytes in this one's place: those of its role, and one of every other role."""
    data = every.objects[key]
    for role in ROLES:
        others = [other for other in every.keys_of(role) if other != key]
        for other in others if role == every.role_of(key) else others[:1]:
            found = every.objects[other]
            yield Damage(f"replaced by {role} {other}", found, 0, max(len(data), len(found)))


def removed(data):
    """The object is gone."""
    return Damage("removed", None, 0, len(data))


@dataclass(frozen=True)
class Verdict:
    """What came of a damaged repository.

    Attributes:
        is_reported: whether `verify` named the object, or opening the repository was refused.
        ranges: for every snapshot the bytes that a restore could not bring back; None when it was refused as a whole.
    """

    is_reported: bool
    ranges: dict


def apply(store, key, damage):
    """Put a damage into a store."""
    if damage.data is None:
        store.delete(key)
    else:
        store.put(key, damage.data)


def judge(every, key, damage, *, percent=100, snapshots=None):
    """Damage a copy of the repository, verify it, and restore its snapshots (or only these).

    Raises:
        AssertionError: a restore brought wrong bytes, or verification and restores do not agree on what is lost.
    """
    store = copy_store(every.store)
    apply(store, key, damage)
    try:
        repository = open_repository(store)
    except (Corruption, Refusal):
        return Verdict(is_reported=True, ranges=dict.fromkeys(every.disks))
    report = verify(repository, percent=percent, workers=1)
    ranges = {
        snapshot_id: restore_what_is_left(repository, snapshot_id, every.disks[snapshot_id])
        for snapshot_id in (every.disks if snapshots is None else snapshots)
    }
    for snapshot_id, lost in ranges.items():
        told = list_told(report, snapshot_id)
        assert told == (lost or ()), f"{key} {damage.name}: verify says {told}, a restore {lost}"
    return Verdict(is_reported=any(key in line for line in report.damaged_objects), ranges=ranges)


def list_told(report, snapshot_id):
    """What a verification says that a snapshot lost, as normal extents."""
    found = [item for item in report.damaged_ranges if item.snapshot_id == snapshot_id]
    return normalise(Extent(item.offset, item.length) for item in found)


def restore_what_is_left(repository, snapshot_id, disk):
    """Restore with the best effort, and check every byte that came; what did not, or None when nothing could.

    Raises:
        AssertionError: bytes are wrong.
    """
    target = SparseTarget(disk.size_bytes)
    lost = ()
    try:
        restore(repository, snapshot_id, target, RestoreRequest(workers=1, best_effort=True))
    except DamagedSnapshotError as error:
        lost = normalise(error.ranges)
    except (Corruption, Refusal):
        assert not target.touched, f"{snapshot_id}: refused, and yet something was written"
        return None
    good = {block: data for block, data in disk.contents.items() if not is_lost(block, lost)}
    assert target.disk.contents == good, f"{snapshot_id}: wrong bytes"
    return lost


def is_lost(block, lost):
    """Whether a block lies in one of the extents."""
    return any(True for _ in clip(lost, block * BLOCK_BYTES, 1))


class Tally:
    """Counts what was tried, and keeps what nobody noticed.

    Attributes:
        tried: how many damages, by their sort.
        undetected: object and name of every damage that neither verification nor a restore noticed.
    """

    def __init__(self):
        self.tried = Counter()
        self.undetected = []

    def add(self, key, damage, verdict):
        """Take a verdict in."""
        self.tried[damage.name.split()[0]] += 1
        if not verdict.is_reported:
            self.undetected.append((key, damage.name))
