"""What the demo shows: numbered steps with their times, progress while something takes long, a table at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table


def format_size(value: float) -> str:
    """`value` bytes for people."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"


class Screen:
    """Talks to a person: a spinner and colours on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._number = 0
        self._figures: list[tuple[str, str, str, str]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """One step of the story; gives a function that takes a line about what came of it."""
        self._number += 1
        lines: list[str] = []
        started = time.monotonic()
        self.console.print(f"[bold]{self._number:2}  {title}[/bold]")
        if self.console.is_terminal:
            with self.console.status("working …"):
                yield lines.append
        else:
            yield lines.append
        for line in lines:
            self.console.print(f"    {line}")
        self.console.print(f"    [dim]{time.monotonic() - started:.1f} s[/dim]")

    def record(self, what: str, *, size: float, seconds: float, note: str) -> None:
        """A row for the table at the end."""
        duration = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
        self._figures.append((what, format_size(size), duration, note))

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[int], None]]:
        """A bar for something that tells its percentage; gives a function that takes it."""
        if not self.console.is_terminal:
            yield lambda _percent: None
            return
        columns = (TextColumn("    {task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(title, total=100)
            yield lambda percent: bar.update(task, completed=percent)

    def say(self, *lines: str) -> None:
        """Plain lines."""
        for line in lines:
            self.console.print(line)

    def show_figures(self, total_seconds: float) -> None:
        """Everything that was recorded, as a table."""
        table = Table(title="In figures", title_justify="left", box=None, padding=(0, 3, 0, 0))
        table.add_column("what")
        table.add_column("bytes", justify="right")
        table.add_column("time", justify="right")
        table.add_column("")
        for row in self._figures:
            table.add_row(*row)
        table.add_row("the whole demo", "", f"{total_seconds:.0f} s", "")
        self.console.print()
        self.console.print(table)
