"""Say whether and where the snapshots of a policy are copied."""

from dataclasses import dataclass, replace
from typing import Final

from lamina.control.keys.choose import AS_SOURCE, Encryption, choose_new_key
from lamina.control.policies.copy_rule import CopyRule
from lamina.control.policies.errors import CopyTargetMissingError, TargetRegionError
from lamina.control.policies.records import PolicyRecord
from lamina.control.policies.retention import Retention
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.regions.queries import get_region
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import CopyNotOfferedError
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyWish:
    """What somebody says of the copies; None leaves it as it is. Of copies that are not made nothing else counts.

    Attributes:
        is_enabled: whether copies are made.
        region_id: another region than the policy's.
        retention: of later copies; those that exist keep theirs.
        encryption: of later copies, with a key of their region.
    """

    is_enabled: bool | None = None
    region_id: RegionId | None = None
    retention: Retention | None = None
    encryption: Encryption | None = None


NOTHING_SAID: Final = CopyWish()


def set_copies(scope: Scope, policy: PolicyRecord, wish: CopyWish) -> None:
    """Change what becomes of later snapshots of a policy.

    Raises:
        CopyTargetMissingError: no region is named, now or before.
        CopyNotOfferedError: the installation does not offer copies.
        TargetRegionError: copies cannot go there.
        KeyWithoutEncryptionError, KeyNotFoundError, KeyNotEnabledError: they cannot be encrypted so.
    """
    if wish.is_enabled is not None:
        policy.copies = wish.is_enabled
    if wish == NOTHING_SAID or not policy.copies:
        return
    old = policy.copy_rule
    region_id = wish.region_id or (old.region_id if old else None)
    if region_id is None:
        raise CopyTargetMissingError
    _check_target(scope, region_id)
    rule = CopyRule(
        region_id=region_id,
        retention_days=wish.retention.days if wish.retention else old.retention_days if old else None,
        encryption=wish.encryption or (old.encryption if old else AS_SOURCE),
    )
    choose_new_key(replace(scope, region_id=region_id), rule.encryption)
    policy.copy_rule = rule


def _check_target(scope: Scope, region_id: RegionId) -> None:
    if not scope.limits.may_copy_snapshots:
        raise CopyNotOfferedError
    if region_id == scope.region_id:
        raise TargetRegionError(region_id, "that is the policy's own region; choose another one")
    try:
        get_region(scope.session, region_id)
    except RegionNotFoundError as error:
        raise TargetRegionError(region_id, str(error)) from error
