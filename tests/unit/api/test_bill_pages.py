"""A bill that has more lines than a page: read to its end by every kind of client, also over the end of a month."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from lamina.api.server import Pipeline
from lamina.cli import bill as command
from lamina.control.metering.log import Holding, Subject, note_size
from lamina.control.metering.records import StorageClass
from lamina.control.tariff.prices import PriceList
from lamina.ids import AccountId, DiskId, SnapshotId
from tests.factories.api import REGION

DISKS = [f"d-{number}" for number in range(5)]
APRIL = datetime(2026, 4, 1, 0, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def stored(installation, caller):
    """A snapshot of each disk."""
    with installation.services.database.transaction() as session:
        for disk_id in DISKS:
            subject = Subject(
                snapshot_id=SnapshotId(f"s-of-{disk_id}"),
                disk_id=DiskId(disk_id),
                account_id=AccountId(caller.key.account_id),
                region_id=REGION,
            )
            holding = Holding(storage_class=StorageClass.STANDARD, size_bytes=1 << 40)
            note_size(session, subject, holding, installation.clock.now())


def read_pages(caller, *, named, turn=lambda: None):
    """Months and disks of all pages of two lines; `named` says whether later calls name the month."""
    first = page = caller.call("DescribeBill", MaxResults=2).json
    months, disks = [page["Bill"]["Month"]], [line["DiskId"] for line in page["Lines"]["Line"]]
    while page["NextToken"]:
        turn()
        month = {"Month": first["Bill"]["Month"]} if named else {}
        page = caller.call("DescribeBill", MaxResults=2, NextToken=page["NextToken"], **month).json
        months.append(page["Bill"]["Month"])
        disks += [line["DiskId"] for line in page["Lines"]["Line"]]
    return months, disks


@pytest.mark.parametrize("named", [False, True])
def test_pages_of_the_present_month_are_one_bill_also_when_it_ends_in_between(installation, caller, named):
    assert read_pages(caller, named=named) == (["2026-03"] * 3, DISKS)

    def end_the_month():
        installation.clock.instant = APRIL

    assert read_pages(caller, named=named, turn=end_the_month) == (["2026-03"] * 3, DISKS)


def test_a_token_is_for_its_month_and_its_account(installation, caller):
    token = caller.call("DescribeBill", Month="2026-03", MaxResults=2).json["NextToken"]
    for wrong in ({"Month": "2026-02"}, {"RegionId": REGION}):
        answer = caller.call("DescribeBill", NextToken=token, **wrong)
        assert answer.code == "InvalidParameter.NextToken", wrong
    stranger = installation.add_caller("stranger")
    assert stranger.call("DescribeBill", NextToken=token).code == "InvalidParameter.NextToken"


@pytest.mark.parametrize("month", [None, "2026-03"])
def test_the_command_reads_all_lines(caller, monkeypatch, month):
    class Client:
        def call(self, action, parameters):
            given = {name: value for name, value in parameters.items() if value is not None}
            answer = caller.call(action, **given)
            assert answer.status == 200, answer.json
            return answer.json

    monkeypatch.setattr(command, "_LINES_PAGE", 2)
    found, lines = command._read_bill(Client(), month)
    assert (found["Month"], [line["DiskId"] for line in lines]) == ("2026-03", DISKS)


def test_amounts_are_the_same_in_answers_tables_and_csv(installation, caller, capsys):
    """Digit by digit: of large and tiny chains, over a change of prices."""
    tariff = installation.services.tariff
    changed = replace(
        tariff.prices.prices[0], valid_from=date(2026, 3, 1), standard=Decimal("0.1234567890123456")
    )
    prices = PriceList.of("test", (tariff.prices.prices[0], changed))
    services = replace(installation.services, tariff=replace(tariff, prices=prices))
    caller = replace(caller, pipeline=Pipeline(services))
    installation.clock.advance(timedelta(days=20))
    found = caller.call("DescribeBill").json
    lines = found["Lines"]["Line"]
    amounts = [line["Amount"] for line in lines]
    assert len(set(amounts)) == 1
    assert str(sum(map(Decimal, amounts))) == found["Bill"]["Total"]
    hours = 20 * 24 + 1
    exact = Fraction((1 << 40) * hours, (1 << 30) * 720) * Fraction("0.1234567890123456")
    assert abs(Fraction(amounts[0]) - exact) <= Fraction(1, 200)
    command._print_csv(command._LINE_COLUMNS, lines)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [
        (row["disk_id"], row["amount"], row["price_per_gib_month"], row["byte_hours"]) for row in rows
    ] == [(line["DiskId"], line["Amount"], "0.1234567890123456", str((1 << 40) * hours)) for line in lines]
    command._print_bill(found["Bill"], lines)
    table = capsys.readouterr().out
    for line in lines:
        [row] = [each for each in table.splitlines() if line["DiskId"] in each]
        assert f" {line['Amount']} " in row
    assert f"{found['Bill']['Total']} USD" in table
    assert f"{found['Bill']['Forecast']} USD" in table
