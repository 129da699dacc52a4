"""What nobody seems to need: rules over chains and images. Pure. They find; whether it is true the owner knows."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from lamina.control.advice.chains import Chain, Link
from lamina.ids import ImageId, PolicyId, RegionId, SnapshotId
from lamina.units import MIB, format_bytes

NOTHING: Final = MIB
"""Less than this of its own is next to nothing: a file system that nobody uses writes so much a day by itself."""

_MANY: Final = 5
_SHARE: Final = 2  # half of the automatic snapshots, or more


class FindingKind(Enum):
    """What was found."""

    ORPHANED_CHAIN = "orphaned-chain"  # snapshots of a disk that was released, without use
    IDLE_CHAIN = "idle-chain"  # snapshots without use of a disk that nobody takes snapshots of any more
    FREQUENT_POLICY = "frequent-policy"  # its snapshots hardly differ
    UNUSED_IMAGE = "unused-image"  # it holds snapshots, and nothing was made from it


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What somebody may want to delete.

    Attributes:
        subject: the id of a disk, a policy or an image.
        snapshot_ids: that would go.
        detail: why, and what to do.
    """

    kind: FindingKind
    region_id: RegionId
    subject: str
    snapshot_ids: tuple[SnapshotId, ...]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedImage:
    """An image that nothing was made from.

    Attributes:
        snapshot_ids: that are held by this image and nothing else.
    """

    id: ImageId
    region_id: RegionId
    created_at: datetime
    snapshot_ids: tuple[SnapshotId, ...]


def find_waste(
    chains: Sequence[Chain], images: Iterable[UnusedImage], now: datetime, idle: timedelta
) -> tuple[Finding, ...]:
    """What nobody seems to need.

    Args:
        chains: of an account.
        images: of the account; only those without use.
        now: the present.
        idle: for how long nothing must have happened.
    """
    return (
        *_find_orphans(chains),
        *_find_idle(chains, now - idle),
        *_find_frequent(chains),
        *_find_images(images, now - idle),
    )


def _find_orphans(chains: Iterable[Chain]) -> Iterator[Finding]:
    for chain in chains:
        unused = _list_free(chain.links)
        if not chain.has_disk and unused:
            yield Finding(
                kind=FindingKind.ORPHANED_CHAIN,
                region_id=chain.region_id,
                subject=chain.disk_id,
                snapshot_ids=unused,
                detail=f"the disk was released, and nothing was made from {_count(unused)}",
            )


def _find_idle(chains: Iterable[Chain], before: datetime) -> Iterator[Finding]:
    for chain in chains:
        is_used = any(link.is_kept for link in chain.links) or chain.policy_id is not None
        last = max((link.created_at for link in chain.links), default=before)
        if chain.has_disk and not is_used and chain.links and last < before:
            yield Finding(
                kind=FindingKind.IDLE_CHAIN,
                region_id=chain.region_id,
                subject=chain.disk_id,
                snapshot_ids=_list_free(chain.links),
                detail=f"the last of {_count(chain.links)} is of {last:%Y-%m-%d}, and nothing was made from them",
            )


def _find_frequent(chains: Iterable[Chain]) -> Iterator[Finding]:
    by_policy: defaultdict[tuple[RegionId, PolicyId], list[SnapshotId]] = defaultdict(list)
    automatic: defaultdict[tuple[RegionId, PolicyId], int] = defaultdict(int)
    for chain in chains:
        if chain.policy_id is None:
            continue
        key = (chain.region_id, chain.policy_id)
        taken = [link for link in chain.links if link.is_automatic]
        automatic[key] += len(taken)
        # the first one has what the disk holds, and the last is what one goes back to
        by_policy[key] += [link.id for link in taken[:-1] if _is_nothing(link) and not link.is_kept]
    for (region_id, policy_id), small in sorted(by_policy.items()):
        count = automatic[region_id, policy_id]
        if count >= _MANY and len(small) * _SHARE >= count:
            yield Finding(
                kind=FindingKind.FREQUENT_POLICY,
                region_id=region_id,
                subject=policy_id,
                snapshot_ids=tuple(small),
                detail=f"{len(small)} of {count} automatic snapshots have less than {format_bytes(NOTHING)} of "
                "their own: a longer interval keeps as much",
            )


def _find_images(images: Iterable[UnusedImage], before: datetime) -> Iterator[Finding]:
    for image in images:
        if image.created_at < before and image.snapshot_ids:
            yield Finding(
                kind=FindingKind.UNUSED_IMAGE,
                region_id=image.region_id,
                subject=image.id,
                snapshot_ids=image.snapshot_ids,
                detail=f"nothing was made from the image; delete it, and then {_count(image.snapshot_ids)}",
            )


def _list_free(links: Iterable[Link]) -> tuple[SnapshotId, ...]:
    return tuple(link.id for link in links if not link.is_kept)


def _is_nothing(link: Link) -> bool:
    return link.exclusive_bytes is not None and link.exclusive_bytes < NOTHING


def _count(found: Sequence[object]) -> str:
    return "1 snapshot" if len(found) == 1 else f"{len(found)} snapshots"
