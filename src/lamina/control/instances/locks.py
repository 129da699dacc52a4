"""Locks: why nothing may be done with an instance or its disks (ECS API, appendix on locked resources)."""

from datetime import datetime

from sqlalchemy.orm import Session

from lamina.control.accounts.errors import AccountNotFoundError
from lamina.control.accounts.records import AccountRecord
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceExpiredError,
    InstanceNotFoundError,
    InstanceSecurityLockError,
)
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import LockReason
from lamina.control.scope import Scope
from lamina.ids import AccountId, InstanceId


def set_security_lock(session: Session, instance_id: InstanceId, *, is_locked: bool) -> None:
    """Lock an instance for security, or unlock it. The operator's business: no account may do it.

    Raises:
        InstanceNotFoundError: there is no such instance.
    """
    instance = session.get(InstanceRecord, instance_id)
    if instance is None:
        raise InstanceNotFoundError(instance_id)
    instance.is_security_locked = is_locked


def is_in_arrears(session: Session, account_id: AccountId) -> bool:
    """Whether the account's payments are overdue, so that its instances and disks are locked.

    Raises:
        AccountNotFoundError: there is no such account.
    """
    account = session.get(AccountRecord, account_id)
    if account is None:
        raise AccountNotFoundError(account_id)
    return account.standing.is_suspended


def list_locks(instance: InstanceRecord | None, *, is_overdue: bool, now: datetime) -> tuple[LockReason, ...]:
    """Why an instance, or a disk of it, is locked; `None` is a disk without an instance."""
    is_expired = instance is not None and instance.is_expired(now)
    reasons = [LockReason.FINANCIAL] if is_overdue or is_expired else []
    if instance is not None and instance.is_security_locked:
        reasons.append(LockReason.SECURITY)
    return tuple(reasons)


def require_not_security_locked(instance: InstanceRecord) -> None:
    """Let nothing pass that the operator's lock forbids.

    Raises:
        InstanceSecurityLockError: the operator locked the instance.
    """
    if instance.is_security_locked:
        raise InstanceSecurityLockError(instance.id)


def require_unlocked(scope: Scope, instance: InstanceRecord) -> None:
    """Let nothing pass that a lock forbids.

    Raises:
        InstanceSecurityLockError: the operator locked the instance.
        InstanceArrearsError: as `require_paid`.
    """
    require_not_security_locked(instance)
    require_paid(scope, instance)


def require_paid(scope: Scope, instance: InstanceRecord) -> None:
    """Let nothing pass that costs what nobody pays for.

    Raises:
        InstanceExpiredError: what was paid for the instance in advance is used up.
        InstanceArrearsError: the account's payments are overdue.
    """
    if instance.is_expired(scope.clock.now()):
        raise InstanceExpiredError(instance.id)
    if is_in_arrears(scope.session, scope.account_id):
        raise InstanceArrearsError
