"""A bill that has more lines than a page: read to its end by every kind of client, also over the end of a month."""

from datetime import UTC, datetime

import pytest

from lamina.cli import bill as command
from lamina.control.metering.log import Holding, Subject, note_size
from lamina.control.metering.records import StorageClass
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
