"""Reconcilers: jobs without input that look at what is and mend what does not fit. Run at start and then regularly.

They take no hints, even where somebody knows what changed, so that the rare way and the common way are the same.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lamina.telemetry import get_logger, log_failure

_LOGGER: Final = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """One job.

    Attributes:
        name: for the log.
        every_seconds: the pause after each run.
        run: does it; safe to call at any time, and again after it was interrupted.
    """

    name: str
    every_seconds: float
    run: Callable[[], None]


class Reconciling:
    """Runs reconcilers, each in a thread of its own: a slow one keeps no other waiting.

    A run that fails is logged and tried again in its turn.
    """

    def __init__(self, reconcilers: Sequence[Reconciler]) -> None:
        self._reconcilers = tuple(reconcilers)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=(each,), name=f"reconcile-{each.name}", daemon=True)
            for each in reconcilers
        ]

    def run_all(self) -> None:
        """Run each of them once, here and now."""
        for reconciler in self._reconcilers:
            _run(reconciler)

    def start(self) -> None:
        """Run all of them, and then again and again, until `stop`."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Start no further run. One that is under way ends with the process: it is safe at any point."""
        self._stopping.set()

    def _loop(self, reconciler: Reconciler) -> None:
        while not self._stopping.is_set():
            _run(reconciler)
            self._stopping.wait(reconciler.every_seconds)


def _run(reconciler: Reconciler) -> None:
    try:
        reconciler.run()
    except Exception as failure:  # noqa: BLE001 - it must run again in its turn, whatever went wrong
        log_failure(_LOGGER, "a reconciler failed", failure, reconciler=reconciler.name)
