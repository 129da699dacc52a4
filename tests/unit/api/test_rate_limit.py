from datetime import UTC, datetime, timedelta

import pytest

from lamina.api.codes import ApiError
from lamina.api.rate_limit import RateLimiter
from lamina.clock import ManualClock


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def spend(limiter, count, account="a", action="A"):
    for n in range(count):
        try:
            limiter.spend(account, action)
        except ApiError:
            return n
    return count


def test_the_code_is_the_one_on_which_clients_wait(clock):
    limiter = RateLimiter(clock, calls_per_second=1)
    spend(limiter, 100)
    with pytest.raises(ApiError) as refused:
        limiter.spend("a", "A")
    assert (refused.value.code.status, refused.value.code.text) == (400, "Throttling")


def test_a_burst_is_allowed_then_the_rate(clock):
    limiter = RateLimiter(clock, calls_per_second=5)
    assert spend(limiter, 100) == 20
    clock.advance(timedelta(seconds=2))
    assert spend(limiter, 100) == 10


def test_accounts_and_actions_do_not_share(clock):
    limiter = RateLimiter(clock, calls_per_second=1)
    spend(limiter, 100)
    assert spend(limiter, 100, account="b") == 4
    assert spend(limiter, 100, action="B") == 4


def test_buckets_that_are_full_again_are_forgotten(clock):
    limiter = RateLimiter(clock, calls_per_second=1)
    for n in range(10_000):
        limiter.spend(str(n), "A")
    clock.advance(timedelta(seconds=10))
    limiter.spend("one more", "A")
    assert len(limiter._buckets) == 1
