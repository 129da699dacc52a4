"""The standing of an account, and what its keys may do."""

from enum import Enum
from typing import Final


class AccountStanding(Enum):
    """Whether an account may use the service. Set by `standing.set_standing`; either may follow the other."""

    NORMAL = "normal"
    SUSPENDED = "suspended"  # no new snapshots, and nothing new from snapshots


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
