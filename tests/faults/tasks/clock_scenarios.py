"""The task that moves the clock of an installation."""

from dataclasses import replace
from datetime import datetime, timedelta

from lamina.control.advance import ADVANCE_CLOCK, CLOCK, advance_clock
from lamina.control.movable_clock import MovableClock, make_movable
from lamina.tasks.runner import Runner
from tests.factories.installation import Site
from tests.faults.tasks.scenario import Scenario

STEP = timedelta(minutes=50)


def _prepare(site: Site) -> datetime:
    make_movable(site.installation.directory)
    site.installation = replace(
        site.installation, clock=MovableClock(site.installation.directory, site.clock)
    )
    return _start(site)


def _start(site: Site) -> datetime:
    target = _now(site) + STEP
    with site.installation.database.transaction() as session:
        advance_clock(session, site.installation.clock, target)
    return target


def _now(site: Site) -> datetime:
    """What the next process would find."""
    return MovableClock(site.installation.directory, site.clock).now()


def _is_moved(site: Site, target: datetime) -> None:
    assert _now(site) >= target


def _can_be_moved(site: Site, _target: datetime) -> None:
    """Wherever the clock stands, it goes on from there."""
    target = _start(site)
    installation = site.installation
    Runner(
        installation.database, installation.clock, installation, [ADVANCE_CLOCK], {CLOCK: 1}
    ).run_until_idle()
    _is_moved(site, target)


SCENARIOS = [Scenario(ADVANCE_CLOCK, _prepare, _is_moved, _can_be_moved)]
