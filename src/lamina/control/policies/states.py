"""What became of a policy's point in time."""

from enum import Enum
from typing import Final


class RunOutcome(Enum):
    """What is recorded of a point: once for the policy, and once for each of its disks."""

    # for the policy
    RUNNING = "running"  # its disks are gone through
    FINISHED = "finished"
    FAILED = "failed"  # not all disks were gone through
    MISSED = "missed"  # the service did not run at that time, and it was too late when it did again
    SUSPENDED = "suspended"  # the account may not make snapshots
    # for one disk
    STARTED = "started"  # a snapshot was started
    SKIPPED = "skipped"  # none could be started


TRANSITIONS: Final[dict[RunOutcome, frozenset[RunOutcome]]] = {
    RunOutcome.RUNNING: frozenset({RunOutcome.FINISHED, RunOutcome.FAILED}),
    RunOutcome.FINISHED: frozenset(),
    RunOutcome.FAILED: frozenset(),
    # the clock was wrong, and the point comes again
    RunOutcome.MISSED: frozenset({RunOutcome.RUNNING, RunOutcome.SUSPENDED}),
    RunOutcome.SUSPENDED: frozenset(),
    RunOutcome.STARTED: frozenset(),
    RunOutcome.SKIPPED: frozenset(),
}


class PolicyStatus(Enum):
    """Whether a policy runs, as the ECS API names it. Follows from the account's standing."""

    NORMAL = "Normal"
    EXPIRE = "Expire"  # the account is suspended
