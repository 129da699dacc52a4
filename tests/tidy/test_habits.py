"""Habits that make code easy to follow: no state in modules, names that keep their word, real parts in tests."""

import ast
import re

from tests.tidy.source_tree import list_functions, list_sources

_MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
# click's own method, and the command `lamina bucket get`.
NOT_GETTERS = {"get_command", "get_file"}


def test_modules_hold_no_state():
    stateful = [
        f"{source.name}:{node.lineno}"
        for source in list_sources("src")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Global)
    ]
    stateful += [
        f"{source.name}:{node.lineno}"
        for source in list_sources("src")
        for node in source.tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, _MUTABLE)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id != "__all__"
    ]
    assert not stateful, f"pass it as an argument; a table that never changes is `Final`: {stateful}"


def test_what_gets_something_never_answers_none():
    wrong = [
        f"{source.name}: {function.name}"
        for source in list_sources("src")
        for function in list_functions(source)
        if function.name.startswith("get_")
        and function.name not in NOT_GETTERS
        and function.returns is not None
        and re.search(r"\bNone\b", ast.unparse(function.returns))
    ]
    assert not wrong, f"get_x raises when there is none, find_x answers None: {wrong}"


def test_no_test_replaces_parts_of_the_product_by_mocks():
    mocked = [
        f"{source.name}:{node.lineno}"
        for source in list_sources("tests")
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest"))
        or (isinstance(node, ast.Import) and any(each.name.startswith("unittest") for each in node.names))
    ]
    assert not mocked, f"run the real thing, or pass a fake as an argument: {mocked}"
