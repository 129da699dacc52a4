"""Within which every verb works: one session, one account, one region."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.long_lists import LongLists
from lamina.control.preferences import Compatibility, SnapshotQuotas
from lamina.ids import AccountId, RegionId

_QUOTAS: Final = SnapshotQuotas()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an account may have. The defaults are those of the ECS API's quota pages.

    Attributes:
        manual_snapshots_per_disk: at this many, CreateSnapshot is refused.
        automatic_snapshots_per_disk: at this many, a policy deletes the earliest one before it makes another.
        policies_per_region: at this many, further automatic snapshot policies are refused.
        disks_per_group: a snapshot group takes no more disks.
        group_gib: and no more GiB of disks together.
        may_copy_snapshots: whether CopySnapshot is offered; off unless the operator says otherwise.
        tags_per_resource: at this many, further tags are refused.
        data_disks_per_instance: at this many, AttachDisk is refused.
        images_per_region: at this many, further images are refused.
        image_families_per_region: at this many, further image families are refused.
        images_per_family: a family has no more.
        accounts_per_image: an image is shared with no more.
        buckets_per_region: at this many, CreateBucket is refused.
        concurrent_exports: at this many, ExportImage is refused until one of them is done.
        bulk_exports: at this many under way, further bulk exports are refused.
        bulk_export_items: one has no more items.
        bulk_export_concurrency: and works on no more of them at once.
        export_data_disks: an image with more data disks is not exported.
        export_data_disk_gib: nor one with larger ones.
        import_disk_gib: the largest disk that a file may hold.
        expired_instance: how long an instance outlives the time that was paid for in advance, standing still (ECS,
            Subscription, "Impacts of resource expiration": its disks are kept for 15 days).
        keys_per_region: at this many keys of its own, an account makes no more.
        connection: how long a connection to a disk lasts unless it is renewed.
        idempotency: how long the answer to a ClientToken is remembered.
        compatibility: which description of the service counts where the FAQ and today's API differ.
    """

    manual_snapshots_per_disk: int = _QUOTAS.manual
    automatic_snapshots_per_disk: int = _QUOTAS.automatic
    policies_per_region: int = 100
    disks_per_group: int = 16
    group_gib: int = 32 * 1024
    may_copy_snapshots: bool = False
    tags_per_resource: int = 20
    data_disks_per_instance: int = 16
    images_per_region: int = 100
    image_families_per_region: int = 50
    images_per_family: int = 50
    accounts_per_image: int = 50
    buckets_per_region: int = 100
    concurrent_exports: int = 5
    bulk_exports: int = 10
    bulk_export_items: int = 100
    bulk_export_concurrency: int = 20
    export_data_disks: int = 4
    export_data_disk_gib: int = 500
    import_disk_gib: int = 32 * 1024
    expired_instance: timedelta = timedelta(days=15)
    keys_per_region: int = 200
    connection: timedelta = timedelta(seconds=15)
    idempotency: timedelta = timedelta(hours=24)
    compatibility: Compatibility = Compatibility.FAQ


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The caller of a verb, as the verb sees it.

    Attributes:
        session: of the transaction that the caller opened and will commit.
        account_id: who calls. Another account's resources do not exist for this one.
        region_id: where the call was made; a resource is found by its id from any region of the account.
        clock: the time.
        limits: the quotas.
        lists: what is remembered of long lists.
    """

    session: Session
    account_id: AccountId
    region_id: RegionId
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    lists: LongLists = field(default_factory=LongLists)

    @property
    def compatibility(self) -> Compatibility:
        """Which description of the service counts where the FAQ and today's API differ."""
        return self.limits.compatibility
