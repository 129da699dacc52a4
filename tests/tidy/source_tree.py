"""The files of the project, and the Python ones parsed: what the tidy tests look at."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "lamina"
PYTHON_ROOMS = ("src", "tests", "demo", "benchmarks")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_MADE = {"build", "dist", "bench-results", "__pycache__", "node_modules"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Python file.

    Attributes:
        name: its path from the root, as it is written in messages and allow-lists.
        text: what it says.
        tree: what it says, parsed.
    """

    name: str
    text: str
    tree: ast.Module


@cache
def list_files() -> tuple[Path, ...]:
    """Every file that belongs to the project: what git knows or would add; without git, all but what tools make."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
        paths = [ROOT / name for name in listed.split("\0") if name]
    except (FileNotFoundError, subprocess.CalledProcessError):
        paths = list(_walk(ROOT))
    return tuple(sorted(path for path in paths if path.is_file()))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        made = path.name in _MADE or path.name.endswith(".egg-info")
        if made or (path.name.startswith(".") and path.name not in (".ci", ".gitignore")):
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def get_name(path: Path) -> str:
    """The path from the root, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def list_sources(*rooms: str) -> tuple[Source, ...]:
    """The Python files below the given top-level folders; all of them if none is given."""
    sources = []
    for path in list_files():
        name = get_name(path)
        if path.suffix == ".py" and name.partition("/")[0] in (rooms or PYTHON_ROOMS):
            text = path.read_text(encoding="utf-8")
            sources.append(Source(name=name, text=text, tree=ast.parse(text, filename=name)))
    return tuple(sources)


def list_functions(source: Source) -> Iterator[Function]:
    """Every function and method of a file, nested ones included."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def list_public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """The public classes, functions and methods below a module or class, with their dotted names."""
    for node in body:
        if isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from list_public(node.body, f"{prefix}{node.name}.")
