"""How a task ended, and what its steps left behind for one another."""

from enum import Enum
from typing import Final, TypeVar

import msgspec

from lamina.failures import Cancelled, Corruption, Fault, LaminaError, Refusal

T = TypeVar("T")


class FailureKind(Enum):
    """Which of the ways to end badly it was; the classes of `lamina.failures`, and bugs."""

    REFUSAL = "refusal"
    FAULT = "fault"
    CORRUPTION = "corruption"
    CANCELLED = "cancelled"
    BUG = "bug"


_FOR_CALLERS: Final = (FailureKind.REFUSAL, FailureKind.CORRUPTION, FailureKind.CANCELLED)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a task did not succeed, as it is stored.

    Attributes:
        kind: the way it ended.
        message: for people; a bug's message is for the log only and stands here as its class name.
    """

    kind: FailureKind
    message: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """What `error` means for a task."""
        if not isinstance(error, LaminaError):
            return cls(kind=FailureKind.BUG, message=f"internal error ({type(error).__name__})")
        for kind, family in (
            (FailureKind.CANCELLED, Cancelled),
            (FailureKind.CORRUPTION, Corruption),
            (FailureKind.FAULT, Fault),
            (FailureKind.REFUSAL, Refusal),
        ):
            if isinstance(error, family):
                return cls(kind=kind, message=str(error))
        raise AssertionError(f"{type(error).__name__} belongs to no family of failures")

    @property
    def told(self) -> str:
        """What an account is told: what a fault says (paths, hosts, the database's own words) is for the operator."""
        return self.message if self.kind in _FOR_CALLERS else "an internal failure"


class Checkpoints:
    """What the steps of one task saved, by step name. Values are plain dataclasses or structs.

    Attributes:
        text: the JSON object as it is stored.
    """

    def __init__(self, text: str) -> None:
        self._saved = msgspec.json.decode(text, type=dict[str, msgspec.Raw])

    @property
    def text(self) -> str:
        """Everything saved so far, as one JSON object."""
        return msgspec.json.encode(self._saved).decode()

    def load(self, step: str, value_type: type[T]) -> T | None:
        """What `step` saved last, or None."""
        raw = self._saved.get(step)
        return None if raw is None else msgspec.json.decode(raw, type=value_type)

    def save(self, step: str, value: object) -> None:
        """Replace what `step` saved. Durable only once the text is written to the task's row."""
        self._saved[step] = msgspec.Raw(msgspec.json.encode(value))


class Outcome:
    """The end of a task, as its kind's `settle` sees it.

    Attributes:
        failure: why it failed or was cancelled; None is success.
        checkpoints: what its steps saved.
    """

    def __init__(self, failure: Failure | None, checkpoints: Checkpoints) -> None:
        self.failure = failure
        self.checkpoints = checkpoints
