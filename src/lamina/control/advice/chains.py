"""What a chain comes to without some of its snapshots. Pure; what two snapshots differ by is asked for.

A snapshot is billed for its blocks that the one before it does not have. Whoever deletes it saves less than that:
what the next one still needs of it moves there. So each snapshot that then follows another one is weighed anew.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from lamina.control.metering.records import StorageClass
from lamina.ids import DiskId, KeyId, PolicyId, RegionId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One snapshot of a chain.

    Attributes:
        incremental_bytes: what it is billed for.
        exclusive_bytes: stored bytes that no other snapshot needs; None until they are counted.
        is_automatic: a policy took it.
        is_kept: a disk, an image or a lock holds it.
    """

    id: SnapshotId
    name: str | None
    storage_class: StorageClass
    incremental_bytes: int
    exclusive_bytes: int | None
    created_at: datetime
    is_automatic: bool
    is_kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The accomplished snapshots of one disk in a region that are encrypted with the same key, oldest first.

    Attributes:
        has_disk: the disk is still there.
        policy_id: of the disk.
    """

    region_id: RegionId
    disk_id: DiskId
    key_id: KeyId | None
    has_disk: bool
    policy_id: PolicyId | None
    links: tuple[Link, ...]


Gap = Callable[[SnapshotId | None, SnapshotId], int]
"""Bytes of the blocks of a snapshot that another one does not have; of all its blocks, for None."""

Weights = Mapping[StorageClass, int]
"""Billed bytes by class."""


def weigh(chain: Chain, gone: Collection[SnapshotId], gap: Gap) -> Weights:
    """What a chain is billed for without some of its snapshots."""
    weights: Counter[StorageClass] = Counter()
    before: SnapshotId | None = None
    is_broken = False
    for link in chain.links:
        if link.id in gone:
            is_broken = True
            continue
        weights[link.storage_class] += gap(before, link.id) if is_broken else link.incremental_bytes
        before, is_broken = link.id, False
    return weights


def weigh_pair(chain: Chain, at: int) -> Weights:
    """What one snapshot and the next are billed for: deleting the one never saves more than that."""
    weights: Counter[StorageClass] = Counter()
    for link in chain.links[at : at + 2]:
        weights[link.storage_class] += link.incremental_bytes
    return weights
