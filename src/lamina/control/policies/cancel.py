"""Take a policy off disks."""

from collections.abc import Sequence

from lamina.control.policies.apply import get_disks
from lamina.control.policies.queries import get_policy
from lamina.control.scope import Scope
from lamina.ids import DiskId, PolicyId


def cancel_policy(scope: Scope, disk_ids: Sequence[DiskId], policy_id: PolicyId | None = None) -> None:
    """Take the policy off disks, or only this policy; a disk without one stays as it is. All of them, or none.

    Raises:
        PolicyNotFoundError: the account has no such policy in the region.
        DiskNotFoundError: the account has no such disk in the region.
    """
    if policy_id is not None:
        get_policy(scope, policy_id)
    for disk in get_disks(scope, disk_ids):
        if policy_id in (None, disk.policy_id):
            disk.policy_id = disk.policy_applied_at = None
    scope.session.flush()
