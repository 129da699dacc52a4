"""The lock files name everything that pyproject.toml asks for: what is missing there is missing on a fresh machine."""

import re
import tomllib

from tests.tidy.source_tree import ROOT

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def read_names(lines):
    """Names of distributions as PyPI compares them (PEP 503), of lines that start with one."""
    return {re.sub(r"[-_.]+", "-", NAME.match(line)[0]).lower() for line in lines if NAME.match(line)}


def test_what_the_developers_need_is_locked():
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        wanted += extra
    locked = read_names((ROOT / "requirements-dev.lock").read_text().splitlines())
    assert read_names(wanted) - locked == set(), "run `make lock`"


def test_what_runs_in_production_is_locked_at_the_same_versions():
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line]
    assert read_names(PROJECT["project"]["dependencies"]) <= read_names(lines), "run `make lock`"
    assert set(lines) <= set((ROOT / "requirements-dev.lock").read_text().splitlines())
