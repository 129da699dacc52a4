"""Rate limits of a served installation, as the official clients see them."""

import re
import time

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ThrottlingException

from tests.conformance.conftest import REGION, Service
from tests.factories.service_process import serving


def call_often(call):
    for _ in range(10):
        call()


@pytest.fixture
def slow(tmp_path):
    """An account of a service that takes one call of each action per second, and four at once."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lamina.toml").write_text("[limits]\ncalls_per_second = 1\n")
    with serving(tmp_path) as (_, lines):
        endpoint = re.search(r"http://\S+", lines[-1])[0]
        account = Service(tmp_path / "data", endpoint, tmp_path / "log").add_account()
        yield account
        account.close()


def test_the_new_client_is_told_how_long_to_wait(slow):
    client = slow.new_sdk()
    request = m.DescribeZonesRequest(region_id=REGION)
    with pytest.raises(ThrottlingException) as refused:
        call_often(lambda: client.describe_zones(request))
    assert (refused.value.code, refused.value.status_code) == ("Throttling", 400)
    assert 0 < refused.value.retry_after <= 1000
    client.describe_regions(m.DescribeRegionsRequest())  # the others have tokens of their own
    time.sleep(refused.value.retry_after / 1000)
    assert client.describe_zones(request).body.zones.zone


def test_the_old_client_waits_by_itself(slow):
    started = time.monotonic()
    answers = [slow.old("DescribeZones") for _ in range(6)]
    assert all(answer["Zones"]["Zone"] for answer in answers)
    assert time.monotonic() - started > 1, "four calls pass at once, and two have to wait for a second each"
