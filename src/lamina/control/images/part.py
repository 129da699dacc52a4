"""A part of a step's work, as the progress of the whole: the parts count alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from lamina.tasks.context import StepContext
from lamina.transfer.progress import Progress

_SCALE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of several parts that are done one after the other.

    Attributes:
        context: of the step.
        index: which part, from 0.
        count: how many there are.
    """

    context: StepContext
    index: int
    count: int

    def report(self, share: float) -> None:
        """So much of this part is done, from 0 to 1; what comes before it is."""
        self.context.progress(*self._measure(share))

    @contextmanager
    def following(self, progress: Progress) -> Iterator[None]:
        """Take the progress of this part from a pipeline, and stop the pipeline when the step should stop.

        Raises:
            LeaseLostError, WorkerStoppingError, Cancelled: at the end, if it should: one of three reasons, of which
                the pipeline knows none.
        """

        def read() -> tuple[int, int]:
            reading = progress.read()
            return self._measure(reading.done_bytes / reading.known_bytes if reading.known_bytes else 0.0)

        try:
            with self.context.following(read, progress.cancel):
                yield
        finally:
            self.context.check()

    def _measure(self, share: float) -> tuple[int, int]:
        return round((self.index + min(share, 1.0)) * _SCALE), self.count * _SCALE
