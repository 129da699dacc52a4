"""A snapshot, as DescribeSnapshots shows it."""

from dataclasses import dataclass
from datetime import datetime

from lamina.api.schema import param
from lamina.api.shapes.tags import TagShape, show_tags
from lamina.control.snapshots.chain import chain_id
from lamina.control.snapshots.queries import SnapshotView
from lamina.control.snapshots.states import SnapshotCategory, SnapshotState
from lamina.ids import DiskId, RegionId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotShape:
    """One snapshot. What Lamina does not have yet is answered with its documented neutral value.

    Attributes:
        source_disk_size: GiB as text, as the API documents it.
        full_snapshot_size_in_bytes: the used capacity of the disk, once it is known.
    """

    snapshot_id: SnapshotId
    snapshot_name: str | None
    description: str | None
    status: str
    progress: str
    remain_time: int
    available: bool
    creation_time: datetime
    last_modified_time: datetime
    snapshot_type: str
    category: str
    region_id: RegionId
    source_disk_id: DiskId
    source_disk_size: str
    source_disk_type: str
    snapshot_link_id: str
    usage: str
    retention_days: int | None
    full_snapshot_size_in_bytes: int | None
    tags: tuple[TagShape, ...] = param(wire="Tags/Tag")
    encrypted: bool = False
    kms_key_id: str = param(default="", wire="KMSKeyId")
    instant_access: bool = False
    instant_access_retention_days: int = 0
    product_code: str = ""
    resource_group_id: str = ""
    snapshot_sn: str = param(default="", wire="SnapshotSN")
    source_storage_type: str = "disk"
    source_region_id: str = ""
    source_snapshot_id: str = ""


def show_snapshot(view: SnapshotView) -> SnapshotShape:
    """A snapshot for an answer."""
    snapshot = view.snapshot
    return SnapshotShape(
        snapshot_id=snapshot.id,
        snapshot_name=snapshot.name,
        description=snapshot.description,
        status=snapshot.state.value,
        progress=f"{view.progress_percent}%",
        remain_time=view.remaining_seconds or 0,
        available=snapshot.state is SnapshotState.ACCOMPLISHED and not snapshot.is_data_missing,
        creation_time=snapshot.created_at,
        last_modified_time=snapshot.modified_at,
        snapshot_type=snapshot.kind.value,
        category=_show_category(snapshot.category),
        region_id=snapshot.region_id,
        source_disk_id=snapshot.disk_id,
        source_disk_size=str(snapshot.disk_size_gib),
        source_disk_type=snapshot.disk_role.value,
        snapshot_link_id=chain_id(snapshot.disk_id),
        usage=view.usage.value,
        retention_days=snapshot.retention_days,
        full_snapshot_size_in_bytes=snapshot.used_bytes,
        tags=show_tags(view.tags),
        source_snapshot_id=snapshot.source_snapshot_id or "",
        source_region_id=snapshot.source_region_id or "",
        encrypted=snapshot.key_id is not None,
        kms_key_id=snapshot.key_id or "",
    )


def _show_category(category: SnapshotCategory) -> str:
    """The API has no word for a snapshot that is being archived; it is standard until it is an archive."""
    shown = SnapshotCategory.STANDARD if category is SnapshotCategory.ARCHIVING else category
    return str(shown.value)
