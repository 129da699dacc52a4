"""The plan of arrears, page by page: nothing is left out or told twice, also when something goes between two pages."""

from decimal import Decimal

import pytest
from sqlalchemy import delete

from lamina.control.arrears.facts import forecast
from lamina.control.payments.post import NewCharge, charge_bill
from lamina.control.policies.records import PolicyRecord
from lamina.ids import AccountId
from tests.factories.api import REGION, ZONE
from tests.factories.crowd import Crowd, fill


@pytest.fixture
def plan(installation, caller):
    """What is foreseen for an account with a thousand snapshots, some of which are held or end by themselves."""
    services = installation.services
    account_id = AccountId(caller.key.account_id)
    fill(
        services.database,
        Crowd(account_id=account_id, region_id=REGION, zone_id=ZONE, snapshots=1000, teams=2),
    )
    rules = services.tariff.rules
    bill = NewCharge(bill_id="b-1", currency="USD", total=Decimal(5), is_collected=True)
    with services.database.transaction(of=account_id) as session:
        charge_bill(session, account_id, bill, installation.clock.now(), rules)
    with services.database.reading() as session:
        return forecast(session, account_id, installation.clock.now(), rules)


def read_pages(caller, size, turn=lambda: None):
    found, token = [], {}
    while True:
        page = caller.call("DescribeArrearsForecast", MaxResults=size, **token)
        assert page.status == 200, page.json
        found += [each["ResourceId"] for each in page.json["Departures"]["Departure"]]
        if not page.json["NextToken"]:
            return found
        token = {"NextToken": page.json["NextToken"]}
        turn()


def test_pages_are_the_plan_in_its_order(caller, plan):
    assert {each.goes_at is None for each in plan} == {True, False}
    wanted = [each.id for each in plan]
    assert len(wanted) > 1000
    for size in (1000, 170):
        assert read_pages(caller, size) == wanted


def test_what_goes_in_between_hides_nothing_else(installation, caller, plan):
    def drop_policies():
        with installation.services.database.transaction() as session:
            session.execute(delete(PolicyRecord))

    found = read_pages(caller, 600, drop_policies)
    assert len(set(found)) == len(found)
    assert {each.id for each in plan if each.snapshot_id is not None} <= set(found)
