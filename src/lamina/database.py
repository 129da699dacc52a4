"""The metadata database: the base of all tables, instants, sessions, transactions, migrations.

Rules that everything above relies on:

- A session is made here, by `Database.transaction` or `Database.reading`, and passed on; nobody looks one up.
- What a transaction reads does not change until it ends: it keeps others from writing, everybody or those of
  one account. So a verb may look first and write then. How: `lamina.database_kinds`.
- A writing transaction never spans I/O, because others wait for it.
- Instants are whole microseconds in UTC. A datetime without a zone is refused, since it is wrong somewhere.
- No SQL that only one kind of database understands: SQLite and PostgreSQL run the same statements.
"""

import enum
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy import BigInteger, Connection, Dialect, Engine, MetaData, Text, TypeDecorator
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeEngine

from lamina.database_kinds import (
    Guard,
    Turns,
    analyse,
    glancing,
    is_conflict,
    open_engine,
    read_clock,
    reading,
    writing,
)
from lamina.failures import Fault
from lamina.ids import (
    AccessKeyId,
    AccountId,
    BulkExportId,
    ConnectionId,
    DiskId,
    ImageId,
    InstanceId,
    KeyId,
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
_TOPICS: Final = "lamina_topics"
_ENUM_LENGTH: Final = 32
_TRIES: Final = 5

T = TypeVar("T")


class DatabaseFaultError(Fault):
    """The database could not be reached, was locked for too long, or had no room left."""


class TransactionLostError(DatabaseFaultError):
    """The database gave a transaction up before its commit; nothing was written, and it may be run again."""


def insist(transact: Callable[[], T]) -> T:
    """Run a whole transaction, and again if the database gave it up: five times at most.

    Raises:
        TransactionLostError: it was given up each time.
        DatabaseFaultError: the database failed otherwise.
    """
    for _ in range(_TRIES - 1):
        try:
            return transact()
        except TransactionLostError:
            continue  # no pause: whoever was in the way has its commit behind it, or a new connection is made
    return transact()


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
            ImageId,
            KeyId,
            BulkExportId,
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
        self._reading = reading(engine)
        self._glancing = glancing(engine)
        self._turns = None if self.is_shared else Turns()
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a database and bring its schema up to date; an empty one is filled.

        Args:
            url: an SQLAlchemy URL such as `sqlite:////var/lib/lamina/lamina.sqlite` or
                `postgresql://lamina@db.example/lamina`.

        Raises:
            DatabaseFaultError: it cannot be opened or migrated.
            Refusal: the URL is not one of a database that is offered.
        """
        engine = open_engine(url)
        with _converted():
            database = cls(engine)
            with writing(engine, Guard.EVERYBODY).begin() as connection:
                _migrate(connection)
            return database

    @property
    def is_shared(self) -> bool:
        """Whether several processes, on any hosts, may work with it at once."""
        return self._engine.dialect.name != "sqlite"

    def close(self) -> None:
        """Give the connections back. Sessions in use are not interrupted."""
        self._engine.dispose()

    def transaction(self, *, of: str | None = None) -> AbstractContextManager[Session]:
        """A session that writes: committed at the end, rolled back by any exception.

        What it reads does not change until it ends: from its first statement on nobody else writes. With `of`,
        that is so for the rows of one account; the transactions of other accounts go on beside it, where the
        database can do that. It may rely on no row of another account then, but for one that it locks by itself:
        that of an image that is shared with the account (`control.images.queries`).

        Args:
            of: the id of an account.

        Raises:
            TransactionLostError: the database gave it up; see `insist`.
            DatabaseFaultError: the database failed; nothing was changed.
        """
        return self._write(Guard.EVERYBODY if of is None else of)

    def unguarded(self) -> AbstractContextManager[Session]:
        """A session that writes and keeps nobody from writing: each statement has to name what it relies on.

        Raises:
            TransactionLostError: the database gave it up; see `insist`.
            DatabaseFaultError: the database failed; nothing was changed.
        """
        return self._write(Guard.NOBODY)

    def reading(self) -> AbstractContextManager[Session]:
        """A session that sees one state of the database throughout and never writes.

        Raises:
            TransactionLostError: the database gave it up; see `insist`.
            DatabaseFaultError: the database failed.
        """
        return self._read(self._reading)

    def glancing(self) -> AbstractContextManager[Session]:
        """A session for one statement, which sees one state of the database; two may see two. Never writes.

        It asks a server once, where `reading` asks it three times. Raises as `reading`.
        """
        return self._read(self._glancing)

    @contextmanager
    def _read(self, engine: Engine) -> Iterator[Session]:
        with (
            _converted(is_undone=True),
            Session(engine, expire_on_commit=False, autoflush=False) as session,
        ):
            yield session
            assert not any((session.new, session.dirty, session.deleted)), "a reading session was written to"

    @contextmanager
    def _write(self, guard: Guard | str) -> Iterator[Session]:
        with self._turn(), Session(writing(self._engine, guard), expire_on_commit=False) as session:
            with _converted(is_undone=True):
                yield session
                session.flush()
            with _converted():  # a connection that is lost now leaves it open whether it was committed
                session.commit()
            topics: set[str] = session.info.get(_TOPICS, set())
        for topic in topics:
            for listener in tuple(self._listeners.get(topic, ())):
                listener()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The time that a writer has to itself, where one at a time can write."""
        with ExitStack() as stack:
            if self._turns is not None:
                try:
                    stack.enter_context(self._turns.turn())
                except TimeoutError as failure:
                    raise DatabaseFaultError(f"the database is busy: {failure}", retryable=True) from failure
            yield

    def analyse(self) -> None:
        """Let the database find out how full its tables are, so that it takes the right ways through them.

        Raises:
            DatabaseFaultError: the database failed.
        """
        with _converted(), self._turn():
            analyse(self._engine)

    def ask_time(self) -> datetime:
        """What the clock of a shared database says.

        Raises:
            DatabaseFaultError: the database failed.
        """
        with _converted(), self._engine.connect() as connection:
            return read_clock(connection)

    def listen(self, topic: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called after every commit that announced `topic`; returns what ends that."""
        with self._lock:
            self._listeners.setdefault(topic, []).append(listener)

        def stop() -> None:
            with self._lock:
                self._listeners[topic].remove(listener)

        return stop


@contextmanager
def _converted(*, is_undone: bool = False) -> Iterator[None]:
    """Turn the database's errors into faults.

    Args:
        is_undone: a transaction that fails here has certainly changed nothing.
    """
    try:
        yield
    except PoolTimeoutError as failure:
        raise DatabaseFaultError(
            f"all connections to the database are in use: {failure}", retryable=True
        ) from failure
    except DBAPIError as failure:
        if is_conflict(failure) or (is_undone and failure.connection_invalidated):
            raise TransactionLostError(
                f"the database gave a transaction up: {failure.orig}", retryable=True
            ) from failure
        if failure.connection_invalidated:
            raise DatabaseFaultError(f"the database went away: {failure.orig}", retryable=True) from failure
        if isinstance(failure, OperationalError):
            raise DatabaseFaultError(f"the database failed: {failure.orig}", retryable=True) from failure
        raise  # broken constraints and the like are bugs, not faults


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
