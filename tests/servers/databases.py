"""On which kinds of database the tests of the service run: `--database=sqlite|postgresql|both`.

A test that runs on PostgreSQL finds its database where the service itself looks for it, in the file
`database.url` of the folder: nothing in between has to be told, not even other processes.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.control.metadata import URL_FILE
from lamina.control.root_key import RootKey
from tests.servers.postgresql import PostgresServer, find_programs

_TESTS = Path(__file__).parents[1]
# Where SQL decides what happens: these run on both. Elsewhere the second run would tell nothing new.
_ON_BOTH = (
    "unit/control",
    "unit/tasks",
    "unit/test_database.py",
    "faults/tasks",
    "load",
    "real/tasks/test_several_processes.py",
)
# What is about `lamina.sqlite` itself.
_EMBEDDED_ONLY = ("unit/control/test_installation.py",)
_SERVED_ON_BOTH = ("conformance/test_clients.py", "conformance/test_snapshots_and_disks.py")


def add_option(parser: pytest.Parser) -> None:
    """`--database`."""
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql", "both"),
        default=None,
        help="kinds of database that the control plane is tested on; by default both, if PostgreSQL is installed",
    )


def choose_kinds(config: pytest.Config) -> tuple[str, ...]:
    """The kinds that this run is about."""
    wanted = config.getoption("--database")
    if wanted in ("sqlite", "postgresql"):
        return (wanted,)
    return ("sqlite", "postgresql") if wanted == "both" or is_installed() else ("sqlite",)


def is_installed() -> bool:
    """Whether a PostgreSQL can be started, and spoken to."""
    return find_programs() is not None and importlib.util.find_spec("psycopg") is not None


def spread(metafunc: pytest.Metafunc) -> None:
    """Run a test once per kind, if its place says so and it names no kind itself."""
    if any(mark.args[0] == "database_kind" for mark in metafunc.definition.iter_markers("parametrize")):
        return
    place = metafunc.definition.path.relative_to(_TESTS).as_posix()
    kinds = choose_kinds(metafunc.config)
    if place in _SERVED_ON_BOTH and "service" in metafunc.fixturenames:
        metafunc.parametrize("service", kinds, indirect=True, scope="session")
    elif place.startswith(_ON_BOTH) and place not in _EMBEDDED_ONLY:
        metafunc.parametrize("database_kind", kinds, indirect=True)


def is_on_postgresql(item: pytest.Item) -> bool:
    """Whether a collected test needs the server."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and "postgresql" in (
        callspec.params.get("database_kind"),
        callspec.params.get("service"),
    )


def settle_in(server: PostgresServer, *folders: Path) -> Iterator[str]:
    """Put the metadata of installations in these folders into a fresh database, as long as this generator lives."""
    with server.database() as url:
        for folder in folders:
            folder.mkdir(exist_ok=True, parents=True)
            (folder / URL_FILE).write_text(url)
            if not (folder / "root.key").exists():  # to the service the folder looks used, so it makes none
                RootKey.create(folder / "root.key")
        yield url


def find_test_url(folder: Path) -> str:
    """The database of a test: the one that was prepared for its folder, or SQLite in it."""
    path = folder / URL_FILE
    return path.read_text() if path.exists() else f"sqlite:///{folder / 'lamina.sqlite'}"


@pytest.fixture(autouse=True)
def database_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database that this run of the test is about; its folder is prepared."""
    kind = getattr(request, "param", "sqlite")
    if kind == "postgresql":
        folder = request.getfixturevalue("tmp_path")
        yield from (kind for _ in settle_in(request.getfixturevalue("postgresql"), folder, folder / "data"))
    else:
        yield kind


def describe_kinds(config: pytest.Config) -> str:
    """A line for the head of the report; loud when PostgreSQL is not tested though nobody said so."""
    if config.getoption("--database") is None and not is_installed():
        return "database: *** SQLite ONLY: PostgreSQL or psycopg is not installed; see scripts/ensure-programs ***"
    return "database: " + ", ".join(choose_kinds(config))
