"""What every test shares: markers by folder, and how hard Hypothesis tries."""

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from tests.servers import ceph
from tests.servers.databases import add_option, database_kind, describe_kinds, is_on_postgresql, spread
from tests.servers.postgresql import postgresql

__all__ = ["database_kind", "postgresql"]

_TESTS = Path(__file__).parent

# Fast folders use no sockets, do not sleep and start no program. A new folder has to be entered here.
_MARKERS = {
    "conformance": "real",
    "contracts": "fast",
    "e2e": "real",
    "faults": "fast",
    "golden": "fast",
    "interop": "real",
    "load": "fast",
    "property": "fast",
    "real": "real",
    "stateful": "fast",
    "tidy": "fast",
    "unit": "fast",
}
_SERVERS = {
    "ceph",
    "seaweedfs",
    "postgresql",
}  # fixtures that start a server make a test `real`, wherever it lies

# No deadlines: on a busy machine they measure the machine. CI draws the same examples every time, so that a red run
# can be repeated; the random ones are what `night` and the developers' own runs are for.
hypothesis.settings.register_profile("fast", deadline=None, max_examples=40)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("night", deadline=None, max_examples=5000, print_blob=True)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "fast")
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing is skipped: what is missing there would be missing for good, and nobody would see it."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was to be skipped, which CI may not: {report.longrepr}"
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this test suite."""
    add_option(parser)
    ceph.add_option(parser)


def pytest_report_header(config: pytest.Config) -> str:
    """Say what is tested on."""
    return describe_kinds(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the control plane on every kind of database."""
    spread(metafunc)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test as `fast` or `real`, by its folder and by the servers that it asks for."""
    for item in items:
        if not item.path.is_relative_to(_TESTS):
            continue
        folder = item.path.relative_to(_TESTS).parts[0]
        if folder not in _MARKERS:
            raise pytest.UsageError(
                f"tests/{folder} is new: say in tests/conftest.py whether it is fast or real"
            )
        needs_server = is_on_postgresql(item) or not _SERVERS.isdisjoint(getattr(item, "fixturenames", ()))
        item.add_marker("real" if needs_server else _MARKERS[folder])
