"""Rate limits, replay protection and size limits hold for all actions: a new one cannot be left out."""

import math

import pytest

from lamina.api.registry import load_actions
from lamina.control.preferences import CallRates
from tests.factories.api import make_installation

NAMES = sorted(action.name for action in load_actions().values())
SECONDS = 8  # between two calls of an action
# What the whole pipeline can answer to a call without parameters; what is tested here comes before them.
LIMITED = ("Throttling", "SignatureNonceUsed", "RequestTooLarge")


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A service that takes one call of each action every few seconds."""
    rates = CallRates(per_action=1 / SECONDS, per_key=10_000)
    installation = make_installation(tmp_path_factory.mktemp("slow"), rates=rates)
    yield installation
    installation.services.database.close()


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    installation = make_installation(tmp_path_factory.mktemp("fast"))
    yield installation.add_caller()
    installation.services.database.close()


@pytest.fixture(scope="module")
def callers(slow):
    return slow.add_caller("one"), slow.add_caller("another")


def waits(answer):
    headers = dict(answer.reply.headers)
    return headers.get("x-acs-retry-after"), headers.get("retry-after")


@pytest.mark.parametrize("name", NAMES)
def test_each_account_has_its_own_rate_for_each_action(callers, name):
    one, another = callers
    assert one.call(name).code not in LIMITED
    refused = one.call(name)
    assert (refused.status, refused.code) == (400, "Throttling")
    assert waits(refused) == (str(math.ceil(1000 * SECONDS)), str(math.ceil(SECONDS)))
    served = another.call(name)
    assert served.code not in LIMITED
    assert waits(served) == (None, None)


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_is_sent_again_is_refused(fast, name):
    nonce = {"x-acs-signature-nonce": f"once for {name}"}
    assert fast.send(name, "", **nonce).code not in LIMITED
    again = fast.send(name, "", **nonce)
    assert (again.status, again.code) == (400, "SignatureNonceUsed")


@pytest.mark.parametrize("name", NAMES)
def test_a_query_that_is_too_long_is_refused(fast, name):
    fits = fast.send(name, "Surplus=" + "x" * (64 * 1024 - len("Surplus=")))
    assert fits.code not in LIMITED
    refused = fast.send(name, "Surplus=" + "x" * (64 * 1024))
    assert refused.status == 413
    assert b"RequestTooLarge" in refused.reply.body


def test_the_rate_of_a_key_is_for_all_actions_together(tmp_path):
    installation = make_installation(tmp_path, rates=CallRates(per_action=1000, per_key=1))
    caller = installation.add_caller()
    answers = [caller.call(name) for name in NAMES[:6]]
    assert [answer.code == "Throttling" for answer in answers] == [False] * 4 + [True] * 2
    assert waits(answers[4]) == ("1000", "1")
    assert installation.add_caller("another").call(NAMES[0]).code != "Throttling"
    installation.services.database.close()
