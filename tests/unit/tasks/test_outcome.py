"""What is told of a task that failed, and to whom."""

import pytest

from lamina.failures import Cancelled, Corruption, Fault, Refusal
from lamina.tasks.outcome import Failure


@pytest.mark.parametrize("error", [Refusal("why"), Corruption("why"), Cancelled("why")])
def test_an_account_is_told_what_it_can_do_something_about(error):
    assert Failure.of(error).told == "why"


@pytest.mark.parametrize(
    "error", [Fault("/srv/disks is full", retryable=True), OSError("/srv"), KeyError("/srv")]
)
def test_paths_hosts_and_bugs_are_for_the_operator(error):
    assert Failure.of(error).told == "an internal failure"
