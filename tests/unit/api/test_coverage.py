import importlib
from pathlib import Path

import pytest

from lamina.api.coverage import COMMON, render_coverage
from lamina.api.errors import list_codes
from lamina.api.registry import load_actions

PAGE = Path(__file__).parents[3] / "docs" / "api-coverage.md"
DOCUMENTED = {
    name: codes
    for path in Path(__file__).parent.glob("documented_*codes.py")
    for variable, table in vars(importlib.import_module(f"tests.unit.api.{path.stem}")).items()
    if not variable.startswith("_") and isinstance(table, dict)
    for name, codes in table.items()
}
ACTIONS = sorted(load_actions().values(), key=lambda action: action.name)
OF_THE_VENDOR = [action for action in ACTIONS if not action.is_extension]


def by_name(actions):
    return {"argvalues": actions, "ids": [action.name for action in actions]}


@pytest.mark.parametrize("action", **by_name(OF_THE_VENDOR))
def test_every_documented_code_is_offered_or_explained(action):
    documented = {text for texts in DOCUMENTED[action.name].values() for text in texts}
    offered = {code.text for code in list_codes(action) | set(COMMON)}
    explained = {text for texts in action.not_offered.values() for text in texts}
    assert documented - offered - explained == set()
    assert explained - documented == set(), "explained without being documented"
    assert explained & offered == set(), "explained although offered"


@pytest.mark.parametrize("action", **by_name(OF_THE_VENDOR))
def test_an_offered_code_travels_with_a_documented_status(action):
    statuses = {}
    for status, texts in DOCUMENTED[action.name].items():
        for text in texts:
            statuses.setdefault(text, set()).add(status)
    for code in list_codes(action) - set(COMMON):
        assert code.status in statuses.get(code.text, {code.status}), code


@pytest.mark.parametrize("action", **by_name(ACTIONS))
def test_every_action_says_what_it_does(action):
    assert action.summary.endswith(".")
    assert action.permission == f"ecs:{action.name}"
    assert action.handler.__module__.split(".")[-2] == action.room


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == render_coverage(), "run python -m lamina.api.coverage"
