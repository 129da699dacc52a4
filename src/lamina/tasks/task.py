"""What a kind of task is: its name, its steps, and what its end means for the resource it works on.

A kind is declared once, as a value, next to the verb that starts it. `P` is the plant: whatever the steps
need (databases, folders, repositories), chosen where the process is put together. `A` is a frozen dataclass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

import msgspec
from sqlalchemy.orm import Session

from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome

P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)
A = TypeVar("A")

QUICK: Final = "quick"
"""The lane of work that takes moments: it never waits behind a copy."""
COPY: Final = "copy"
"""The lane of work that moves the bytes of a disk."""
BULK: Final = "bulk"
"""The lane of work that starts much other work, a little at a time: what takes moments must not wait behind it."""

ATTEMPTS_MAX: Final = 6
"""Tries of one step before its task fails; with the pauses of `lease.backoff` about a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[P, A]):
    """One step of a task.

    Guarantees that the functions must give: `run` may be called again after it was interrupted anywhere or
    even finished, and then leads to the same result; `undo` leads back to where the step began, whether
    `run` did nothing, a part, or all, and may be called twice.

    Attributes:
        name: under which its checkpoint is kept.
        run: does it. Raises `Fault`, `Refusal` or `Corruption` when it cannot.
        undo: removes its traces. Without one the step leaves none that matter.
    """

    name: str
    run: Callable[[P, A, StepContext], None]
    undo: Callable[[P, A, StepContext], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKind(Generic[P, A]):
    """One kind of task.

    Attributes:
        name: as stored in the row; never changes once released.
        arguments: the class of its arguments.
        lane: `QUICK`, `COPY`, `BULK`, or one of the kind's own.
        steps: in order. When one fails for good, it and those before it are undone, last first.
        settle: writes what the end means for the resource, in the transaction that ends the task. It runs once,
            does no I/O, and must accept a resource that is gone.
        is_background: nobody waits for such tasks, unless whoever enqueues one says otherwise.
    """

    name: str
    arguments: type[A]
    lane: str
    steps: tuple[Step[P, A], ...]
    settle: Callable[[P, Session, A, Outcome], None]
    is_background: bool = False

    def bind(self, arguments: str) -> "BoundTask[P]":
        """The steps with their arguments filled in.

        Args:
            arguments: JSON, as in the task's row.
        """
        decoded = msgspec.json.decode(arguments, type=self.arguments)
        settle = self.settle
        return BoundTask(
            steps=tuple(_bind(step, decoded) for step in self.steps),
            settle=lambda plant, session, outcome: settle(plant, session, decoded, outcome),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundStep(Generic[P_contra]):
    """A step with its arguments; `undo` does nothing where the step has none."""

    name: str
    run: Callable[[P_contra, StepContext], None]
    undo: Callable[[P_contra, StepContext], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTask(Generic[P_contra]):
    """A task that can be carried out."""

    steps: tuple[BoundStep[P_contra], ...]
    settle: Callable[[P_contra, Session, Outcome], None]


class AnyKind(Protocol[P_contra]):
    """A kind whose arguments' type does not matter any more."""

    @property
    def name(self) -> str:
        """The name in the task's row."""
        ...

    @property
    def lane(self) -> str:
        """Which threads take it."""
        ...

    def bind(self, arguments: str) -> "BoundTask[P_contra]":
        """The steps with their arguments filled in."""
        ...


def _bind(step: Step[P, A], arguments: A) -> BoundStep[P]:
    run, undo = step.run, step.undo

    def undo_bound(plant: P, context: StepContext) -> None:
        if undo is not None:
            undo(plant, arguments, context)

    return BoundStep(
        name=step.name, run=lambda plant, context: run(plant, arguments, context), undo=undo_bound
    )
