from datetime import UTC, datetime, timedelta

import pytest

from lamina.api.codes import ThrottledError
from lamina.api.rate_limit import RateLimiter
from lamina.clock import ManualClock
from lamina.control.preferences import CallRates


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def make_limiter(clock, *, per_action=1000, per_key=1000):
    return RateLimiter(clock, CallRates(per_action=per_action, per_key=per_key))


def spend(limiter, count, account="a", key="k", action="A"):
    for n in range(count):
        try:
            limiter.spend(account, key, action)
        except ThrottledError:
            return n
    return count


def test_the_code_is_the_one_on_which_clients_wait(clock):
    limiter = make_limiter(clock, per_action=1)
    spend(limiter, 100)
    with pytest.raises(ThrottledError) as refused:
        limiter.spend("a", "k", "A")
    assert (refused.value.code.status, refused.value.code.text) == (400, "Throttling")


def test_a_burst_is_allowed_then_the_rate(clock):
    limiter = make_limiter(clock, per_action=5)
    assert spend(limiter, 100) == 20
    clock.advance(timedelta(seconds=2))
    assert spend(limiter, 100) == 10


@pytest.mark.parametrize("rate", [0.25, 3, 700])
def test_who_waits_for_as_long_as_it_was_told_is_let_in(clock, rate):
    limiter = make_limiter(clock, per_action=rate, per_key=10_000)
    spend(limiter, 10_000)
    for _ in range(5):
        with pytest.raises(ThrottledError) as refused:
            limiter.spend("a", "k", "A")
        clock.advance(timedelta(seconds=refused.value.wait_seconds) + timedelta(microseconds=1))
        limiter.spend("a", "k", "A")


def test_accounts_and_actions_do_not_share(clock):
    limiter = make_limiter(clock, per_action=1)
    spend(limiter, 100)
    assert spend(limiter, 100, account="b", key="l") == 4
    assert spend(limiter, 100, action="B") == 4


def test_a_key_has_a_rate_whatever_it_calls_and_leaves_the_rest_to_the_others(clock):
    limiter = make_limiter(clock, per_action=100, per_key=1)
    assert spend(limiter, 3, action="A") == 3
    assert spend(limiter, 100, action="B") == 1
    assert spend(limiter, 100, key="l", action="B") == 4


def test_a_refused_call_uses_nothing_up(clock):
    limiter = make_limiter(clock, per_action=1, per_key=2)
    spend(limiter, 100, action="A")
    assert spend(limiter, 100, action="B") == 4, (
        "the key had 8 tokens, and the refused calls took none of them"
    )


def test_buckets_that_are_full_again_are_forgotten(clock):
    limiter = make_limiter(clock, per_action=1, per_key=1)
    for n in range(5_000):
        limiter.spend(str(n), f"k{n}", "A")
    clock.advance(timedelta(seconds=10))
    limiter.spend("one more", "k", "A")
    assert len(limiter._buckets) == 2
