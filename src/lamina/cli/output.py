"""What commands print: results on standard output, everything else on standard error.

On a terminal results are tables and long work shows a bar; elsewhere lines are plain, so that they can be
piped. With `--json` standard output holds one JSON document and nothing else.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from lamina.clock import Clock, SystemClock
from lamina.transfer.progress import Reading
from lamina.units import format_bytes

if TYPE_CHECKING:
    from rich.table import Table

_REDRAW_SECONDS: Final = 0.1

DrawRows = Callable[[Sequence[Sequence[str]]], None]
"""Shows the rows of a live table."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
"""The `--json` flag of every command that has a result."""


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under headings on standard output: a table on a terminal, aligned plain columns elsewhere."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, texts)
        return
    widths = [max([len(head), *(len(row[at]) for row in texts)]) for at, head in enumerate(columns)]
    for row in ([head.upper() for head in columns], *texts):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, one pair a line, on standard output."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        click.echo(f"{name.ljust(width)}  {'' if value is None else value}".rstrip())


def say(message: str) -> None:
    """A message for people, on standard error."""
    click.echo(message, err=True)


@contextmanager
def progress_bar(
    title: str, read: Callable[[], Reading], *, enabled: bool = True, clock: Clock | None = None
) -> Iterator[None]:
    """A bar on standard error for as long as the block runs; nothing where that is no terminal.

    Args:
        title: what is going on, such as `capture`.
        read: the counters, such as `lamina.transfer.progress.Progress.read`; called ten times a second.
        enabled: False for commands that were asked to be quiet.
        clock: for the rate.
    """
    if not (enabled and sys.stderr.isatty()):
        yield
        return
    with _rich_bar(title) as draw:
        stopped = threading.Event()
        meter = _Meter(read, clock or SystemClock())
        painter = threading.Thread(target=_paint, args=(meter, draw, stopped), daemon=True)
        painter.start()
        try:
            yield
        finally:
            stopped.set()
            painter.join()
            draw(*meter.read())


@contextmanager
def live_table(columns: Sequence[str], *, enabled: bool = True) -> Iterator[DrawRows]:
    """A table on standard error that is drawn anew whenever the block says so; nothing where that is no terminal.

    Args:
        columns: the headings.
        enabled: False for commands that were asked to be quiet.
    """
    if not (enabled and sys.stderr.isatty()):
        yield lambda _rows: None
        return
    from rich.console import Console  # noqa: PLC0415 - rich takes 50 ms to import
    from rich.live import Live  # noqa: PLC0415 - the same

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield lambda rows: live.update(_make_table(columns, rows), refresh=True)


class _Meter:
    def __init__(self, read: Callable[[], Reading], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._started = clock.monotonic()

    def read(self) -> tuple[Reading, float]:
        reading = self._read()
        elapsed = max(self._clock.monotonic() - self._started, 0.001)
        return reading, reading.done_bytes / elapsed


_Draw = Callable[[Reading, float], None]


def _paint(meter: _Meter, draw: _Draw, stopped: threading.Event) -> None:
    while not stopped.wait(_REDRAW_SECONDS):
        draw(*meter.read())


@contextmanager
def _rich_bar(title: str) -> Iterator[_Draw]:
    from rich.console import Console  # noqa: PLC0415 - rich takes 50 ms to import; `--help` must not pay for it
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - the same

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        task = bar.add_task(title, total=None, note="")

        def draw(reading: Reading, rate: float) -> None:
            note = f"{format_bytes(reading.done_bytes)} of {format_bytes(reading.known_bytes)}"
            note += f", {format_bytes(rate)}/s"
            if reading.stored_bytes:
                note += f", {format_bytes(reading.stored_bytes)} stored"
            bar.update(
                task, completed=reading.done_bytes, total=reading.known_bytes or None, note=note, refresh=True
            )

        yield draw


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - rich takes 50 ms to import

    Console().print(_make_table(columns, rows))


def _make_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - rich takes 50 ms to import
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=None, pad_edge=False)
    for head in columns:
        table.add_column(head)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a name such as `[red]` is no markup
    return table
