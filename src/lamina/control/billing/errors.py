"""Why a bill is not shown."""

from lamina.failures import Refusal


class BillNotFoundError(Refusal):
    """The account has no bill for that month."""

    def __init__(self, month: str, first: str, last: str) -> None:
        super().__init__(
            f"there is no bill for {month}; the bills of this account are from {first} to {last}"
        )
