"""What runs the machines: the contract of a driver, and the driver that keeps books only.

Every call may come again after it was interrupted, and then leads to the same result: tasks call drivers.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lamina.failures import Fault
from lamina.ids import DiskId, InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A disk as a machine sees it.

    Attributes:
        disk_id: the disk; without its prefix it is the serial number that the guest reads.
        path: the raw file with its bytes.
        size_bytes: how large it is.
        device: the name that the API calls it by, such as `/dev/xvdb`.
    """

    disk_id: DiskId
    path: Path
    size_bytes: int
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that is to run.

    Attributes:
        instance_id: the instance.
        cores: virtual cores.
        memory_bytes: memory.
        drives: its disks, the system disk first.
    """

    instance_id: InstanceId
    cores: int
    memory_bytes: int
    drives: tuple[Drive, ...]


class MachineDriver(Protocol):
    """Runs machines on this host."""

    def start(self, machine: Machine) -> None:
        """Have a machine run; nothing happens if it does already.

        Raises:
            Fault: it cannot be started; it does not run.
        """
        ...

    def stop(self, instance_id: InstanceId, *, is_forced: bool) -> None:
        """Have a machine not run; nothing happens if it does not. Its disks are closed afterwards.

        Args:
            instance_id: which one.
            is_forced: cut its power instead of asking the guest to shut down.

        Raises:
            Fault: it could not be stopped; it may still run.
        """
        ...

    def attach(self, instance_id: InstanceId, drive: Drive) -> None:
        """Give a running machine a further disk; nothing happens if it has it, or does not run.

        Raises:
            Fault: the machine refused.
        """
        ...

    def detach(self, instance_id: InstanceId, disk_id: DiskId) -> None:
        """Take a disk from a running machine; it is closed afterwards. Nothing happens if the machine has it not.

        Raises:
            Fault: the machine refused; it may still have the disk.
        """
        ...

    def resize(self, instance_id: InstanceId, drive: Drive) -> None:
        """Tell a running machine that a disk has grown to the size that `drive` says.

        Raises:
            Fault: the machine refused.
        """
        ...


class DriveMissingError(Fault):
    """A disk's file is not there, or shorter than the disk."""

    def __init__(self, drive: Drive, size_bytes: int | None) -> None:
        found = "is not there" if size_bytes is None else f"has {size_bytes} bytes"
        super().__init__(
            f"the file of disk {drive.disk_id} {found} and must have {drive.size_bytes} bytes",
            retryable=False,
        )


class BookkeepingDriver:
    """Machines of which only the state is kept: no program runs, and no guest writes.

    It holds what it can: a machine does not start, and no disk is attached, unless the files of its disks are there
    in full size.
    """

    def start(self, machine: Machine) -> None:
        """Look at every drive."""
        for drive in machine.drives:
            _check(drive)

    def stop(self, instance_id: InstanceId, *, is_forced: bool) -> None:
        """Nothing runs that would have to be stopped."""

    def attach(self, instance_id: InstanceId, drive: Drive) -> None:  # noqa: ARG002 - the contract's
        """Look at the drive."""
        _check(drive)

    def detach(self, instance_id: InstanceId, disk_id: DiskId) -> None:
        """Nobody has the disk open."""

    def resize(self, instance_id: InstanceId, drive: Drive) -> None:  # noqa: ARG002 - the contract's
        """Look at the drive."""
        _check(drive)


def _check(drive: Drive) -> None:
    try:
        size_bytes = drive.path.stat().st_size
    except FileNotFoundError as error:
        raise DriveMissingError(drive, None) from error
    if size_bytes < drive.size_bytes:
        raise DriveMissingError(drive, size_bytes)
