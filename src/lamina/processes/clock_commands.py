"""`lamina clock`: the movable clock of an installation that was made for tests, on its data directory."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from lamina.cli.output import json_option, print_facts, print_json
from lamina.clock import Clock, SystemClock
from lamina.control.advance import advance_clock
from lamina.control.installation import is_serving, open_metadata
from lamina.control.movable_clock import ClockNotMovableError, MovableClock, is_movable
from lamina.database import Database
from lamina.failures import Fault, Refusal
from lamina.ids import TaskId
from lamina.processes.data_dir import choose_data_dir, data_dir_option
from lamina.tasks.errors import TaskBusyError
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import ACTIVE, TaskState

_STEP: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LOOK_SECONDS: Final = 0.05
_PERCENT: Final = 100


class _Step(click.ParamType[timedelta]):
    name = "step"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = _STEP.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no step of time; write 90m, 36h, 16d or 2w", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.group()
def clock() -> None:
    """The movable clock of an installation that was made with `lamina serve --movable-clock`."""


@clock.command("show")
@data_dir_option
@json_option
def show(data_dir: Path | None, *, as_json: bool) -> None:
    """Show the installation's time and how far it is ahead of real time."""
    _tell(choose_data_dir(data_dir), as_json=as_json)


@clock.command("advance")
@click.argument("step", type=_Step())
@data_dir_option
@json_option
def advance(step: timedelta, data_dir: Path | None, *, as_json: bool) -> None:
    """Move the clock ahead by STEP, such as 16d or 36h; the service must run.

    Everything that is due in between happens in order: policies, retention, locks, bills, arrears.
    """
    directory = choose_data_dir(data_dir)
    installation_clock = _open_clock(directory)
    if not is_serving(directory):
        raise Refusal(
            f"no service runs on {directory}, so nothing could happen meanwhile; start `lamina serve`"
        )
    with open_metadata(directory) as (database, _):
        try:
            with database.transaction() as session:
                task_id = advance_clock(session, installation_clock, installation_clock.now() + step)
        except TaskBusyError as error:
            raise Refusal("the clock is being moved already; wait until that has ended") from error
        _wait(database, task_id, SystemClock())
    _tell(directory, as_json=as_json)


def _open_clock(directory: Path) -> MovableClock:
    if not is_movable(directory):
        raise ClockNotMovableError(directory)
    return MovableClock(directory, SystemClock())


def _tell(directory: Path, *, as_json: bool) -> None:
    now, real = _open_clock(directory).now(), SystemClock().now()
    facts = {"now": _show(now), "real_time": _show(real), "ahead": str(now - real).partition(".")[0]}
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def _show(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _wait(database: Database, task_id: TaskId, real: Clock) -> None:
    with click.progressbar(length=_PERCENT, label="moving the clock", file=sys.stderr) as bar:
        while True:
            with database.reading() as session:
                task = session.get_one(TaskRecord, task_id)
                state, failure = task.state, task.failure
                percent = _PERCENT * task.progress_done // max(1, task.progress_known)
            bar.update(percent - bar.pos)
            if state not in ACTIVE:
                break
            real.sleep(_LOOK_SECONDS)
    if state is not TaskState.SUCCEEDED:
        raise Fault(f"the clock was not moved to the end: {failure}", retryable=True)
