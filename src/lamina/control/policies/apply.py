"""Apply a policy to disks."""

from collections.abc import Sequence

from sqlalchemy import select

from lamina.control.disks.errors import DiskCategoryError, DiskNotFoundError
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.policies.errors import PartlyUnsupportedError
from lamina.control.policies.queries import get_policy
from lamina.control.scope import Scope
from lamina.ids import DiskId, PolicyId


def apply_policy(scope: Scope, policy_id: PolicyId, disk_ids: Sequence[DiskId]) -> None:
    """Apply a policy to disks; it takes the place of the one that a disk had. All of them, or none.

    Raises:
        PolicyNotFoundError: the account has no such policy in the region.
        DiskNotFoundError: the account has no such disk in the region.
        DiskCategoryError: the one disk is of a category that has no snapshots.
        PartlyUnsupportedError: some of several disks are.
    """
    get_policy(scope, policy_id)
    disks = get_disks(scope, disk_ids)
    unsupported = [disk for disk in disks if not disk.category.supports_snapshots]
    if unsupported and len(disks) == 1:
        raise DiskCategoryError(unsupported[0].category.value)
    if unsupported:
        raise PartlyUnsupportedError([disk.id for disk in unsupported])
    now = scope.clock.now()
    for disk in disks:
        if disk.policy_id != policy_id:
            disk.policy_id, disk.policy_applied_at = policy_id, now
    scope.session.flush()


def get_disks(scope: Scope, disk_ids: Sequence[DiskId]) -> Sequence[DiskRecord]:
    """Several disks of the account in the region.

    Raises:
        DiskNotFoundError: one of them is not there.
    """
    disks = scope.session.scalars(
        select(DiskRecord).where(
            DiskRecord.id.in_(disk_ids),
            DiskRecord.account_id == scope.account_id,
            DiskRecord.region_id == scope.region_id,
            DiskRecord.state != DiskState.DELETING,
        )
    ).all()
    missing = sorted(set(disk_ids) - {disk.id for disk in disks})
    if missing:
        raise DiskNotFoundError(missing[0])
    return disks
