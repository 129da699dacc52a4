"""Tables that are as full as those of a large installation, filled by the database itself in seconds.

Row `n` of a table follows from `n`: ids are scattered as random ones would be, creation follows the number, and
every column that a list can be filtered by has rare and common values. Tables that nothing special is said about are
filled by the types of their columns, so that a new one is filled from its first day on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Text,
    case,
    cast,
    insert,
    literal,
    null,
    select,
    text,
)
from sqlalchemy.orm import Session

from lamina.control.accounts.records import AccessKeyRecord, AccountRecord
from lamina.control.audit.records import CallRecord
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.idempotency.records import TokenRecord
from lamina.control.images.states import ImageOrigin
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.policies.records import PolicyRecord, RunRecord
from lamina.control.policies.states import RunOutcome
from lamina.control.regions.records import RegionRecord, ZoneRecord
from lamina.control.snapshots.records import ChainRecord, HoldRecord, SnapshotRecord
from lamina.control.snapshots.states import HolderKind, SnapshotCategory, SnapshotKind, SnapshotState
from lamina.control.tables import TABLES
from lamina.control.tags.records import ResourceType, TagRecord
from lamina.database import Database, Instant, Record
from lamina.ids import AccountId, DiskId, PolicyId, RegionId, SnapshotId, TaskId, ZoneId
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import TaskState

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_SPECIAL: Final = (
    InstanceRecord,
    *(DiskRecord, ChainRecord, SnapshotRecord, HoldRecord),
    *(TagRecord, PolicyRecord, RunRecord, TaskRecord, CallRecord, TokenRecord),
)
_FEW: Final = (AccountRecord, AccessKeyRecord, RegionRecord, ZoneRecord)  # so many as the operator makes
_WORDS: Final[Mapping[str, object]] = {  # where not every text will do, and not every word of an enum
    "bulk_export_items.stored": "[]",
    "images.origin": ImageOrigin.CREATED,
    "images.platform": "Others Linux",
    "instances.instance_type": "ecs.g6.large",
    "instances.state": InstanceState.STOPPED,
}
_OWNERS: Final = {"account_id", "region_id", "zone_id"}
GROWING: Final = tuple(
    record
    for record in TABLES
    if not (record in _FEW or {column.name for column in record.__table__.primary_key} <= _OWNERS)
)
"""Tables that grow with the use of the service, and not only with the number of accounts and regions."""

_POLICIES: Final = 40
SHARE: Final = 20  # one in so many rows belongs to the account itself where it has a neighbour
PASTS: Final = 1000  # one in so many rows is something rare
_PRIME: Final = 9_999_991  # more than there are rows, so that multiplying scatters them and never meets twice
_FACTOR: Final = 6_700_417
_DAY: Final = 86_400 * 10**6

Number = ColumnElement[int]


@dataclass(frozen=True)
class Crowd:
    """How full the tables are, and of whom.

    Attributes:
        account_id: whose it is.
        neighbour_id: whose 19 of 20 rows are, if there is a neighbour; each row and those that it refers to have
            one owner.
        snapshots: how many; each disk has ten.
        teams: how many values the tag `team` has; every snapshot and disk carries it, and `env`, which has two.
    """

    account_id: AccountId
    region_id: RegionId
    zone_id: ZoneId
    snapshots: int = 1_000_000
    teams: int = 1000
    neighbour_id: AccountId | None = None

    def owner(self, number: Number) -> ColumnElement[str]:
        """Whose the rows with a number are."""
        if self.neighbour_id is None:
            return literal(self.account_id)
        return case((number % SHARE == 0, literal(self.account_id)), else_=literal(self.neighbour_id))

    @property
    def disks(self) -> int:
        return self.snapshots // 10


def disk_id(number: int) -> DiskId:
    """The id of the disk with a number."""
    return DiskId(f"d-crowd0000000{_scatter(number)}")


def snapshot_id(number: int) -> SnapshotId:
    """The id of the snapshot with a number; it was taken of the disk `number % disks`."""
    return SnapshotId(f"s-crowd0000000{_scatter(number)}")


def task_id(number: int) -> TaskId:
    """The id of the task with a number; it has ended."""
    return TaskId(f"t-crowd0000000{_scatter(number)}")


def policy_id(number: int) -> PolicyId:
    """The id of the policy with a number, of which there are 40."""
    return PolicyId(f"sp-crowd000000{_scatter(number)}")


def fill(database: Database, crowd: Crowd) -> None:
    """Fill the tables, and have the database look at what is in them."""
    with database.transaction() as session:
        _fill_by_types(session, crowd, InstanceRecord)
        _fill_disks(session, crowd)
        _fill_snapshots(session, crowd)
        _fill_tags(session, crowd)
        _fill_policies(session, crowd)
        _fill_records(session, crowd)
        for record in GROWING:
            if record not in _SPECIAL:
                _fill_by_types(session, crowd, record)
    with database.transaction() as session:
        session.execute(text("ANALYZE"))


def _fill_disks(session: Session, crowd: Crowd) -> None:
    n = _numbers(crowd.disks)
    values = {
        "id": _id("d-crowd0000000", n),
        "account_id": crowd.owner(n),
        "region_id": literal(crowd.region_id),
        "zone_id": literal(crowd.zone_id),
        "name": _text("disk ", n % (crowd.disks // 10)),
        "role": _rarely(n, DiskRole.SYSTEM, DiskRole.DATA, DiskRecord.role),
        "category": literal(DiskCategory.CLOUD_AUTO, DiskRecord.category.type),
        "size_gib": literal(40),
        "state": literal(DiskState.AVAILABLE, DiskRecord.state.type),
        "was_attached": literal(True),
        "source_snapshot_id": case((n % 10 == 0, _id("s-crowd0000000", n)), else_=null()),
        "instance_id": case((n % 10 == 1, _text("instances ", n // 10)), else_=null()),
        "created_at": _micros(START) + n * 10**6,
        "policy_id": case((n % 10 == 0, _id("sp-crowd000000", n % _POLICIES)), else_=null()),
    }
    _insert(session, DiskRecord, n, values)
    sums = {
        "disk_id": values["id"],
        "region_id": values["region_id"],
        "account_id": values["account_id"],
        "created_at": values["created_at"],
        "snapshot_count": literal(10),
        "standard_bytes": n,
        "archive_bytes": literal(0),
        "revision": literal(1),
        "is_counted": n % PASTS != 0,
    }
    _insert(session, ChainRecord, n, sums)


def _fill_snapshots(session: Session, crowd: Crowd) -> None:
    n = _numbers(crowd.snapshots)
    rare_state = _rarely(n, SnapshotState.FAILED, SnapshotState.ACCOMPLISHED, SnapshotRecord.state)
    values = {
        "id": _id("s-crowd0000000", n),
        "account_id": crowd.owner(n),
        "region_id": literal(crowd.region_id),
        "name": _text("snapshot ", n % (crowd.snapshots // 10)),
        "kind": case(
            (n % 3 == 0, literal(SnapshotKind.USER, SnapshotRecord.kind.type)),
            else_=literal(SnapshotKind.AUTO, SnapshotRecord.kind.type),
        ),
        "category": _rarely(n, SnapshotCategory.ARCHIVE, SnapshotCategory.STANDARD, SnapshotRecord.category),
        "state": rare_state,
        "disk_id": _id("d-crowd0000000", n % crowd.disks),
        "disk_size_gib": literal(40),
        "disk_role": _rarely(n % crowd.disks, DiskRole.SYSTEM, DiskRole.DATA, SnapshotRecord.disk_role),
        "created_at": _micros(START) + n * 10**6,
        "modified_at": _micros(START) + n * 10**6,
        "retention_days": case((n % 2 == 0, literal(3650)), else_=null()),
        "expires_at": case((n % 2 == 0, _micros(START) + 3650 * _DAY + n * 10**6), else_=null()),
        "task_id": _id("t-crowd0000000", n),
        "used_bytes": n,
        "group_id": case((n % 100 == 0, _id("ssg-crowd00000", n % 2000)), else_=null()),
    }
    _insert(session, SnapshotRecord, n, values)
    held = _numbers(crowd.disks // 10)
    holds = {
        "snapshot_id": _id("s-crowd0000000", held * 10),
        "holder_kind": case(
            (held % 4 == 0, literal(HolderKind.IMAGE, HoldRecord.holder_kind.type)),
            else_=literal(HolderKind.DISK, HoldRecord.holder_kind.type),
        ),
        "holder_id": _id("d-crowd0000000", held * 10),
    }
    _insert(session, HoldRecord, held, holds)


def _fill_tags(session: Session, crowd: Crowd) -> None:
    for kind, prefix, count in (
        (ResourceType.SNAPSHOT, "s-crowd0000000", crowd.snapshots),
        (ResourceType.DISK, "d-crowd0000000", crowd.disks),
    ):
        n = _numbers(count)
        common = {
            "resource_type": literal(kind, TagRecord.resource_type.type),
            "resource_id": _id(prefix, n),
            "account_id": crowd.owner(n),
            "region_id": literal(crowd.region_id),
            "created_at": _micros(START) + n * 10**6,
        }
        _insert(
            session,
            TagRecord,
            n,
            {**common, "key": literal("team"), "value": _text("team ", n % crowd.teams)},
        )
        env = case((n % 2 == 0, literal("production")), else_=literal("test"))
        _insert(session, TagRecord, n, {**common, "key": literal("env"), "value": env})


def _fill_policies(session: Session, crowd: Crowd) -> None:
    n = _numbers(_POLICIES)
    values = {
        "id": _id("sp-crowd000000", n),
        "account_id": crowd.owner(n),
        "region_id": literal(crowd.region_id),
        "hours": literal("0"),
        "weekdays": literal("1"),
        "copies": literal(False),
        "created_at": _micros(START) + n,
        "next_run_at": _micros(START) + 3650 * _DAY + n,
        "planned_at": _micros(START) + n,
    }
    _insert(session, PolicyRecord, n, values)
    n = _numbers(crowd.snapshots // 10)
    values = {
        "id": _id("pr-crowd000000", n),
        "account_id": crowd.owner(n),
        "region_id": literal(crowd.region_id),
        "policy_id": _id("sp-crowd000000", n % _POLICIES),
        "disk_id": _id("d-crowd0000000", n % crowd.disks),
        "point": _micros(START) + n * 10**6,
        "outcome": literal(RunOutcome.FINISHED, RunRecord.outcome.type),
        "snapshot_id": _id("s-crowd0000000", n),
        "recorded_at": _micros(START) + n * 10**6,
    }
    _insert(session, RunRecord, n, values)


def _fill_records(session: Session, crowd: Crowd) -> None:
    """What the service remembers of calls and tasks."""
    n = _numbers(crowd.snapshots // 10)
    at = _micros(START) + n * 10**6
    tasks = {
        "id": _id("t-crowd0000000", n),
        "kind": literal("capture-snapshot"),
        "lane": literal("copy"),
        "key": _id("d-crowd0000000", n % crowd.disks),
        "arguments": literal("{}"),
        "state": literal(TaskState.SUCCEEDED, TaskRecord.state.type),
        "created_at": at,
        "finished_at": at,
    }
    _insert(session, TaskRecord, n, tasks)
    calls = {
        "request_id": _id("request", n),
        "at": at,
        "account_id": crowd.owner(n),
        "access_key_id": literal("key"),
        "action": case((n % 2 == 0, literal("CreateSnapshot")), else_=literal("DescribeSnapshots")),
        "resource": _id("s-crowd0000000", n),
        "outcome": literal("ok"),
        "status": literal(200),
        "client": literal("127.0.0.1"),
        "microseconds": n,
    }
    _insert(session, CallRecord, n, calls)
    tokens = {
        "account_id": crowd.owner(n),
        "region_id": literal(crowd.region_id),
        "action": literal("CreateSnapshot"),
        "token": _id("token", n),
        "digest": literal("d" * 64),
        "outcome": literal("{}"),
        "created_at": at,
    }
    _insert(session, TokenRecord, n, tokens)


def _fill_by_types(session: Session, crowd: Crowd, record: type[Record]) -> None:
    """As many rows as there are instances: each column has what its type, or what it refers to, suggests."""
    n = _numbers(max(crowd.disks // 10, 1))
    table = record.__table__
    _insert(session, record, n, {column.name: _suggest(crowd, column, n) for column in table.columns})


def _suggest(crowd: Crowd, column: Column[Any], n: Number) -> ColumnElement[Any]:
    if column.name in _OWNERS:
        return crowd.owner(n) if column.name == "account_id" else literal(getattr(crowd, column.name))
    if column.name in ("disk_id", "snapshot_id", "task_id"):
        return _id(f"{column.name[0]}-crowd0000000", n)
    if column.name == "image_id":
        return _text("images ", n)
    if str(column) in _WORDS:
        return literal(_WORDS[str(column)], column.type)
    for key in column.foreign_keys:
        return _text(f"{key.column.table.name} ", n)
    if column.default is not None:
        return literal(column.default.arg, column.type)
    return _suggest_by_type(column, n)


def _suggest_by_type(column: Column[Any], n: Number) -> ColumnElement[Any]:
    if isinstance(column.type, sqlalchemy.Enum):
        return literal(next(iter(column.type.enum_class)), column.type)
    if isinstance(column.type, Instant):
        return _micros(START) + n * 10**6
    if isinstance(column.type, sqlalchemy.TypeDecorator):
        return cast(n, Text)  # a number that is kept as a text
    if column.nullable and isinstance(column.type, Text):
        return null()
    by_type = {
        bool: literal(False),
        bytes: literal(b"sealed"),
        int: n + 1,
        str: _text(f"{column.table.name if column.primary_key else column.name} ", n),
    }
    return by_type[column.type.python_type]


def _numbers(count: int) -> Number:
    """The column of a table of the numbers from 0 on."""
    first = select(literal(0, BigInteger).label("n")).cte(f"numbers{count}", recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < count - 1)).c.n


def _insert(
    session: Session, record: type[Record], number: Number, values: dict[str, ColumnElement[Any]]
) -> None:
    columns = dict(values)
    for column in record.__table__.columns:
        if column.name in columns or column.nullable:
            continue
        assert column.default is not None, (
            f"{record.__tablename__}.{column.name} is new: say what a crowd has there"
        )
        columns[column.name] = literal(column.default.arg, column.type)
    table = record.__table__
    # the database's own type, so that nothing is converted on the way
    selected = [
        sqlalchemy.type_coerce(value, table.c[name].type).label(name) for name, value in columns.items()
    ]
    session.execute(insert(table).from_select(list(columns), select(*selected).select_from(number.table)))


def _scatter(number: int) -> int:
    return 10_000_000 + number * _FACTOR % _PRIME


def _id(prefix: str, number: Number) -> ColumnElement[str]:
    return _text(prefix, 10_000_000 + cast(number, BigInteger) * _FACTOR % _PRIME)


def _text(prefix: str, number: Number) -> ColumnElement[str]:
    return literal(prefix) + cast(number, Text)


def _rarely(number: Number, rare: object, common: object, column: Any) -> ColumnElement[Any]:
    return case((number % PASTS == 0, literal(rare, column.type)), else_=literal(common, column.type))


def _micros(instant: datetime) -> ColumnElement[int]:
    return literal((instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), BigInteger)
