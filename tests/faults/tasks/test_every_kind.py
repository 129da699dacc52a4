"""What every kind of task must survive. A new kind is added to `scenarios.SCENARIOS`, and gets all of this."""

from datetime import timedelta

import pytest

from lamina.control.disks.start import restart_disks
from lamina.control.kinds import KINDS
from lamina.control.provisioning.restart import restart_emptied_disks, restart_instances
from lamina.control.snapshots.restart import restart_snapshots
from lamina.failures import Fault, Refusal
from lamina.tasks.lease import LEASE
from lamina.tasks.runner import Runner
from tests.factories.tasks import Killed, change_step, once, raise_first, then_raise, twice
from tests.faults.tasks.scenarios import EVERY_STEP, EVERY_UNDO, SCENARIOS, name_case

FINAL = Refusal("refused by the test")
PASSING = Fault("failed by the test", retryable=True)
every_step = pytest.mark.parametrize(("scenario", "index"), EVERY_STEP, ids=name_case)
every_undo = pytest.mark.parametrize(("scenario", "index"), EVERY_UNDO, ids=name_case)


def run(site, changed):
    """Carry out what is due with a changed kind, then wait out every pause and lease with it."""
    kinds = [changed if kind.name == changed.name else kind for kind in KINDS]
    lanes = {kind.lane: 1 for kind in kinds}
    runner = Runner(site.installation.database, site.clock, site.installation, kinds, lanes)
    for _ in range(20):
        try:
            runner.run_until_idle()
        except Killed:
            site.clock.advance(LEASE)
        site.clock.advance(timedelta(minutes=2))


def test_every_kind_has_a_scenario():
    assert {scenario.kind.name for scenario in SCENARIOS} == {kind.name for kind in KINDS}


@every_step
def test_a_step_that_is_done_twice_gives_the_same_result(site, scenario, index):
    made = scenario.prepare(site)
    run(site, change_step(scenario.kind, index, run=twice))
    scenario.check_success(site, made)


@every_step
def test_a_kill_after_a_step_costs_nothing_but_time(site, scenario, index):
    made = scenario.prepare(site)
    run(site, change_step(scenario.kind, index, run=once(then_raise(Killed()))))
    scenario.check_success(site, made)


@every_step
@pytest.mark.parametrize("wrap", [then_raise, raise_first])
def test_a_passing_fault_costs_nothing_but_time(site, scenario, index, wrap):
    made = scenario.prepare(site)
    run(site, change_step(scenario.kind, index, run=once(wrap(PASSING))))
    scenario.check_success(site, made)


@every_step
@pytest.mark.parametrize("error", [FINAL, PASSING, ValueError("a bug")], ids=["refusal", "fault", "bug"])
@pytest.mark.parametrize("wrap", [then_raise, raise_first])
def test_a_step_that_cannot_be_done_leaves_no_trace(site, scenario, index, wrap, error):
    made = scenario.prepare(site)
    run(site, change_step(scenario.kind, index, run=wrap(error)))
    scenario.check_failure(site, made)


@every_undo
@pytest.mark.parametrize("wrap", [twice, once(then_raise(Killed())), once(then_raise(PASSING))])
def test_an_undo_may_be_interrupted_and_done_twice(site, scenario, index, wrap):
    made = scenario.prepare(site)
    last = len(scenario.kind.steps) - 1
    changed = change_step(scenario.kind, last, run=then_raise(FINAL))
    run(site, change_step(changed, index, undo=wrap))
    scenario.check_failure(site, made)


@every_step
def test_what_failed_and_must_go_on_is_taken_up_again(site, scenario, index):
    made = scenario.prepare(site)
    run(site, change_step(scenario.kind, index, run=then_raise(FINAL)))
    scenario.check_failure(site, made)
    is_kept = scenario.kind.name in (
        "roll-back-disk",
        "reinit-disk",
        "remove-disk",
        "remove-snapshot",
        "release-instance",
    )
    restart_disks(site.installation)
    restart_snapshots(site.installation)
    restart_instances(site.installation)
    restart_emptied_disks(site.installation)
    if site.work():
        assert is_kept
        scenario.check_success(site, made)
    else:
        assert not is_kept or scenario.kind.steps[index].name == "look"
