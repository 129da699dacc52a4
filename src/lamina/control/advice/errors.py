"""Why a snapshot is not weighed."""

from lamina.failures import Refusal
from lamina.ids import RegionId


class RepositoryMissingError(Refusal):
    """There is nothing in the store that could be looked at."""

    def __init__(self, region_id: RegionId) -> None:
        super().__init__(f"the account has no data in the store of {region_id}")


class NoTimeError(Refusal):
    """Whoever asks has waited long enough."""

    def __init__(self) -> None:
        super().__init__("there is no time left to compare snapshots")
