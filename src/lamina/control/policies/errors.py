"""Refusals about policies."""

from collections.abc import Collection

from lamina.failures import Refusal
from lamina.ids import DiskId, PolicyId, RegionId


class PolicyNotFoundError(Refusal):
    """The account has no such policy in this region."""

    def __init__(self, policy_id: PolicyId) -> None:
        super().__init__(f"there is no automatic snapshot policy {policy_id} in this region")
        self.policy_id = policy_id


class PolicyQuotaError(Refusal):
    """The account has as many policies in the region as it may have."""

    def __init__(self, region_id: RegionId, maximum: int) -> None:
        super().__init__(f"there are {maximum} policies in {region_id}, the most allowed; delete some first")
        self.region_id = region_id
        self.maximum = maximum


class PartlyUnsupportedError(Refusal):
    """Some disks of a list are of categories that have no snapshots; nothing was changed.

    Attributes:
        disk_ids: these disks.
    """

    def __init__(self, disk_ids: Collection[DiskId]) -> None:
        super().__init__(f"{', '.join(sorted(disk_ids))} have no snapshots; leave these disks out")
        self.disk_ids = tuple(disk_ids)


class TargetRegionError(Refusal):
    """Copies cannot go to this region."""

    def __init__(self, region_id: str, reason: str) -> None:
        super().__init__(f"snapshots cannot be copied to {region_id}: {reason}")
        self.region_id = region_id


class CopyTargetMissingError(Refusal):
    """Copies are to be made, and where is not said."""

    def __init__(self) -> None:
        super().__init__('TargetCopyRegions must name the region that copies go to, such as ["cn-beijing"]')


class AutomaticQuotaError(Refusal):
    """A disk has as many automatic snapshots as it may have, and none of them may go."""

    def __init__(self, disk_id: DiskId, maximum: int) -> None:
        super().__init__(
            f"disk {disk_id} has {maximum} automatic snapshots, the most allowed, and none may go: images or disks "
            "use them, or they are locked"
        )
        self.disk_id = disk_id
        self.maximum = maximum
