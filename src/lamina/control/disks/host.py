"""What the instance of a disk allows: the rules of the contract that depend on the machine's state."""

from typing import Final

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.volumes import Volumes
from lamina.control.instances.driver import Drive
from lamina.control.instances.locks import require_unlocked
from lamina.control.instances.queries import require_state
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.scope import Scope

SETTLED: Final = (InstanceState.RUNNING, InstanceState.STOPPED)
_STOPPED: Final = (InstanceState.STOPPED,)


def find_host(scope: Scope, disk: DiskRecord) -> InstanceRecord | None:
    """The instance that a disk belongs to, also one that is being released."""
    return scope.session.get(InstanceRecord, disk.instance_id) if disk.instance_id is not None else None


def require_host_stopped(scope: Scope, disk: DiskRecord) -> None:
    """Let only a disk pass whose bytes may be replaced: its instance, if it has one, is unlocked and `Stopped`.

    Raises:
        InstanceSecurityLockError: the operator locked the instance.
        InstanceArrearsError: the account's payments are overdue.
        InstanceStateError: the instance is not `Stopped`.
    """
    host = find_host(scope, disk)
    if host is not None:
        require_unlocked(scope, host)
        require_state(host, _STOPPED)


def require_host_settled(scope: Scope, disk: DiskRecord) -> InstanceRecord | None:
    """Let only a disk pass that can be changed beside its bytes: its instance is unlocked and runs or stands still.

    Raises:
        InstanceSecurityLockError: the operator locked the instance.
        InstanceArrearsError: the account's payments are overdue.
        InstanceStateError: the instance is neither `Running` nor `Stopped`.
    """
    host = find_host(scope, disk)
    if host is not None:
        require_unlocked(scope, host)
        require_state(host, SETTLED)
    return host


def describe_drive(volumes: Volumes, disk: DiskRecord) -> Drive:
    """A disk for the driver of its instance."""
    assert disk.device is not None, "a disk of an instance has a device"
    return Drive(
        disk_id=disk.id, path=volumes.raw_path(disk.id), size_bytes=disk.size_bytes, device=disk.device
    )
