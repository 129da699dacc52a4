"""What advice on fees looks like in answers. Amounts are texts: JSON's numbers are not exact."""

from dataclasses import dataclass
from datetime import datetime

from lamina.api.schema import param
from lamina.control.advice.advise import RankedFinding
from lamina.control.advice.cost import show_amount
from lamina.control.advice.scales import RankedSnapshot
from lamina.ids import DiskId, RegionId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedSnapshotShape:
    """A snapshot, and what deleting it saves.

    Attributes:
        incremental_bytes: what it is billed for.
        saved_bytes: what of that is not billed any more when it is gone; the rest moves to the next snapshot.
        freed_bytes: stored bytes that no other snapshot needs; absent until they are counted.
        monthly_saving: what the saved bytes cost in a month.
    """

    snapshot_id: SnapshotId
    snapshot_name: str | None
    region_id: RegionId
    source_disk_id: DiskId
    creation_time: datetime
    incremental_bytes: int
    saved_bytes: int
    freed_bytes: int | None
    monthly_saving: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingShape:
    """What nobody seems to need.

    Attributes:
        kind: orphaned-chain, idle-chain, frequent-policy or unused-image.
        subject: the disk, policy or image.
        saved_bytes: billed bytes that go with all its snapshots.
    """

    kind: str
    region_id: RegionId
    subject: str
    snapshot_count: int
    snapshot_ids: tuple[SnapshotId, ...] = param(wire="SnapshotIds/SnapshotId")
    saved_bytes: int
    monthly_saving: str
    reason: str


def show_ranked(ranked: RankedSnapshot) -> RankedSnapshotShape:
    """As answers have it."""
    return RankedSnapshotShape(
        snapshot_id=ranked.link.id,
        snapshot_name=ranked.link.name,
        region_id=ranked.chain.region_id,
        source_disk_id=ranked.chain.disk_id,
        creation_time=ranked.link.created_at,
        incremental_bytes=ranked.link.incremental_bytes,
        saved_bytes=ranked.saving.saved_bytes,
        freed_bytes=ranked.link.exclusive_bytes,
        monthly_saving=f"{show_amount(ranked.saving.amount):f}",
    )


def show_finding(ranked: RankedFinding) -> FindingShape:
    """As answers have it."""
    finding = ranked.finding
    return FindingShape(
        kind=finding.kind.value,
        region_id=finding.region_id,
        subject=finding.subject,
        snapshot_count=len(finding.snapshot_ids),
        snapshot_ids=finding.snapshot_ids,
        saved_bytes=ranked.saving.saved_bytes,
        monthly_saving=f"{show_amount(ranked.saving.amount):f}",
        reason=finding.detail,
    )
