"""What the code offers is written down, and what is written down is there."""

import ast
import re
from itertools import pairwise

from lamina.cli.main import ExitCode
from tests.tidy.source_tree import PACKAGE, ROOT, list_public, list_sources

# `[text](page#heading)`, of which one may be absent; links to the web are not followed.
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
# It adds the facts of its task to each event.
FORWARDS = "lamina/tasks/attempt.py"
CODE_PATH = re.compile(r"`([a-z][\w-]*(?:/[\w.-]+)+\.(?:py|md))`")


def test_everything_public_has_a_docstring():
    silent = [source.name for source in list_sources("src") if ast.get_docstring(source.tree) is None]
    silent += [
        f"{source.name}: {name}"
        for source in list_sources("src")
        for name, node in list_public(source.tree.body)
        if ast.get_docstring(node) is None and not _is_overload(node)
    ]
    assert not silent, f"say what these mean: {silent}"


def test_every_setting_is_in_the_operations_manual():
    settings = next(source for source in list_sources("src") if source.name.endswith("lamina/settings.py"))
    names = {
        node.value
        for node in ast.walk(settings.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Z][A-Z0-9_]+", node.value)
    }
    assert "LAMINA_KEY_FILE" in names
    manual = (ROOT / "docs" / "operations.md").read_text()
    missing = sorted(name for name in names if f"`{name}`" not in manual)
    assert not missing, f"docs/operations.md does not explain: {missing}"
    stale = sorted(set(re.findall(r"`(LAMINA_[A-Z0-9_]+)`", manual)) - names)
    assert not stale, f"docs/operations.md explains what no longer exists: {stale}"


def test_every_exit_code_is_in_the_operations_manual():
    manual = (ROOT / "docs" / "operations.md").read_text()
    missing = [
        code.name for code in ExitCode if not re.search(rf"^\| *{code.value} *\|", manual, re.MULTILINE)
    ]
    assert not missing, f"docs/operations.md has no row for: {missing}"


def test_links_and_paths_in_documents_lead_somewhere():
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text()
        targets = [page.parent / target for target, _ in LINK.findall(text)]
        targets += [
            ROOT / path if (ROOT / path).exists() else PACKAGE / path for path in CODE_PATH.findall(text)
        ]
        broken += [f"{page.relative_to(ROOT)}: {target}" for target in targets if not target.exists()]
    assert not broken, f"these documents name files that are not there: {broken}"


def test_links_to_headings_lead_somewhere():
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target, anchor in LINK.findall(page.read_text()):
            there = page.parent / target if target else page
            if anchor and anchor not in {_anchor(each) for each in HEADING.findall(there.read_text())}:
                broken.append(f"{page.relative_to(ROOT)}: {target}{anchor}")
    assert not broken, f"these documents link to headings that are not there: {broken}"


def _anchor(heading: str) -> str:
    """What a heading is linked to by, as code hosts make it: words and hyphens only."""
    return "#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_event_that_asks_for_somebody_is_in_the_operations_manual():
    named = _read_events()
    silent = sorted(f"{event} ({level})" for event, level in _find_events() if named.get(event) != level)
    assert not silent, f"docs/operations.md does not say what to do about: {silent}"
    stale = sorted(named.keys() - {event for event, _ in _find_events()})
    assert not stale, f"docs/operations.md explains events that are no longer logged: {stale}"


def _read_events() -> dict[str, str]:
    """Event to level, from the table of the manual."""
    manual = (ROOT / "docs" / "operations.md").read_text()
    rows = manual.partition("| event | level |")[2].partition("\n\n")[0].splitlines()
    return {event: row.split("|")[2].strip() for row in rows[2:] for event in CODE.findall(row.split("|")[1])}


def _find_events() -> set[tuple[str, str]]:
    """What is logged as a warning or worse, with its level. Both have to be literals, so that they can be found."""
    found = set()
    for source in list_sources("src"):
        for call in ast.walk(source.tree):
            if not isinstance(call, ast.Call) or source.name.endswith("lamina/telemetry.py"):
                continue
            for level, event in pairwise(call.args):
                if isinstance(level, ast.Attribute) and ast.unparse(level.value) == "logging":
                    assert isinstance(event, ast.Constant), (
                        f"{source.name}:{call.lineno}: name the event here"
                    )
                    found.add((event.value, level.attr.lower()))
            called = ast.unparse(call.func)
            if called == "log":
                assert ast.unparse(call.args[1]).startswith("logging.") or source.name.endswith(FORWARDS), (
                    f"{source.name}:{call.lineno}: name the level here"
                )
            if called == "log_failure":
                assert isinstance(call.args[1], ast.Constant)
                found.add((call.args[1].value, "error"))
    return {(event, level) for event, level in found if level not in ("info", "debug")}


def _is_overload(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(isinstance(item, ast.Name) and item.id in ("overload", "override") for item in decorators)
