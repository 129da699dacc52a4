"""The states of an instance, as the ECS API names them, and which may follow which."""

from enum import Enum
from typing import Final


class InstanceState(Enum):
    """Where an instance stands."""

    PENDING = "Pending"  # its disks are being made
    STOPPED = "Stopped"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    RELEASING = "Releasing"  # accepted for deletion: never listed, and not found any more


TRANSITIONS: Final[dict[InstanceState, frozenset[InstanceState]]] = {
    InstanceState.PENDING: frozenset({InstanceState.STOPPED}),
    InstanceState.STOPPED: frozenset({InstanceState.STARTING, InstanceState.RELEASING}),
    InstanceState.STARTING: frozenset(
        {InstanceState.RUNNING, InstanceState.STOPPED, InstanceState.RELEASING}
    ),
    InstanceState.RUNNING: frozenset({InstanceState.STOPPING, InstanceState.RELEASING}),
    InstanceState.STOPPING: frozenset(  # a reboot goes on with starting
        {InstanceState.STOPPED, InstanceState.STARTING, InstanceState.RUNNING, InstanceState.RELEASING}
    ),
    InstanceState.RELEASING: frozenset(),
}


class ChargeType(Enum):
    """How an instance is paid for."""

    PREPAID = "PrePaid"
    POSTPAID = "PostPaid"


class StoppedMode(Enum):
    """What a stopped instance still costs; recorded and shown, since instances are not billed."""

    KEEP_CHARGING = "KeepCharging"
    STOP_CHARGING = "StopCharging"
    NOT_APPLICABLE = "Not-applicable"


class LockReason(Enum):
    """Why operations on an instance and its disks are refused, as `OperationLocks` shows it."""

    FINANCIAL = "financial"  # the account's payments are overdue, or what was paid in advance is used up
    SECURITY = "security"  # the operator locked the instance
