"""The standing of an account."""

from enum import Enum


class AccountStanding(Enum):
    """Whether an account may use the service. Set by `standing.set_standing`; either may follow the other."""

    NORMAL = "normal"
    SUSPENDED = "suspended"  # no new snapshots, and nothing new from snapshots
