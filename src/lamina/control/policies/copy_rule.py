"""Where copies of a policy's snapshots go."""

from dataclasses import dataclass

from lamina.control.keys.choose import AS_SOURCE, Encryption
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRule:
    """Where copies of a policy's snapshots go.

    Attributes:
        region_id: another region than the policy's.
        retention_days: how long the copies are kept; None is for ever.
        encryption: of the copies, with a key of that region; snapshots that are encrypted have no others.
    """

    region_id: RegionId
    retention_days: int | None
    encryption: Encryption = AS_SOURCE
