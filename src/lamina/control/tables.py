"""All tables, for whoever needs the whole schema: importing this module makes them known to the metadata."""

from typing import Final

from lamina.control.accounts.records import AccessKeyRecord, AccountEventRecord, AccountRecord
from lamina.control.audit.records import CallRecord
from lamina.control.billing.records import BillLineRecord, BillRecord
from lamina.control.buckets.records import BucketRecord
from lamina.control.bulk_exports.records import BulkExportRecord, BulkItemRecord
from lamina.control.disks.records import ConnectionRecord, DiskRecord
from lamina.control.idempotency.records import TokenRecord
from lamina.control.images.records import ImageDiskRecord, ImageRecord, ImageShareRecord
from lamina.control.instances.records import InstanceRecord
from lamina.control.keys.records import KeyRecord
from lamina.control.metering.records import MeterRecord, SizeEventRecord
from lamina.control.payments.records import ArrearsRecord, EntryRecord
from lamina.control.policies.records import PolicyRecord, RunRecord
from lamina.control.regions.records import RegionRecord, ZoneRecord
from lamina.control.shown_tasks.records import ShownTaskRecord
from lamina.control.snapshots.records import (
    ChainRecord,
    GroupRecord,
    HoldRecord,
    LockRecord,
    NoteRecord,
    SnapshotRecord,
    UsageRecord,
)
from lamina.control.tags.records import TagRecord
from lamina.database import Record
from lamina.tasks.records import TaskRecord

TABLES: Final[tuple[type[Record], ...]] = (
    AccountRecord,
    AccountEventRecord,
    AccessKeyRecord,
    RegionRecord,
    ZoneRecord,
    KeyRecord,
    InstanceRecord,
    DiskRecord,
    ConnectionRecord,
    SnapshotRecord,
    HoldRecord,
    LockRecord,
    NoteRecord,
    GroupRecord,
    ChainRecord,
    UsageRecord,
    BucketRecord,
    ImageRecord,
    ImageDiskRecord,
    ImageShareRecord,
    BulkExportRecord,
    BulkItemRecord,
    MeterRecord,
    SizeEventRecord,
    BillRecord,
    BillLineRecord,
    EntryRecord,
    ArrearsRecord,
    PolicyRecord,
    RunRecord,
    TagRecord,
    TokenRecord,
    TaskRecord,
    ShownTaskRecord,
    CallRecord,
)
