"""What a manifest says about its snapshot, so that the rows can be made again from the object store alone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole
from lamina.control.snapshots.records import GroupRecord, LockRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotCategory, SnapshotKind
from lamina.failures import Corruption
from lamina.ids import AccountId, DiskId, RegionId, SnapshotGroupId, SnapshotId, ZoneId

_SNAPSHOT: Final = "lamina.snapshot"
_DISK: Final = "lamina.disk"
_CHANGE: Final = "lamina.change"


class SnapshotFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot's row as far as the manifest does not say it otherwise."""

    account_id: AccountId
    region_id: RegionId
    description: str | None
    kind: SnapshotKind
    category: SnapshotCategory
    retention_days: int | None
    expires_at: datetime | None
    created_at: datetime
    tags: dict[str, str]
    source_snapshot_id: SnapshotId | None = None
    source_region_id: RegionId | None = None


class DiskFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The row of the disk that a snapshot was taken of, as it was then."""

    id: DiskId
    zone_id: ZoneId
    name: str | None
    description: str | None
    role: DiskRole
    category: DiskCategory
    performance_level: PerformanceLevel | None
    size_gib: int
    created_at: datetime


class LockFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The lock of a snapshot."""

    cool_off_hours: int
    duration_days: int
    created_at: datetime
    starts_at: datetime | None
    cool_off_until: datetime | None
    expires_at: datetime | None


class GroupFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The row of the group that a snapshot was taken with."""

    id: SnapshotGroupId
    instance_id: str | None
    name: str | None
    description: str | None
    created_at: datetime
    tags: dict[str, str]


class ChangeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What only the note of a snapshot says, as it was when the note was written."""

    name: str | None
    lock: LockFacts | None
    group: GroupFacts | None


def annotate(snapshot: SnapshotRecord, disk: DiskRecord, tags: Mapping[str, str]) -> dict[str, str]:
    """The annotations of the manifest of a snapshot."""
    source = DiskFacts(
        id=disk.id,
        zone_id=disk.zone_id,
        name=disk.name,
        description=disk.description,
        role=disk.role,
        category=disk.category,
        performance_level=disk.performance_level,
        size_gib=disk.size_gib,
        created_at=disk.created_at,
    )
    return _annotate(snapshot, tags) | {_DISK: msgspec.json.encode(source).decode()}


def annotate_copy(
    copy: SnapshotRecord, original: Mapping[str, str], tags: Mapping[str, str]
) -> dict[str, str]:
    """The annotations of the manifest of a copy, from those of the original: the disk may be gone.

    A copy that belongs to no disk's chain has an id of its own in place of the disk's.

    Raises:
        Corruption: the original's annotations make no sense.
    """
    known = read_annotations(original)
    if known is None:
        return {**original, **_annotate(copy, tags)}
    disk = msgspec.structs.replace(known[1], id=copy.disk_id, name=copy.disk_name)
    if copy.disk_id != known[1].id:
        disk = msgspec.structs.replace(disk, description=None)  # it may be another account's
    return {**original, **_annotate(copy, tags), _DISK: msgspec.json.encode(disk).decode()}


def annotate_change(
    snapshot: SnapshotRecord,
    tags: Mapping[str, str],
    lock: LockRecord | None,
    group: GroupRecord | None,
    group_tags: Mapping[str, str],
) -> dict[str, str]:
    """The annotations of the note of a snapshot: everything that may have changed since its manifest was written."""
    facts = ChangeFacts(
        name=snapshot.name,
        lock=None if lock is None else _describe_lock(lock),
        group=None if group is None else _describe_group(group, group_tags),
    )
    return _annotate(snapshot, tags) | {_CHANGE: msgspec.json.encode(facts).decode()}


def _describe_lock(lock: LockRecord) -> LockFacts:
    return LockFacts(
        cool_off_hours=lock.cool_off_hours,
        duration_days=lock.duration_days,
        created_at=lock.created_at,
        starts_at=lock.starts_at,
        cool_off_until=lock.cool_off_until,
        expires_at=lock.expires_at,
    )


def _describe_group(group: GroupRecord, tags: Mapping[str, str]) -> GroupFacts:
    return GroupFacts(
        id=group.id,
        instance_id=group.instance_id,
        name=group.name,
        description=group.description,
        created_at=group.created_at,
        tags=dict(tags),
    )


def _annotate(snapshot: SnapshotRecord, tags: Mapping[str, str]) -> dict[str, str]:
    facts = SnapshotFacts(
        account_id=snapshot.account_id,
        region_id=snapshot.region_id,
        description=snapshot.description,
        kind=snapshot.kind,
        category=snapshot.category,
        retention_days=snapshot.retention_days,
        expires_at=snapshot.expires_at,
        created_at=snapshot.created_at,
        tags=dict(tags),
        source_snapshot_id=snapshot.source_snapshot_id,
        source_region_id=snapshot.source_region_id,
    )
    return {_SNAPSHOT: msgspec.json.encode(facts).decode()}


def read_annotations(annotations: Mapping[str, str]) -> tuple[SnapshotFacts, DiskFacts] | None:
    """What `annotate` wrote; None for a snapshot that was not made by a service.

    Raises:
        Corruption: the annotations are there and make no sense.
    """
    if _SNAPSHOT not in annotations or _DISK not in annotations:
        return None
    try:
        return (
            msgspec.json.decode(annotations[_SNAPSHOT], type=SnapshotFacts),
            msgspec.json.decode(annotations[_DISK], type=DiskFacts),
        )
    except msgspec.MsgspecError as error:
        raise Corruption(f"a manifest's annotations make no sense: {error}") from error


def read_change(annotations: Mapping[str, str]) -> ChangeFacts | None:
    """What `annotate_change` wrote; None when nothing was noted.

    Raises:
        Corruption: the annotation is there and makes no sense.
    """
    if _CHANGE not in annotations:
        return None
    try:
        return msgspec.json.decode(annotations[_CHANGE], type=ChangeFacts)
    except msgspec.MsgspecError as error:
        raise Corruption(f"a note's annotations make no sense: {error}") from error
