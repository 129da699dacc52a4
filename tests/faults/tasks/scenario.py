"""How one kind of task is tested."""

from collections.abc import Callable
from dataclasses import dataclass

from lamina.tasks.task import TaskKind
from tests.factories.installation import Site


@dataclass(frozen=True)
class Scenario:
    """How one kind of task is tested.

    Attributes:
        kind: the kind.
        prepare: makes what the task needs and starts it; answers what the checks need to know.
        check_success: asserts that the task did its work.
        check_failure: asserts that the task left no trace, or the one that it must leave.
    """

    kind: TaskKind
    prepare: Callable[[Site], object]
    check_success: Callable[[Site, object], None]
    check_failure: Callable[[Site, object], None]

    def __str__(self) -> str:
        return self.kind.name
