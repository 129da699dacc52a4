"""The price list and the rules: what comes with the package, and what an operator may write."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from lamina.control.first_start import DEFAULT_REGION
from lamina.control.installation import open_installation
from lamina.control.metering.records import StorageClass
from lamina.control.tariff.dated_file import DatedFileError
from lamina.control.tariff.prices import read_prices
from lamina.control.tariff.rules import read_rules
from lamina.control.tariff.tariff import Tariff, read_tariff
from lamina.ids import RegionId
from lamina.settings import Settings
from tests.factories.installation import open_site

HEAD = "region_id,valid_from,currency,standard_per_gib_month,archive_per_gib_month,source,seen_on\n"
RULES_HEAD = (
    "valid_from,hours_per_month,counted_hours,free_gib,decimals,"
    "due_days,suspension_hours,purge_days,source,seen_on\n"
)
DEFAULT = "default,1970-01-01,EUR,0.03,,own,2026-01-01\n"


def day(*numbers):
    return datetime(*numbers, tzinfo=UTC)


def test_the_list_that_comes_along_is_dated():
    prices = read_prices()
    assert prices.currency == "USD"
    assert prices.find(DEFAULT_REGION.id, day(2021, 6, 1)).standard == Decimal("0.0200")
    assert prices.find(DEFAULT_REGION.id, day(2026, 6, 1)).standard == Decimal("0.0173")
    assert all(price.source for price in prices.prices)


def test_a_region_that_is_not_in_the_list_has_the_default():
    prices = read_prices()
    assert prices.find(RegionId("xx-nowhere"), day(2026, 6, 1)).region_id == "default"
    assert prices.find(DEFAULT_REGION.id, day(2020, 12, 31)).region_id == "default", "before it has a line"


def test_there_is_no_free_tier_by_default():
    [rule] = read_rules().rules
    assert (rule.free_gib, rule.hours_per_month, rule.counted_hours, rule.decimals) == (0, 720, 1, 2)


def test_an_archived_gib_costs_what_the_list_says(tmp_path):
    own = tmp_path / "own.csv"
    own.write_text(HEAD + DEFAULT + "here,2026-01-01,EUR,0.04,0.01,own,2026-01-01\n")
    prices = read_prices(own)
    here = prices.find(RegionId("here"), day(2026, 1, 1))
    assert here.of(StorageClass.ARCHIVE) == Decimal("0.01")
    there = prices.find(RegionId("there"), day(2026, 1, 1))
    assert there.of(StorageClass.ARCHIVE) == there.of(StorageClass.STANDARD) == Decimal("0.03")


def test_a_month_is_cut_where_the_price_of_its_region_changes(tmp_path):
    own = tmp_path / "own.csv"
    own.write_text(
        HEAD
        + DEFAULT
        + "default,2026-02-11,EUR,0.02,,own,2026-01-01\n"
        + "here,2026-01-01,EUR,0.04,,own,2026-01-01\n"
        + "here,2026-02-20,EUR,0.05,,own,2026-01-01\n"
    )
    tariff = read_tariff(own, None)

    def cut(region_id):
        spans = tariff.split(RegionId(region_id), day(2026, 2, 1), day(2026, 3, 1))
        return [(span.starts_at.day, str(span.price.standard)) for span in spans]

    assert cut("here") == [(1, "0.04"), (20, "0.05")]
    assert cut("there") == [(1, "0.03"), (11, "0.02")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "its first line must be region_id,"),
        ("region,price\n", "its first line must be"),
        (HEAD, "it says nothing"),
        (HEAD + "default,1970-01-01,EUR\n", "line 2: it has 3 cells and must have 7"),
        (HEAD + DEFAULT + "here,soon,EUR,0.1,,own,2026-01-01\n", "line 3: valid_from is 'soon'"),
        (HEAD + "default,1970-01-01,eur,0.1,,own,2026-01-01\n", "currency is 'eur'"),
        (HEAD + "default,1970-01-01,EUR,-1,,own,2026-01-01\n", "standard_per_gib_month is '-1'"),
        (HEAD + "default,1970-01-01,EUR,1e3,,own,2026-01-01\n", "standard_per_gib_month is '1e3'"),
        (HEAD + "default,1970-01-01,EUR,٣,,own,2026-01-01\n", "standard_per_gib_month is '٣'"),
        (HEAD + "default,1970-01-01,EUR,free,,own,2026-01-01\n", "standard_per_gib_month is 'free'"),
        (HEAD + "default,1970-01-01,EUR,0.1,x,own,2026-01-01\n", "archive_per_gib_month is 'x'"),
        (HEAD + "default,1970-01-01,EUR,0.1,,,2026-01-01\n", "source is empty"),
        (HEAD + "De Fault,1970-01-01,EUR,0.1,,own,2026-01-01\n", "region_id is 'De Fault'"),
        (HEAD + DEFAULT + "here,2026-01-01,USD,0.1,,own,2026-01-01\n", "prices in EUR and USD"),
        (HEAD + DEFAULT + DEFAULT, "two lines for default"),
        (HEAD + "here,2026-01-01,USD,0.1,,own,2026-01-01\n", "needs a line for the region default"),
        (HEAD + "default,1999-01-01,EUR,0.1,,own,2026-01-01\n", "from 1970-01-01 on"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(tmp_path, content, reason):
    own = tmp_path / "own.csv"
    own.write_text(content)
    with pytest.raises(DatedFileError) as refused:
        read_prices(own)
    assert str(own) in str(refused.value)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1970-01-01,0,1,0,2,14,24,15,own,2026-01-01", "hours_per_month is '0'"),
        ("1970-01-01,720,5,0,2,14,24,15,own,2026-01-01", "counted_hours is 5 and must divide a day"),
        ("1970-01-01,720,1,0,13,14,24,15,own,2026-01-01", "decimals is '13'"),
        ("1970-01-01,720,1,0,2,14,24,15,,2026-01-01", "source is empty"),
        ("1970-01-01,720,1,0,2,soon,24,15,own,2026-01-01", "due_days is 'soon'"),
        ("1970-01-01,720,1,0,2,14,48,1,own,2026-01-01", "nothing goes before the suspension"),
        ("2000-01-01,720,1,0,2,14,24,15,own,2026-01-01", "valid from 1970-01-01 on"),
        (
            "1970-01-01,720,1,0,2,14,24,15,own,2026-01-01\n1970-01-01,730,1,0,2,14,24,15,own,2026-01-01",
            "two lines",
        ),
    ],
)
def test_what_is_wrong_with_rules_is_said(tmp_path, line, reason):
    own = tmp_path / "rules.csv"
    own.write_text(RULES_HEAD + line + "\n")
    with pytest.raises(DatedFileError, match=r"rules\.csv") as refused:
        read_rules(own)
    assert reason in str(refused.value)


def test_a_list_that_breaks_later_stops_the_next_start_and_changes_nothing(tmp_path):
    with open_site(tmp_path) as site:
        folder = site.installation.directory
    (folder / "lamina.toml").write_text('prices = "own.csv"\n')
    (folder / "own.csv").write_text(HEAD + DEFAULT.replace("EUR", "euro"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for _ in range(2):
        with pytest.raises(DatedFileError, match=r"own\.csv cannot be used: line 2: currency is 'euro'"):
            open_installation(folder, Settings(cache_dir=tmp_path / "cache")).__enter__()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (folder / "own.csv").write_text(HEAD + DEFAULT)
    with open_site(tmp_path) as site:
        assert site.installation.tariff.prices.currency == "EUR"


def test_an_installation_starts_with_its_own_list_or_not_at_all(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(exist_ok=True)  # it says already where a PostgreSQL is
    (folder / "lamina.toml").write_text('prices = "own.csv"\nbilling_rules = "rules.csv"\n')
    settings = Settings(cache_dir=tmp_path / "cache")
    with pytest.raises(DatedFileError, match=r"own\.csv cannot be used: it cannot be read"):
        open_installation(folder, settings).__enter__()
    (folder / "own.csv").write_text(HEAD + DEFAULT)
    (folder / "rules.csv").write_text(RULES_HEAD + "1970-01-01,730,24,1.5,4,14,24,15,own,2026-01-01\n")
    with open_installation(folder, settings) as installation:
        assert installation.tariff.prices.currency == "EUR"
        assert installation.tariff.rules.find(day(2026, 1, 1)).hours_per_month == 730
    assert Tariff().prices.currency == "USD"
