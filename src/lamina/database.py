"""The metadata database: the base of all tables, instants, sessions, transactions, migrations.

Rules that everything above relies on:

- A session is made here, by `Database.transaction` or `Database.reading`, and passed on; nobody looks one up.
- A writing transaction never spans I/O: SQLite has one writer, and everybody else waits for it.
- Instants are whole microseconds in UTC. A datetime without a zone is refused, since it is wrong somewhere.
- No SQL that only SQLite understands; PostgreSQL runs the same statements.
"""

import enum
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy import BigInteger, Connection, Dialect, Engine, MetaData, Text, TypeDecorator, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeEngine

from lamina.failures import Fault
from lamina.ids import (
    AccessKeyId,
    AccountId,
    ConnectionId,
    DiskId,
    InstanceId,
    PolicyId,
    RegionId,
    RunId,
    SnapshotGroupId,
    SnapshotId,
    TaskId,
    ZoneId,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_WRITES: Final = "lamina_writes"
_TOPICS: Final = "lamina_topics"
_ENUM_LENGTH: Final = 32
# Longer than the longest writing transaction by far; a writer that waits this long has met a stuck process.
_BUSY_MILLISECONDS: Final = 30_000
# SQLite connections cost a file handle each. Threads must never wait for one another here, because one that
# holds a reading session may be waiting for a writer.
_POOL_SIZE: Final = 16
_POOL_OVERFLOW: Final = 112


class DatabaseFaultError(Fault):
    """The database could not be reached, was locked for too long, or had no room left."""


class Instant(TypeDecorator[datetime]):
    """A point in time as whole microseconds since 1970 in UTC.

    SQLite drops the zone of its own date types and keeps the wall time; an integer cannot be misread.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """To microseconds; a value without a zone is a bug of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Back to an aware instant in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


# keys are types, and NewTypes for ids, which have no common type
_COLUMN_TYPES: Final[dict[Any, TypeEngine[Any]]] = {
    str: Text(),
    int: BigInteger(),
    datetime: Instant(),
    **dict.fromkeys(
        (
            AccountId,
            AccessKeyId,
            RegionId,
            ZoneId,
            DiskId,
            InstanceId,
            SnapshotId,
            SnapshotGroupId,
            TaskId,
            ConnectionId,
            PolicyId,
            RunId,
        ),
        Text(),
    ),
}


class Record(DeclarativeBase):
    """The base of all rows. Column types follow the annotation: text and ids, 64-bit integer, instant."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = _COLUMN_TYPES


def one_of(values: type[enum.Enum]) -> sqlalchemy.Enum:
    """The column type of an enum: its values as text, kept to the list by a CHECK."""
    return sqlalchemy.Enum(
        values,
        native_enum=False,
        create_constraint=True,
        length=_ENUM_LENGTH,
        name=values.__name__.lower(),
        values_callable=lambda members: [str(member.value) for member in members],
    )


def announce(session: Session, topic: str) -> None:
    """Call the listeners of `topic` once this session's transaction is committed, and not if it is not."""
    session.info.setdefault(_TOPICS, set()).add(topic)


class Database:
    """An open database of the current schema. Use `open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{_WRITES: True})
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a database and bring its schema up to date; an empty one is filled.

        Args:
            url: an SQLAlchemy URL such as `sqlite:////var/lib/lamina/lamina.sqlite`.

        Raises:
            DatabaseFaultError: it cannot be opened or migrated.
        """
        with _converted():
            engine = _make_engine(url)
            database = cls(engine)
            with database._writing.begin() as connection:
                _migrate(connection)
            return database

    def close(self) -> None:
        """Give the connections back. Sessions in use are not interrupted."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that writes: committed at the end, rolled back by any exception.

        It is the only writer from its first statement on, so what it reads cannot change under it.

        Raises:
            DatabaseFaultError: the database failed; nothing was changed.
        """
        with _converted(), Session(self._writing, expire_on_commit=False) as session:
            with session.begin():
                yield session
            topics: set[str] = session.info.get(_TOPICS, set())
        for topic in topics:
            for listener in tuple(self._listeners.get(topic, ())):
                listener()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database throughout and never writes.

        Raises:
            DatabaseFaultError: the database failed.
        """
        with _converted(), Session(self._engine, expire_on_commit=False, autoflush=False) as session:
            yield session
            assert not any((session.new, session.dirty, session.deleted)), "a reading session was written to"

    def listen(self, topic: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called after every commit that announced `topic`; returns what ends that."""
        with self._lock:
            self._listeners.setdefault(topic, []).append(listener)

        def stop() -> None:
            with self._lock:
                self._listeners[topic].remove(listener)

        return stop


@contextmanager
def _converted() -> Iterator[None]:
    try:
        yield
    except OperationalError as failure:
        raise DatabaseFaultError(f"the database failed: {failure.orig}", retryable=True) from failure
    except DBAPIError as failure:
        if not failure.connection_invalidated:
            raise  # broken constraints and the like are bugs, not faults
        raise DatabaseFaultError(f"the database went away: {failure.orig}", retryable=True) from failure


def _make_engine(url: str) -> Engine:
    engine = sqlalchemy.create_engine(url, pool_size=_POOL_SIZE, max_overflow=_POOL_OVERFLOW)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # the driver must not open transactions behind our back
    for pragma in (
        f"busy_timeout={_BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first cannot wait for its turn to write: 4 threads of 100 increments
    # met 249 lock errors that way, and none with IMMEDIATE.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
