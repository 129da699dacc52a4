"""The two kinds of SQL database: how each is opened, and how each keeps writers apart.

SQLite has one writer at a time, whoever it is. Its own way of waiting is to look again after pauses of up to 100
ms, and whoever comes by chance at the right moment goes first: under load some waited for more than a second. So the
writers of one process stand in a queue (`Turns`), and SQLite's way is left for other processes.

PostgreSQL would let all of them write at once, and verbs that
read before they write would have to expect that what they read has changed. So each writing transaction takes
advisory locks before its first statement, in two levels:

    of everybody   the one lock of the database, for itself alone: nobody else writes
    of one owner   that lock shared with others of its kind, and a lock of the owner's own: two owners write
                   at once, one owner's transactions follow one another
    unguarded      no lock: only for statements that carry their own condition, such as those of leases

They run as READ COMMITTED, where every statement sees what was committed before it: behind the locks, that is
everything that matters. SERIALIZABLE would need no locks, but aborts whoever meets another one on a page of an
index, which in a small database is nearly everybody.
"""

import enum
import hashlib
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from lamina.failures import Refusal

# A writer that waits this long, longer than the longest writing transaction by far, has met a stuck process.
_BUSY_MILLISECONDS: Final = 30_000
# A writing transaction does no I/O but its statements. A process that is silent for this long within one is
# stopped or cut off, and all others are waiting for it: the server ends its transaction.
_SILENT_MILLISECONDS: Final = 30_000
# Threads must never wait for one another's connections, because one that holds a reading session may be waiting
# for a writer. A connection is a file handle for SQLite, and a process of 5 to 10 MB for PostgreSQL.
_POOL_SIZE: Final = 16
_SQLITE_OVERFLOW: Final = 112
_MAPPED_BYTES: Final = 2**31 - 2**16  # as much as SQLite maps at most; what lies behind it is read
_POSTGRESQL_OVERFLOW: Final = 48
# What libpq does by itself to notice that the server is gone: up to two hours of silence.
_LINK: Final[Mapping[str, str]] = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "application_name": "lamina",
}
_GUARD: Final = "lamina_guard"
_EVERYBODY: Final = 0x6C616D696E61  # "lamina": advisory locks of other programs in the database are not ours
_CONFLICTS: Final = ("40001", "40P01")  # serialization failure, deadlock


class Guard(enum.Enum):
    """Whom a transaction keeps from writing at the same time."""

    NOBODY = "nobody"
    EVERYBODY = "everybody"


class Turns:
    """A lock that is handed on in the order in which it was asked for. Safe for any number of threads.

    A thread must not ask again while it has it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, and have it as long as this lasts.

        Raises:
            TimeoutError: the turn did not come for so long that somebody must be stuck.
        """
        self._wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()  # it stays taken, by the next one
                else:
                    self._is_taken = False

    def _wait(self) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(_BUSY_MILLISECONDS / 1000):
            return
        with self._lock:
            if not mine.is_set():  # it may have come just now
                self._waiting.remove(mine)
                raise TimeoutError("the turn to write did not come; a writing transaction does not end")


def open_engine(url: str) -> Engine:
    """Connections to a database, made when they are needed. Use `writing` and `reading` of it.

    Args:
        url: an SQLAlchemy URL such as `sqlite:////var/lib/lamina/lamina.sqlite` or `postgresql://lamina@db/lamina`.

    Raises:
        Refusal: it is no URL of a database that is offered, or the driver is not installed.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        engine = sqlalchemy.create_engine(parsed, pool_size=_POOL_SIZE, max_overflow=_SQLITE_OVERFLOW)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = sqlalchemy.create_engine(
            parsed,
            pool_size=_POOL_SIZE,
            max_overflow=_POSTGRESQL_OVERFLOW,
            isolation_level="READ COMMITTED",
            connect_args={name: value for name, value in _LINK.items() if name not in parsed.query},
        )
    except ModuleNotFoundError as error:
        raise Refusal(f"PostgreSQL needs {error.name}: pip install 'psycopg[binary]'") from error
    event.listen(engine, "connect", _prepare_postgresql)
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def writing(engine: Engine, guard: Guard | str) -> Engine:
    """The same connections, for transactions that keep others from writing: by kind, or those of one owner."""
    return engine.execution_options(**{_GUARD: guard})


def reading(engine: Engine) -> Engine:
    """The same connections, for transactions that see one state throughout and write nothing."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def glancing(engine: Engine) -> Engine:
    """The same connections, for single statements that write nothing; PostgreSQL needs no transaction around one."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def read_clock(connection: Connection) -> datetime:
    """What the server's clock says. SQLite has no server, and is not asked."""
    now: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return now.astimezone(UTC)


def analyse(engine: Engine) -> None:
    """Have SQLite look at what its tables hold; PostgreSQL does so by itself.

    Without that it takes an account to have ten rows, and walks through all of them rather than look up a hundred
    ids. It looks at a thousand entries of each index, which takes some ten milliseconds whatever there is.
    """
    if engine.dialect.name != "sqlite":
        return
    with writing(engine, Guard.EVERYBODY).begin() as connection:
        connection.exec_driver_sql("PRAGMA analysis_limit = 1000")
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()  # connections read the result when they are made


def is_conflict(error: DBAPIError) -> bool:
    """Whether a transaction failed because of another one, and would likely succeed if it ran again."""
    return getattr(error.orig, "sqlstate", None) in _CONFLICTS


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise Refusal("the database's URL cannot be read; write postgresql://USER@HOST/NAME") from error
    if name == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if name != "sqlite":
        raise Refusal(f"{name} is not offered as a database; use PostgreSQL, or the embedded SQLite")
    return parsed


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # the driver must not open transactions behind our back
    for pragma in (
        f"busy_timeout={_BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        # Pages are read where the system has them: a copy per connection would be thrown away at each commit of
        # another one. A thousand rows that lie scattered in a large database take a fifth less.
        f"mmap_size={_MAPPED_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first cannot wait for its turn to write: 4 threads of 100 increments
    # met 249 lock errors that way, and none with IMMEDIATE.
    writes = _GUARD in connection.get_execution_options()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_postgresql(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {_BUSY_MILLISECONDS}")
    cursor.close()
    connection.commit()


def _begin_postgresql(connection: Connection) -> None:
    guard = connection.get_execution_options().get(_GUARD, Guard.NOBODY)
    if guard is Guard.NOBODY:
        return
    locks = f"pg_advisory_xact_lock({_EVERYBODY})"
    if guard is not Guard.EVERYBODY:
        locks = f"pg_advisory_xact_lock_shared({_EVERYBODY}), pg_advisory_xact_lock({_number(guard)})"
    silent = f"set_config('idle_in_transaction_session_timeout', '{_SILENT_MILLISECONDS}', true)"
    connection.exec_driver_sql(f"SELECT {silent}, {locks}")  # nosec


def _number(owner: str) -> int:
    """The advisory lock of an owner. Two owners with one number wait for each other, and that is all."""
    digest = hashlib.blake2b(owner.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
