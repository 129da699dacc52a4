"""Refusals about instances."""

from collections.abc import Collection
from datetime import datetime

from lamina.control.instances.states import InstanceState
from lamina.failures import Refusal
from lamina.ids import DiskId, InstanceId


class InstanceNotFoundError(Refusal):
    """The account has no such instance."""

    def __init__(self, instance_id: InstanceId) -> None:
        super().__init__(f"there is no instance {instance_id}")
        self.instance_id = instance_id


class InstanceStateError(Refusal):
    """The instance is in a state in which this cannot be done.

    Attributes:
        instance_id: the instance.
        state: its state.
        allowed: the states in which it could be done.
    """

    def __init__(
        self, instance_id: InstanceId, state: InstanceState, allowed: Collection[InstanceState]
    ) -> None:
        names = " or ".join(sorted(each.value for each in allowed))
        super().__init__(f"instance {instance_id} is {state.value}; it must be {names}")
        self.instance_id = instance_id
        self.state = state
        self.allowed = tuple(allowed)


class InstancePendingError(Refusal):
    """The instance is still being made."""

    def __init__(self, instance_id: InstanceId) -> None:
        super().__init__(f"instance {instance_id} is being made; wait until it is Stopped")
        self.instance_id = instance_id


class InstanceTypeError(Refusal):
    """There is no such type of instance."""

    def __init__(self, type_id: str) -> None:
        super().__init__(f"there is no instance type {type_id}; DescribeInstanceTypes lists them")
        self.type_id = type_id


class InstanceSecurityLockError(Refusal):
    """The operator locked the instance."""

    def __init__(self, instance_id: InstanceId) -> None:
        super().__init__(f"instance {instance_id} is locked for security; ask the operator to unlock it")
        self.instance_id = instance_id


class InstanceArrearsError(Refusal):
    """The account's payments are overdue, so that its instances stand still."""

    def __init__(self, message: str = "the account's payments are overdue; settle them first") -> None:
        super().__init__(message)


class InstanceExpiredError(InstanceArrearsError):
    """What was paid for the instance in advance is used up; it stands still until it is released."""

    def __init__(self, instance_id: InstanceId) -> None:
        super().__init__(
            f"instance {instance_id} has expired; make another one, and attach its data disks there"
        )
        self.instance_id = instance_id


class InstancePrepaidError(Refusal):
    """An instance that is paid for in advance is released only when that time is over."""

    def __init__(self, instance_id: InstanceId, expires_at: datetime) -> None:
        super().__init__(
            f"instance {instance_id} is paid for until {expires_at:%Y-%m-%dT%H:%M}Z; after that it can be released "
            "with TerminateSubscription"
        )
        self.instance_id = instance_id
        self.expires_at = expires_at


class DeletionProtectionError(Refusal):
    """The instance is protected from being released."""

    def __init__(self, instance_id: InstanceId) -> None:
        super().__init__(
            f"instance {instance_id} is protected from deletion; turn DeletionProtection off first"
        )
        self.instance_id = instance_id


class InstanceNotRunningError(Refusal):
    """Something was to be done while the machine runs, and it does not."""

    def __init__(self, disk_id: DiskId) -> None:
        super().__init__(f"disk {disk_id} is not part of a Running instance; resize it with Type=offline")
        self.disk_id = disk_id


class SystemDiskMissingError(Refusal):
    """The instance has nothing to boot from."""

    def __init__(self, instance_id: InstanceId) -> None:
        super().__init__(f"instance {instance_id} has no system disk; attach one with Bootable")
        self.instance_id = instance_id
