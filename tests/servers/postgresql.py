"""A PostgreSQL server for tests, one for all workers of a test session, and databases of the current schema.

It listens on a Unix socket in its own folder, which lies in memory; nothing of it outlives the session. Whoever
uses it holds a shared lock on the file `users`. A keeper process, which outlives the test process that started
it, waits for the exclusive lock: it gets it when the last user has ended, in whatever way, and then stops the
server. Run as a program, this file is the keeper.

A test gets a database of its own, copied from a template that was migrated once: 12 ms as a copy of files (28 ms
through the log, the default), and 6 ms to drop it. Emptying all tables of one database takes 11 ms too, but waits
for whatever a test left behind, and a test has one database only.
"""

import ctypes
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

START_SECONDS = 60.0
STOP_SECONDS = 10.0
TEMPLATE = "template_lamina"
_USER = "postgres"
_PR_SET_PDEATHSIG = 1
_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "400",  # of pools that are never full, of several workers
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",
    "jit": "off",
    "autovacuum": "off",  # it opens the template, and a template that somebody has open cannot be copied
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running server; `folder` holds its socket."""

    folder: Path

    def url(self, name: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql+psycopg://{_USER}@/{name}?host={self.folder}"

    def execute(self, statement: str) -> None:
        """Run one statement outside of any transaction."""
        import psycopg  # noqa: PLC0415 - the keeper, which runs this file too, does without

        with psycopg.connect(
            f"host={self.folder} user={_USER} dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a fresh database of the current schema."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


def find_programs() -> Path | None:
    """Where the server's programs are; Debian keeps those of each version apart and off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    program = shutil.which("postgres")
    return Path(program).resolve().parent if program else None


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A running PostgreSQL."""
    if find_programs() is None:
        pytest.skip("PostgreSQL is not installed")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "postgresql"
    folder.mkdir(exist_ok=True)
    with running(folder) as server:
        yield server


@contextmanager
def running(folder: Path, changes: Mapping[str, str] = MappingProxyType({})) -> Iterator[PostgresServer]:
    """A server as long as this lasts; whoever names the same folder meanwhile gets the same one.

    Args:
        folder: where its users meet.
        changes: options that differ from those for tests, which trade durability for speed.
    """
    with (folder / "users").open("a") as users:
        with (folder / "starting").open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)  # waits while a keeper is stopping its server
            server = _find_running(folder) or _start(folder, changes)
        yield server


def crash(server: PostgresServer) -> list[str]:
    """End a server that no other test uses, at once and without a farewell; answers what revives it."""
    data = server.folder / "data"
    command = shlex.split((data / "postmaster.opts").read_text())
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
    deadline = time.monotonic() + STOP_SECONDS
    while (data / "postmaster.pid").exists():
        assert time.monotonic() < deadline, "PostgreSQL does not end"
        time.sleep(0.01)
    return command


@contextmanager
def revived(server: PostgresServer, command: list[str]) -> Iterator[None]:
    """The server that `crash` ended, as long as this lasts."""
    with (server.folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=server.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - nobody forks while another thread holds a lock of ours
            **_choose_user(),
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(server):
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)
        yield
    finally:
        _stop(process)


def _find_running(folder: Path) -> PostgresServer | None:
    try:
        return PostgresServer(folder=Path((folder / "server").read_text()))
    except FileNotFoundError:
        return None


def _start(folder: Path, changes: Mapping[str, str]) -> PostgresServer:
    from lamina.database import Database  # noqa: PLC0415 - the keeper does without

    (folder / "options.json").write_text(json.dumps({**_OPTIONS, **changes}))
    subprocess.run([sys.executable, __file__, str(folder)], check=True, timeout=START_SECONDS)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        server = _find_running(folder)
        if server is not None and _answers(server):
            server.execute(f"CREATE DATABASE {TEMPLATE}")
            Database.open(server.url(TEMPLATE)).close()
            return server
        time.sleep(0.05)
    log = (folder / "log").read_text(errors="replace")[-3000:]
    pytest.fail(f"PostgreSQL did not answer within {START_SECONDS:.0f} s:\n{log}")


def _answers(server: PostgresServer) -> bool:
    import psycopg  # noqa: PLC0415 - as above

    try:
        server.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _keep(folder: Path) -> None:
    """Start the server, say where it is, wait until nobody uses it, stop it."""
    home = Path(tempfile.mkdtemp(prefix="lamina-postgresql-", dir=_choose_parent()))
    owner = _choose_user()
    if owner:
        shutil.chown(home, _USER)
    try:
        with (folder / "users").open("a") as users, (folder / "log").open("ab") as log:
            _initialise(home, owner, log)
            server = subprocess.Popen(
                _command(home, json.loads((folder / "options.json").read_text())),
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - the keeper has one thread
                **owner,
            )
            try:
                (folder / "server.tmp").write_text(str(home))
                (folder / "server.tmp").rename(folder / "server")
                fcntl.flock(users, fcntl.LOCK_EX)
            finally:
                _stop(server)
                (folder / "server").unlink(missing_ok=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _choose_user() -> dict:
    """As whom to run the server: as root it refuses to."""
    return {"user": _USER, "extra_groups": []} if os.geteuid() == 0 else {}


def _choose_parent() -> str:
    """A folder that any user may pass, in memory if there is one. A test's own folder is for its user only."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


def _initialise(home: Path, owner: dict, log) -> None:
    program = find_programs() / "initdb"
    options = ("-A", "trust", "-U", _USER, "-E", "UTF8", "--locale=C.UTF-8", "-N")
    subprocess.run(
        [program, "-D", home / "data", *options], cwd=home, stdout=log, stderr=log, check=True, **owner
    )


def _command(home: Path, given: Mapping[str, str]) -> list[str]:
    options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
    return [str(find_programs() / "postgres"), "-D", str(home / "data"), "-k", str(home), *options]


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.send_signal(signal.SIGQUIT)  # at once: nobody needs the data any more
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


if __name__ == "__main__" and os.fork() == 0:
    os.setsid()
    _keep(Path(sys.argv[1]))
