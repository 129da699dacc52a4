"""All tables, for whoever needs the whole schema: importing this module makes them known to the metadata."""

from typing import Final

from lamina.control.accounts.records import AccessKeyRecord, AccountRecord
from lamina.control.audit.records import CallRecord
from lamina.control.billing.records import BillLineRecord, BillRecord
from lamina.control.buckets.records import BucketRecord
from lamina.control.disks.records import ConnectionRecord, DiskRecord
from lamina.control.idempotency.records import TokenRecord
from lamina.control.images.records import ImageDiskRecord, ImageRecord, ImageShareRecord
from lamina.control.instances.records import InstanceRecord
from lamina.control.keys.records import KeyRecord
from lamina.control.metering.records import MeterRecord, SizeEventRecord
from lamina.control.policies.records import PolicyRecord, RunRecord
from lamina.control.regions.records import RegionRecord, ZoneRecord
from lamina.control.shown_tasks.records import ShownTaskRecord
from lamina.control.snapshots.records import (
    ChainRecord,
    GroupRecord,
    HoldRecord,
    LockRecord,
    SnapshotRecord,
    UsageRecord,
)
from lamina.control.tags.records import TagRecord
from lamina.database import Record
from lamina.tasks.records import TaskRecord

TABLES: Final[tuple[type[Record], ...]] = (
    AccountRecord,
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
    GroupRecord,
    ChainRecord,
    UsageRecord,
    BucketRecord,
    ImageRecord,
    ImageDiskRecord,
    ImageShareRecord,
    MeterRecord,
    SizeEventRecord,
    BillRecord,
    BillLineRecord,
    PolicyRecord,
    RunRecord,
    TagRecord,
    TokenRecord,
    TaskRecord,
    ShownTaskRecord,
    CallRecord,
)
