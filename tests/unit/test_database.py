"""The metadata database: transactions, instants, migrations that agree with the models."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from lamina import database_kinds
from lamina.clock import SystemClock
from lamina.control.accounts.records import AccessKeyRecord, AccountRecord
from lamina.control.accounts.states import AccountStanding
from lamina.control.tables import TABLES
from lamina.control.tags.records import ResourceType, TagRecord
from lamina.database import Database, DatabaseFaultError, Record, announce
from lamina.database_kinds import Turns
from tests.factories.tasks import rolled_back
from tests.servers.databases import find_test_url

START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def database(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path / 'test.sqlite'}")
    yield database
    database.close()


def account(number, created_at=START):
    return AccountRecord(id=str(number), name="x", standing=AccountStanding.NORMAL, created_at=created_at)


def test_instants_keep_their_microseconds_and_come_back_in_utc(database):
    shanghai = START.astimezone(timezone(timedelta(hours=8)))
    with database.transaction() as session:
        session.add_all(
            [account(1), account(2, shanghai), account(3, datetime(1969, 12, 31, 23, 59, tzinfo=UTC))]
        )
    with database.reading() as session:
        read = [session.get(AccountRecord, str(number)).created_at for number in (1, 2, 3)]
        raw = session.scalar(text("SELECT created_at FROM accounts WHERE id = '1'"))
    assert read == [START, START, datetime(1969, 12, 31, 23, 59, tzinfo=UTC)]
    assert {each.utcoffset() for each in read} == {timedelta(0)}
    assert raw == 1767268800123456


def test_an_instant_without_a_zone_is_refused(database):
    with pytest.raises(StatementError, match="no time zone"), database.transaction() as session:
        session.add(account(1, START.replace(tzinfo=None)))


def test_a_transaction_is_all_or_nothing(database):
    with rolled_back(database.transaction()) as session:
        session.add(account(1))
        session.flush()
    with database.reading() as session:
        assert session.scalars(select(AccountRecord)).all() == []


def test_read_modify_write_from_several_threads_loses_nothing(database):
    with database.transaction() as session:
        row = TagRecord(
            resource_type=ResourceType.DISK,
            resource_id="d",
            key="count",
            value="0",
            account_id="1",
            region_id="r",
            created_at=START,
        )
        session.add(row)

    def count_up():
        for _ in range(50):
            with database.transaction() as session:
                row = session.get(TagRecord, (ResourceType.DISK, "d", "count"))
                row.value = str(int(row.value) + 1)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.get(TagRecord, (ResourceType.DISK, "d", "count")).value == "200"


def test_a_reading_session_sees_one_state_and_does_not_write(database):
    with database.reading() as session:
        assert session.scalars(select(AccountRecord)).all() == []
        with database.transaction() as other:
            other.add(account(1))
        assert session.scalars(select(AccountRecord)).all() == []
    with pytest.raises(AssertionError), database.reading() as session:
        session.add(account(2))


def test_sqlite_is_durable_and_checks_references(database):
    with database.reading() as session:
        settings = {name: session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")}
    assert settings == {"journal_mode": "wal", "synchronous": 2}
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(
            AccessKeyRecord(id="k", account_id="nobody", sealed_secret=b"", is_enabled=True, created_at=START)
        )


def test_values_outside_an_enum_and_texts_that_are_too_long_are_refused_by_the_database(database):
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(text("INSERT INTO accounts VALUES ('1', 'x', 'royal', 0)"))
    row = TagRecord(
        resource_type=ResourceType.DISK,
        resource_id="d",
        key="k" * 129,
        value="",
        account_id="1",
        region_id="r",
        created_at=START,
    )
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(row)


def test_a_database_that_cannot_be_opened_is_a_fault(tmp_path):
    with pytest.raises(DatabaseFaultError) as fault:
        Database.open(f"sqlite:///{tmp_path}/missing/test.sqlite")
    assert fault.value.retryable


def test_listeners_hear_of_commits_that_announced_their_topic_and_of_no_others(database):
    heard = []
    stop = database.listen("tasks", lambda: heard.append("tasks"))
    with database.transaction() as session:
        announce(session, "tasks")
        announce(session, "tasks")
        assert heard == []
    assert heard == ["tasks"]
    with database.transaction() as session:
        announce(session, "other")
    with rolled_back(database.transaction()) as session:
        announce(session, "tasks")
    stop()
    with database.transaction() as session:
        announce(session, "tasks")
    assert heard == ["tasks"]


def test_opening_again_changes_nothing(tmp_path):
    url = f"sqlite:///{tmp_path / 'test.sqlite'}"
    first = Database.open(url)
    with first.transaction() as session:
        session.add(account(1))
    first.close()
    second = Database.open(url)
    with second.reading() as session:
        assert session.get(AccountRecord, "1") is not None
    second.close()


def describe_schema(engine):
    """Everything about a schema that matters, also what Alembic's comparison does not see (CHECKs)."""
    inspector = inspect(engine)
    tables = {}
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        tables[table] = {
            "columns": [
                (each["name"], str(each["type"]), each["nullable"], each["primary_key"])
                for each in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table),
            "references": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "indexes": sorted(
                (
                    each["name"],
                    each["column_names"],
                    each["unique"],
                    str(each["dialect_options"].get("sqlite_where")),
                )
                for each in inspector.get_indexes(table)
            ),
            "checks": sorted(
                (each["name"], each["sqltext"].replace(f"{table}.", ""))
                for each in inspector.get_check_constraints(table)
            ),
        }
    return tables


def test_migrations_and_models_agree(tmp_path):
    url = f"sqlite:///{tmp_path / 'migrated.sqlite'}"
    Database.open(url).close()
    migrated = sqlalchemy.create_engine(url)
    modelled = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'modelled.sqlite'}")
    Record.metadata.create_all(modelled)
    assert describe_schema(migrated) == describe_schema(modelled)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": Record.metadata})
        assert compare_metadata(context, Record.metadata) == []
    migrated.dispose()
    modelled.dispose()


def test_the_list_of_tables_is_complete():
    assert {table.__tablename__ for table in TABLES} == set(Record.metadata.tables)


def test_writers_of_one_process_have_their_turns_in_order():
    turns, order, waiting = Turns(), [], []

    def write(number):
        with turns.turn():
            order.append(number)

    with turns.turn():
        for number in range(20):
            thread = threading.Thread(target=write, args=(number,))
            thread.start()
            waiting.append(thread)
            wait_until(lambda seen=number: len(turns._waiting) == seen + 1)
        assert order == []
    for thread in waiting:
        thread.join()
    assert order == list(range(20))
    with turns.turn():  # and then it is free again
        order.append("free")


def test_a_writer_that_gives_up_waiting_leaves_the_queue(monkeypatch):
    monkeypatch.setattr(database_kinds, "_BUSY_MILLISECONDS", 20)
    turns = Turns()
    with turns.turn():
        with pytest.raises(TimeoutError), turns.turn():
            pytest.fail("two had the turn")
        assert not turns._waiting
    with turns.turn():
        pass


def test_a_writer_that_comes_too_late_is_a_fault_and_harms_nobody(database, monkeypatch):
    monkeypatch.setattr(database_kinds, "_BUSY_MILLISECONDS", 20)
    with database.transaction() as session:
        session.add(account(1))
        with pytest.raises(DatabaseFaultError, match="busy") as fault, database.transaction():
            pytest.fail("two wrote at once")
    assert fault.value.retryable
    with database.transaction() as session:
        assert session.get(AccountRecord, "1") is not None


def wait_until(is_so):
    deadline = SystemClock().monotonic() + 20
    while not is_so():
        assert SystemClock().monotonic() < deadline
        SystemClock().sleep(0.001)


def test_a_glance_holds_no_transaction_open_and_the_next_one_is_as_whole_as_ever(tmp_path, database_kind):
    database = Database.open(find_test_url(tmp_path))
    try:
        with database.transaction() as session:
            session.add(account(1))
        with database.glancing() as session:
            assert session.scalar(select(AccountRecord.id)) == "1"
            if database_kind == "postgresql":
                driver = session.connection().connection.driver_connection
                assert driver.info.transaction_status.name == "IDLE"
        with rolled_back(database.transaction()) as session:
            session.add(account(2))
            session.flush()
        with database.glancing() as session:
            assert session.scalars(select(AccountRecord.id)).all() == ["1"]
    finally:
        database.close()
