"""Budgets: what is too long to be read in one go does not land."""

import ast

import pytest

from tests.tidy.source_tree import Function, Source, get_name, list_files, list_functions, list_sources

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 6
MAX_FILE_BYTES = 1024 * 1024
MAX_DECISION_LINES = 60

# Frozen repositories are data, not text, and must never change.
GOLDEN = "tests/golden/"

# May only shrink. `file: function`, for parameters that could not become a frozen value.
MANY_PARAMETERS: frozenset[str] = frozenset({"src/lamina/transfer/leaf_capture.py: __init__"})


def test_files_are_short_enough():
    long = {
        source.name: _count_lines(source)
        for source in list_sources()
        if _count_lines(source) > MAX_FILE_LINES
    }
    assert not long, f"split these files, they have more than {MAX_FILE_LINES} lines: {long}"


def test_functions_are_short_enough():
    long = {
        f"{source.name}: {function.name}": length
        for source in list_sources()
        for function in list_functions(source)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert not long, f"split these functions, they have more than {MAX_FUNCTION_LINES} lines: {long}"


def test_functions_take_few_parameters():
    many = {
        f"{source.name}: {function.name}"
        for source in list_sources("src")
        for function in list_functions(source)
        if _count_parameters(function) > MAX_PARAMETERS and not _is_command(function)
    }
    assert not many - MANY_PARAMETERS, "more than six parameters: make a frozen dataclass of them"
    assert not MANY_PARAMETERS - many, "these comply by now: take them off the list"


def test_decisions_are_short_enough():
    notes = [path for path in list_files() if get_name(path).startswith("docs/decisions/")]
    assert notes
    long = [get_name(path) for path in notes if len(path.read_text().splitlines()) > MAX_DECISION_LINES]
    assert not long, f"a decision note has at most {MAX_DECISION_LINES} lines: {long}"


def test_no_file_is_huge():
    huge = [
        get_name(path)
        for path in list_files()
        if path.stat().st_size > MAX_FILE_BYTES and not get_name(path).startswith(GOLDEN)
    ]
    assert not huge, f"more than 1 MiB: {huge}"


@pytest.mark.parametrize(
    ("signature", "count"),
    [("self, a, b", 2), ("cls, *, a", 1), ("a, /, b, *c, d, **e", 5), ("", 0), ("a, self", 2)],
)
def test_parameters_are_counted_without_the_receiver(signature, count):
    function = ast.parse(f"def f({signature}): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    assert _count_parameters(function) == count


def _is_command(function: Function) -> bool:
    """Whether it is a command of click, which hands every option over as a parameter of its own."""
    return any(ast.unparse(decorator).startswith("click.option(") for decorator in function.decorator_list)


def _count_lines(source: Source) -> int:
    return len(source.text.splitlines())


def _count_parameters(function: Function) -> int:
    taken = function.args
    positional = [*taken.posonlyargs, *taken.args]
    receiver = bool(positional) and positional[0].arg in ("self", "cls")
    extra = (taken.vararg is not None) + (taken.kwarg is not None)
    return len(positional) - receiver + len(taken.kwonlyargs) + extra
