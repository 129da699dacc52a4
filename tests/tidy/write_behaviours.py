"""Writes docs/behaviours.md: every promise with the tests that show it, found by their names.

`python -m tests.tidy.write_behaviours` writes the page. A test is named after its rows: `test_b07_e08_what_it_shows`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from tests.tidy.behaviour_rows import ROWS
from tests.tidy.source_tree import ROOT, list_functions, list_sources

PAGE: Final = ROOT / "docs" / "behaviours.md"
_ROW: Final = re.compile(r"([be])(\d{1,2})([a-z]?)")
_HEAD: Final = """\
# Behaviours, and the tests that show them

Made by `python -m tests.tidy.write_behaviours` from the names of the tests. B rows are the promises of the
Snapshot FAQ; E rows say what they mean for the ECS API.

{shown} of {count} rows have a test.

| row | promise | tests |
|---|---|---|
"""


def read_rows(test_name: str) -> tuple[str, ...]:
    """The rows that a test is named after: `test_b07_e08a_x` shows B07 and E08A."""
    rows: list[str] = []
    for part in test_name.removeprefix("test_").split("_"):
        match = _ROW.fullmatch(part)
        if match is None:
            break
        rows.append(f"{match[1].upper()}{int(match[2]):02}{match[3].upper()}")
    return tuple(rows)


def find_tests() -> Mapping[str, Sequence[str]]:
    """Row to the tests that show it, as `path` and `name`."""
    found: dict[str, list[str]] = defaultdict(list)
    for source in list_sources("tests"):
        for function in list_functions(source):
            if function.name.startswith("test_"):
                for row in read_rows(function.name):
                    found[row].append(f"`{source.name}`: `{function.name}`")
    return {row: sorted(tests) for row, tests in found.items()}


def render() -> str:
    """The page in Markdown."""
    tests = find_tests()
    lines = [
        f"| {row} | {promise} | {'<br>'.join(tests[row]) if row in tests else 'none yet'} |\n"
        for row, promise in ROWS.items()
    ]
    return _HEAD.format(shown=len(tests.keys() & ROWS.keys()), count=len(ROWS)) + "".join(lines)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
