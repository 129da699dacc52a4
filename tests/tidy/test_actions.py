"""An action of the API is one file, and the file has its name."""

import ast

import pytest

from tests.tidy.source_tree import Source, list_sources

ACTIONS = [
    source
    for source in list_sources("src")
    if "/api/actions/" in source.name and not source.name.endswith("/__init__.py")
]


def test_there_are_actions():
    assert ACTIONS


@pytest.mark.parametrize(
    "source", ACTIONS, ids=lambda source: source.name.removeprefix("src/lamina/api/actions/")
)
def test_one_action_per_file_named_like_it(source: Source):
    declared = [
        node.name for node in source.tree.body if isinstance(node, ast.FunctionDef) and _is_action(node)
    ]
    stem = source.name.rsplit("/", 1)[1].removesuffix(".py")
    assert declared == [stem]
    title = "".join(part.capitalize() for part in stem.split("_"))
    first_line = (ast.get_docstring(source.tree) or "").partition("\n")[0]
    assert title in first_line, f"the first line of the file names the action: {title}"


def _is_action(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "action"
        for node in function.decorator_list
    )
