"""ClientTokens (contract a.7)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.idempotency.replay import find_outcome, forget_outcomes, record_outcome
from lamina.ids import AccountId, RegionId
from tests.factories.tasks import rolled_back

CALL = {"action": "CreateDisk", "token": "n:data", "digest": "1f"}


@pytest.fixture
def scope(site):
    with site.scope() as scope:
        yield scope


def test_the_first_call_has_no_outcome_and_the_second_gets_it(scope):
    assert find_outcome(scope, **CALL) is None
    record_outcome(scope, **CALL, outcome='{"disk":"d-1"}')
    assert find_outcome(scope, **CALL) == '{"disk":"d-1"}'


def test_other_parameters_are_refused(scope):
    record_outcome(scope, **CALL, outcome="{}")
    with pytest.raises(TokenReusedError):
        find_outcome(scope, **CALL | {"digest": "2f"})


def test_tokens_are_apart_by_account_region_action_and_case(scope):
    record_outcome(scope, **CALL, outcome="{}")
    assert find_outcome(replace(scope, account_id=AccountId("1")), **CALL) is None
    assert find_outcome(replace(scope, region_id=RegionId("eu")), **CALL) is None
    assert find_outcome(scope, **CALL | {"action": "CreateSnapshot"}) is None
    assert find_outcome(scope, **CALL | {"token": "N:DATA"}) is None


def test_an_outcome_is_valid_for_a_day(site, scope):
    record_outcome(scope, **CALL, outcome="{}")
    site.clock.advance(timedelta(hours=24) - timedelta(microseconds=1))
    assert find_outcome(scope, **CALL) == "{}"
    site.clock.advance(timedelta(microseconds=1))
    assert find_outcome(scope, **CALL) is None
    record_outcome(scope, **CALL | {"digest": "2f"}, outcome="[]")
    assert find_outcome(scope, **CALL | {"digest": "2f"}) == "[]"


def test_old_outcomes_are_forgotten(site, scope):
    record_outcome(scope, **CALL, outcome="{}")
    forget_outcomes(scope.session, before=site.clock.now())
    assert find_outcome(scope, **CALL) == "{}"
    forget_outcomes(scope.session, before=site.clock.now() + timedelta(seconds=1))
    assert find_outcome(scope, **CALL) is None


def test_a_call_that_is_rolled_back_leaves_no_outcome(site):
    with rolled_back(site.scope()) as scope:
        record_outcome(scope, **CALL, outcome="{}")
    with site.scope() as scope:
        assert find_outcome(scope, **CALL) is None
