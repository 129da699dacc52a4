"""Why a payment is not recorded."""

from decimal import Decimal

from lamina.failures import Refusal


class AmountError(Refusal):
    """What was given is no amount that can be recorded."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r} is no amount: {reason}")


class ReferenceUsedError(Refusal):
    """The reference names another payment."""

    def __init__(self, reference: str, amount: Decimal, currency: str) -> None:
        super().__init__(
            f"the reference {reference!r} was used for {amount:f} {currency}; give this one another reference, or none"
        )


class CurrencyError(Refusal):
    """What was given is no currency."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is no currency: write its three capital letters, such as USD")
