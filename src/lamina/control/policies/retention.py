"""How long automatic snapshots are kept, and which go when a disk has as many as it may have. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lamina.control.snapshots.states import SnapshotKind
from lamina.ids import SnapshotId


@dataclass(frozen=True, slots=True)
class Retention:
    """How long something is kept.

    Attributes:
        days: None is for ever.
    """

    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A snapshot of the disk, as far as the decision needs it.

    Attributes:
        is_held: an image, a disk or a lock needs it, it is being read, or it is not finished: it cannot go.
        is_failed: it holds nothing.
    """

    id: SnapshotId
    kind: SnapshotKind
    created_at: datetime
    is_held: bool
    is_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionPlan:
    """What has to go so that one more automatic snapshot fits.

    Attributes:
        evict: what may go, no more than needed: failed ones, then the earliest, each oldest first.
        has_room: whether one more fits then. If not, nothing goes, since it would not help.
    """

    evict: tuple[SnapshotId, ...]
    has_room: bool


def plan_eviction(snapshots: Sequence[Candidate], maximum: int) -> EvictionPlan:
    """Make room for one more automatic snapshot.

    Manual snapshots neither count nor go. Held ones count and do not go: the next earliest goes in their place. Failed
    ones go before all others: a disk that cannot be read must not lose, point by point, every snapshot that it has.

    Args:
        snapshots: those of one disk, in any order.
        maximum: how many automatic ones a disk may have.
    """
    automatic = [each for each in snapshots if each.kind is SnapshotKind.AUTO]
    excess = len(automatic) + 1 - maximum
    if excess <= 0:
        return EvictionPlan(evict=(), has_room=True)
    free = sorted(
        (each for each in automatic if not each.is_held),
        key=lambda each: (not each.is_failed, each.created_at, each.id),
    )
    if len(free) < excess or maximum < 1:
        return EvictionPlan(evict=(), has_room=False)
    return EvictionPlan(evict=tuple(each.id for each in free[:excess]), has_room=True)
