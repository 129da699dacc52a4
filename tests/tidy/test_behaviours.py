"""The page of promises tells the truth about the tests."""

import pytest

from tests.tidy.behaviour_rows import ROWS
from tests.tidy.write_behaviours import PAGE, find_tests, read_rows, render


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m tests.tidy.write_behaviours"


def test_no_test_is_named_after_a_row_that_does_not_exist():
    unknown = {row: tests for row, tests in find_tests().items() if row not in ROWS}
    assert not unknown, f"these tests are named after rows that do not exist: {unknown}"


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("test_b07_e08a_waits", ("B07", "E08A")),
        ("test_e9_local", ("E09",)),
        ("test_e35a_bulk", ("E35A",)),
        ("test_before_all", ()),
        ("test_x_b07", ()),
        ("test_b07", ("B07",)),
    ],
)
def test_rows_are_read_from_names(name, rows):
    assert read_rows(name) == rows
