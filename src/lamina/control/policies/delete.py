"""Delete an automatic snapshot policy."""

from sqlalchemy import update

from lamina.control.disks.records import DiskRecord
from lamina.control.policies.queries import get_policy
from lamina.control.scope import Scope
from lamina.control.tags.put import drop_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import PolicyId


def delete_policy(scope: Scope, policy_id: PolicyId) -> None:
    """Remove a policy from its disks and forget it. Its snapshots stay for as long as they were to be kept.

    Raises:
        PolicyNotFoundError: the account has no such policy in the region.
    """
    policy = get_policy(scope, policy_id)
    scope.session.execute(
        update(DiskRecord)
        .where(DiskRecord.policy_id == policy_id)
        .values(policy_id=None, policy_applied_at=None)
    )
    drop_tags(scope.session, ResourceType.POLICY, policy_id)
    scope.session.delete(policy)
    scope.session.flush()
