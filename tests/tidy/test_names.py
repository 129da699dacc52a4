"""No junk rooms, no marks left behind, nothing of a developer's own machine."""

import re

import pytest

from tests.tidy.source_tree import PACKAGE, ROOT, get_name, list_files, list_sources

BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc", "manager", "managers"}
BANNED_FILES = {"models.py", "views.py", "service.py", "services.py"}

# Spelled with a gap that is taken out here, so that this file does not find itself.
MARKS = re.compile(r"\b(TO-DO|FIX-ME|XX-X|HA-CK)\b".replace("-", ""))
ABSOLUTE_PATHS = re.compile(r"(?<![\w.$}])/ (home|root|work|Users)/\w".replace(" ", ""))
REGISTRY_HOSTS = re.compile(
    r"pypi\. org|pythonhosted\. org|npmjs\. org|deb\.debian\. org|proxy\.golang\. org|index- url".replace(
        " ", ""
    )
)
IGNORE = "type: -ignore".replace("-", "")
TYPE_IGNORES = 0  # may only fall


def test_no_junk_rooms():
    junk = [
        get_name(path)
        for path in list_files()
        if path.suffix in (".py", "")
        and (
            BANNED_NAMES.intersection(
                part.removesuffix(".py").strip("_") for part in path.relative_to(ROOT).parts
            )
            or path.name in BANNED_FILES
        )
    ]
    assert not junk, f"name these after what they do: {junk}"


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a mark of unfinished work", MARKS),
        ("a path of somebody's machine", ABSOLUTE_PATHS),
        ("a package registry's host", REGISTRY_HOSTS),
    ],
)
def test_nothing_is_left_behind(what, pattern):
    found = []
    for path in list_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{get_name(path)}:{number}" for number, line in enumerate(lines, 1) if pattern.search(line)
        ]
    assert not found, f"{what}: {found}"


def test_patterns_find_what_they_are_for():
    assert MARKS.search("# todo: later".upper())
    assert not MARKS.search("todos, and hacking")
    assert ABSOLUTE_PATHS.search('"/ home/somebody/disk.raw"'.replace(" ", ""))
    assert not ABSOLUTE_PATHS.search("$HOME/work/x, disks/home/x, ${x}/root/y")
    assert REGISTRY_HOSTS.search("https://pypi. org/simple".replace(" ", ""))


def test_type_ignores_only_become_fewer():
    count = sum(source.text.count(IGNORE) for source in list_sources("src"))
    assert count <= TYPE_IGNORES, "find a type instead, or take the matter to a review"
    assert count == TYPE_IGNORES, f"well done: lower TYPE_IGNORES to {count}"


def test_every_package_has_a_docstring_and_nothing_else():
    wrong = []
    for folder in {
        path.parent for path in list_files() if path.suffix == ".py" and path.is_relative_to(PACKAGE)
    }:
        name = get_name(folder / "__init__.py")
        source = next((source for source in list_sources("src") if source.name == name), None)
        if source is None or len(source.tree.body) != 1 or '"""' not in source.text:
            wrong.append(name)
    assert not wrong, f"a package's __init__.py is a docstring and nothing else: {wrong}"
