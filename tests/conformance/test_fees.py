"""What snapshots cost: the price list for everybody, and the account's own bill, beside the official API."""

import csv
import http.client
import io
import json
import uuid
from decimal import Decimal

import alibabacloud_ecs20140526.models as m
import pytest

from lamina.cli.client import CallRefusedError
from tests.conformance.conftest import REGION

MIB = 1 << 20
COLUMNS = [
    "region_id",
    "valid_from",
    "currency",
    "standard_per_gib_month",
    "archive_per_gib_month",
    "source",
    "seen_on",
]


@pytest.fixture(scope="module")
def payer(service):
    """An account of this file's own, so that its bill is known."""
    account = service.add_account()
    yield account
    account.close()


@pytest.fixture(scope="module")
def snapshots(payer):
    """Two snapshots of one disk, 2 MiB and 1 MiB."""
    disk_id = payer.make_disk(b"\1" * (2 * MIB))
    first = payer.make_snapshot(disk_id)
    payer.write(disk_id, b"\2" * MIB)
    return disk_id, [first, payer.make_snapshot(disk_id)]


def fetch(service, path, *, method="GET", **headers):
    connection = http.client.HTTPConnection(service.host, timeout=10)
    try:
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        reply = connection.getresponse()
        return reply, reply.read()
    finally:
        connection.close()


def test_b51_e04_anybody_downloads_the_price_list_as_csv(service):
    reply, body = fetch(service, "/prices.csv")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert 'filename="prices.csv"' in reply.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert list(rows[0]) == COLUMNS
    assert rows[0]["region_id"] == "default"
    assert {Decimal(row["standard_per_gib_month"]) for row in rows if row["region_id"] == REGION} == {
        Decimal("0.0200"),
        Decimal("0.0173"),
    }
    assert all(row["source"] and row["seen_on"] for row in rows)


def test_b51_e04_the_price_list_as_json_says_the_same(service):
    reply, body = fetch(service, "/prices.json")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    document = json.loads(body)
    assert (document["currency"], document["unit"]) == ("USD", "GiB-month")
    rows = list(csv.DictReader(io.StringIO(fetch(service, "/prices.csv")[1].decode())))
    assert [{name: value or "" for name, value in each.items()} for each in document["prices"]] == rows


@pytest.mark.parametrize("path", ["/prices.csv", "/prices.json"])
def test_b51_a_price_list_that_is_known_is_not_sent_again(service, path):
    reply, body = fetch(service, path)
    tag = reply.headers["etag"]
    assert reply.headers["cache-control"].startswith("public")
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again, nothing = fetch(service, path, if_none_match=known)
        assert (again.status, nothing, again.headers["etag"]) == (304, b"", tag)
    other, whole = fetch(service, path, if_none_match='"other"')
    assert (other.status, whole) == (200, body)
    head, nothing = fetch(service, path, method="HEAD")
    assert (head.status, nothing, head.headers["content-length"]) == (200, b"", str(len(body)))
    assert fetch(service, path, method="POST")[0].status >= 400


def test_b51_the_price_list_in_the_terminal(account, service):
    table = account.run("bill", "prices").stdout
    assert "0.0173" in table
    assert REGION in table
    assert account.run("bill", "prices", "--csv").stdout.encode().replace(b"\r\n", b"\n") == fetch(
        service, "/prices.csv"
    )[1].replace(b"\r\n", b"\n")
    listed = json.loads(account.run("bill", "prices", "--json").stdout)
    assert [
        each["StandardPerGibMonth"] for each in listed if each["RegionId"] == REGION and each["InForce"]
    ] == ["0.0173"]


def test_e07_without_snapshots_there_is_nothing_to_pay(service):
    account = service.add_account()
    account.make_disk(b"\1" * MIB)
    found = account.lamina().call("DescribeBill")
    assert found["Lines"]["Line"] == []
    assert (found["Bill"]["Total"], found["Bill"]["Forecast"], found["Bill"]["Status"]) == (
        "0.00",
        "0.00",
        "open",
    )
    rules = account.lamina().call("DescribePrices")["BillingRules"]["BillingRule"]
    assert [(each["FreeGib"], each["HoursPerMonth"]) for each in rules if each["InForce"]] == [("0", 720)]
    account.close()


def test_b50_e07_fees_start_with_the_first_snapshot(payer, snapshots):
    disk_id, _ = snapshots
    [line] = payer.lamina().call("DescribeBill")["Lines"]["Line"]
    assert (line["Kind"], line["RegionId"], line["DiskId"]) == ("storage", REGION, disk_id)
    assert (line["Category"], line["SnapshotCount"], line["EndBytes"]) == ("standard", 2, 3 * MIB)
    assert line["Hours"] >= 1
    assert line["ByteHours"] >= 3 * MIB, "every snapshot from its own first hour on"
    assert (line["PricePerGibMonth"], line["HoursPerMonth"]) == ("0.0173", 720)
    exact = Decimal(line["ByteHours"]) / (1 << 30) * Decimal("0.0173") / 720
    assert abs(Decimal(line["Amount"]) - exact) <= Decimal("0.005")


def test_e03_the_bill_has_the_bytes_that_usage_shows(payer, snapshots):
    sdk = payer.new_sdk()
    usage = sdk.describe_snapshots_usage(m.DescribeSnapshotsUsageRequest(region_id=REGION)).body
    links = sdk.describe_snapshot_links(m.DescribeSnapshotLinksRequest(region_id=REGION)).body
    lines = payer.lamina().call("DescribeBill")["Lines"]["Line"]
    billed = {line["SnapshotLinkId"]: line["EndBytes"] for line in lines}
    assert {link.snapshot_link_id: link.total_size for link in links.snapshot_links.snapshot_link} == billed
    assert sum(billed.values()) == usage.snapshot_size
    assert sum(line["SnapshotCount"] for line in lines) == usage.snapshot_count


def test_b50_the_bill_in_the_terminal(payer, snapshots):
    disk_id, _ = snapshots
    table = payer.run("bill", "show").stdout
    assert disk_id in table
    assert "forecast" in table
    [row] = csv.DictReader(io.StringIO(payer.run("bill", "show", "--csv").stdout))
    assert (row["disk_id"], row["end_bytes"]) == (disk_id, str(3 * MIB))
    document = json.loads(payer.run("bill", "show", "--json").stdout)
    assert document["Lines"][0]["DiskId"] == disk_id
    assert payer.run("bill", "show", "--month", document["Month"]).stdout.startswith("month")
    assert json.loads(payer.run("bill", "list", "--json").stdout) == []
    assert payer.run("bill", "show", "--csv", "--json", check=False).returncode == 2


def test_b50_lines_are_paged_and_months_are_checked(service):
    account = service.add_account()
    for each in (b"\1", b"\2"):
        account.make_snapshot(account.make_disk(each * MIB))
    client = account.lamina()
    first = client.call("DescribeBill", {"MaxResults": 1})
    assert first["LineCount"] == 2
    second = client.call("DescribeBill", {"MaxResults": 1, "NextToken": first["NextToken"]})
    assert second["NextToken"] == ""
    whole = client.call("DescribeBill")["Lines"]["Line"]
    assert [line["DiskId"] for page in (first, second) for line in page["Lines"]["Line"]] == [
        line["DiskId"] for line in whole
    ]
    for month, code in {"2026-13": "InvalidMonth.Malformed", "1999-12": "InvalidMonth.NotFound"}.items():
        with pytest.raises(CallRefusedError) as refused:
            client.call("DescribeBill", {"Month": month})
        assert refused.value.code == code
    with pytest.raises(CallRefusedError) as refused:
        client.call("DescribeBill", {"NextToken": uuid.uuid4().hex})
    assert refused.value.code == "InvalidParameter.NextToken"
    account.close()


def test_b50_nobody_sees_the_bill_of_another_account(account, payer, snapshots):
    disks = {line["DiskId"] for line in account.lamina().call("DescribeBill")["Lines"]["Line"]}
    assert snapshots[0] not in disks
    assert account.lamina().call("DescribeBills")["TotalCount"] == 0
