"""Refusals about tags."""

from lamina.failures import Refusal


class TagKeyError(Refusal):
    """A tag's key breaks the rules."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"the tag key {key!r} {reason}")
        self.key = key


class TagValueError(Refusal):
    """A tag's value breaks the rules."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"the value of the tag {key!r} {reason}")
        self.key = key


class TagQuotaError(Refusal):
    """The resource would have too many tags."""

    def __init__(self, resource_id: str, maximum: int) -> None:
        super().__init__(f"{resource_id} can have {maximum} tags at most; remove some first")
        self.resource_id = resource_id
        self.maximum = maximum
