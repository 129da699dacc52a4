"""The standing of an account, and what its keys may do."""

from enum import Enum
from typing import Final


class AccountStanding(Enum):
    """Whether an account may use the service."""

    NORMAL = "normal"
    OVERDUE = "overdue"  # a bill is due and not paid; nothing else is different yet
    SUSPENDED = "suspended"  # no new snapshots, and nothing new from snapshots
    PURGING = "purging"  # the same, and everything goes that no disk, image or lock holds

    @property
    def is_suspended(self) -> bool:
        """Whether the snapshot service is suspended for the account."""
        return self in (AccountStanding.SUSPENDED, AccountStanding.PURGING)


STANDING_TRANSITIONS: Final[dict[AccountStanding, frozenset[AccountStanding]]] = {
    # an operator may suspend an account whatever it owes
    AccountStanding.NORMAL: frozenset({AccountStanding.OVERDUE, AccountStanding.SUSPENDED}),
    AccountStanding.OVERDUE: frozenset({AccountStanding.NORMAL, AccountStanding.SUSPENDED}),
    AccountStanding.SUSPENDED: frozenset({AccountStanding.NORMAL, AccountStanding.PURGING}),
    AccountStanding.PURGING: frozenset({AccountStanding.NORMAL}),
}


class AccountEventKind(Enum):
    """What the history of an account tells."""

    STANDING = "standing"  # its standing changed
    SNAPSHOT_DELETED = "snapshot-deleted"
    POLICY_DELETED = "policy-deleted"


class KeyRole(Enum):
    """What calls signed with a key may do. Set when the key is made; a key never gets another role."""

    READ_ONLY = "read-only"  # look
    OPERATOR = "operator"  # create and change as well, but not delete
    ADMINISTRATOR = "administrator"  # everything that the API offers


class Access(Enum):
    """What a call does to the account's resources, from the least to the most."""

    READ = "read"
    CHANGE = "change"
    DELETE = "delete"


ALLOWED: Final[dict[KeyRole, frozenset[Access]]] = {
    KeyRole.READ_ONLY: frozenset({Access.READ}),
    KeyRole.OPERATOR: frozenset({Access.READ, Access.CHANGE}),
    KeyRole.ADMINISTRATOR: frozenset(Access),
}
