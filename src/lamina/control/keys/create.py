"""Make keys."""

from sqlalchemy import func, select

from lamina.control.keys.errors import KeyQuotaError
from lamina.control.keys.records import KeyRecord
from lamina.control.keys.states import KeyOrigin, KeyState
from lamina.control.scope import Scope
from lamina.ids import mint_key_id


def create_key(scope: Scope, description: str | None = None) -> KeyRecord:
    """Make a key of the account in the scope's region; it is `Enabled` at once.

    Raises:
        KeyQuotaError: there are as many as there may be.
    """
    count = scope.session.scalar(
        select(func.count()).where(
            KeyRecord.account_id == scope.account_id,
            KeyRecord.region_id == scope.region_id,
            KeyRecord.origin == KeyOrigin.CUSTOMER,
            KeyRecord.state != KeyState.DESTROYED,
        )
    )
    if (count or 0) >= scope.limits.keys_per_region:
        raise KeyQuotaError(scope.limits.keys_per_region)
    return _add(scope, KeyOrigin.CUSTOMER, description)


def ensure_service_key(scope: Scope) -> KeyRecord:
    """The service's key of the account and region, for disks that are encrypted without naming one."""
    known = scope.session.scalars(
        select(KeyRecord).where(
            KeyRecord.account_id == scope.account_id,
            KeyRecord.region_id == scope.region_id,
            KeyRecord.origin == KeyOrigin.SERVICE,
        )
    ).one_or_none()
    return known or _add(scope, KeyOrigin.SERVICE, "made for disks that are encrypted without naming a key")


def _add(scope: Scope, origin: KeyOrigin, description: str | None) -> KeyRecord:
    key = KeyRecord(
        id=mint_key_id(),
        account_id=scope.account_id,
        region_id=scope.region_id,
        origin=origin,
        state=KeyState.ENABLED,
        description=description,
        created_at=scope.clock.now(),
    )
    scope.session.add(key)
    scope.session.flush()
    return key
