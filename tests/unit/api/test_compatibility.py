"""Codes that the FAQ's time and today's API write differently, where the edge itself answers them."""

from dataclasses import replace

import pytest

from lamina.api.server import Pipeline
from lamina.control.preferences import Compatibility


@pytest.mark.parametrize(
    ("compatibility", "action", "key"),
    [
        (Compatibility.FAQ, (403, "InvalidAction"), (400, "InvalidAccessKeyId.NotFound")),
        (Compatibility.API_2026, (404, "InvalidAction.NotFound"), (404, "InvalidAccessKeyId.NotFound")),
    ],
)
def test_what_is_unknown(installation, caller, compatibility, action, key):
    services = installation.services
    limits = replace(services.limits, compatibility=compatibility)
    caller.pipeline = Pipeline(replace(services, limits=limits))
    answer = caller.call("Nonsense")
    assert (answer.status, answer.code) == action
    caller.key = replace(caller.key, id="LTAInobody")
    answer = caller.call("DescribeRegions")
    assert (answer.status, answer.code) == key
