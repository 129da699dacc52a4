"""Budgets: what is too long to be read in one go does not land."""

import ast

import pytest

from tests.tidy.source_tree import Function, Source, get_name, list_files, list_functions, list_sources

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 6
MAX_NESTING = 3
MAX_METHODS = 12
MAX_FILE_BYTES = 1024 * 1024
MAX_DECISION_LINES = 60

# Frozen repositories are data, not text, and must never change.
GOLDEN = "tests/golden/"

# May only shrink. `file: function`, for parameters that could not become a frozen value.
MANY_PARAMETERS: frozenset[str] = frozenset({"src/lamina/transfer/leaf_capture.py: __init__"})

# `file: function`: loops and decisions within each other, where taking one out would say less.
DEEP: frozenset[str] = frozenset(
    {"src/lamina/engine/objects/s3.py: _list_pages", "src/lamina/transfer/plan.py: _jobs"}
)

# `file: class`: each of them is one thing that many rooms ask for many things.
MANY_METHODS: frozenset[str] = frozenset(
    {
        "src/lamina/control/buckets/directory.py: DirectoryBuckets",
        "src/lamina/control/disks/volumes.py: Volumes",
        "src/lamina/engine/repository.py: Repository",
    }
)

_NESTS = (ast.If, ast.For, ast.While, ast.AsyncFor, ast.Match)
_APART = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


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


def test_loops_and_decisions_nest_little():
    deep = {
        f"{source.name}: {function.name}"
        for source in list_sources("src")
        for function in list_functions(source)
        if measure_nesting(function) > MAX_NESTING
    }
    assert not deep - DEEP, (
        "more than three loops and decisions within each other: make the inner one a function"
    )
    assert not DEEP - deep, "these comply by now: take them off the list"


def test_classes_have_few_public_methods():
    many = {
        f"{source.name}: {node.name}"
        for source in list_sources("src")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and _count_methods(node) > MAX_METHODS
    }
    assert not many - MANY_METHODS, "more than twelve public methods: is this one thing?"
    assert not MANY_METHODS - many, "these comply by now: take them off the list"


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


@pytest.mark.parametrize(
    ("body", "depth"),
    [
        ("pass", 0),
        ("if a: pass\n elif b: pass\n elif c: pass", 1),
        ("for a in b:\n  with c:\n   if d: pass", 2),
        ("while a:\n  def g():\n   if b: pass", 1),
        ("if a: pass\n else:\n  if b: pass\n  pass", 2),
    ],
)
def test_nesting_is_measured_in_loops_and_decisions(body, depth):
    assert measure_nesting(ast.parse(f"def f():\n {body}").body[0]) == depth


def measure_nesting(node: ast.AST) -> int:
    """How many loops and decisions lie within each other; `elif` is no deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _APART):
            is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
            deepest = max(deepest, measure_nesting(child) + (isinstance(child, _NESTS) and not is_elif))
    return deepest


def _count_methods(node: ast.ClassDef) -> int:
    return sum(
        isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and not each.name.startswith("_")
        and "property" not in map(ast.unparse, each.decorator_list)
        for each in node.body
    )


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
