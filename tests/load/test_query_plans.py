"""No call walks through a table that grows: every statement of every action, with every parameter, is explained.

The calls are made from the declarations of the actions, so a new action, a new filter or a new table is covered
without a word here; a filter whose good values cannot be guessed fails the test until they are given.

The tables hold a small crowd of two accounts. SQLite is asked for the plan that it takes; PostgreSQL would rather read
small tables as a whole, and is told to do so only where it has no other way.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from string import Formatter

import pytest
from sqlalchemy import event, func, select

from lamina.api.registry import load_actions
from lamina.api.spec import Action, Kind
from lamina.ids import AccountId
from tests.factories.api import REGION, ZONE, make_installation
from tests.factories.crowd import GROWING, SHARE, START, Crowd, disk_id, fill, policy_id, snapshot_id, task_id
from tests.factories.example_calls import EXTRAS, Parameter, list_parameters, write_call

SNAPSHOTS = 20_000
STEPS_PER_TICK = 1000
GROWING_NAMES = {record.__tablename__ for record in GROWING}
INDEXES_OF_FEW = {"uq_tasks_active_key", "ix_snapshots_archiving"}  # of what has not ended
MINE = 2 * SHARE  # the number of whatever a call names
OWN = {
    "bucket": f"buckets {MINE}",
    "bulk-export": f"bulk_exports {MINE}",
    "chain": "sl-" + disk_id(MINE).removeprefix("d-"),
    "connection": f"connections {MINE}",
    "disk": disk_id(MINE),
    "group": f"snapshot_groups {MINE}",
    "image": f"images {MINE}",
    "instance": f"instances {MINE}",
    "key": f"encryption_keys {MINE}",
    "policy": policy_id(MINE),
    "snapshot": snapshot_id(MINE),
    "task": task_id(MINE),
}
# Whatever an example call names beside these need not be in the right state here, or even be there.
OTHERS = {
    name: disk_id(MINE + 1)
    for extras in EXTRAS.values()
    for value in extras.values()
    for _, name, _, _ in Formatter().parse(value)
    if name
}
# Reading actions that refuse whatever they are asked.
REFUSED = ("ExportSnapshot", "OpenSnapshotService")
# Reading actions that look at all that an account has, which is what they are for.
REPORTS = ("DescribeAdvice", "DescribeArrearsForecast")
# Good values of parameters whose rules do not tell them, by the last part of their names.
VALUES = {
    "AutoSnapshotPolicyName": "a name",
    "Category": "standard",
    "DiskName": f"disk {MINE}",
    "EndTime": f"{START:%Y-%m-%dT23:00:00Z}",
    "Filter.1.Key": "CreationStartTime",
    "Filter.1.Value": f"{START:%Y-%m-%dT00:01Z}",
    "ImageFamily": "a family",
    "ImageName": f"name {MINE}",
    "InstanceName": f"name {MINE}",
    "InstanceType": "ecs.g6.large",
    "Key": "team",
    "Month": "2026-03",
    "Name": "a name",
    "Period": "60",
    "RegionId": REGION,
    "SnapshotName": f"snapshot {MINE}",
    "StartTime": f"{START:%Y-%m-%dT00:00:00Z}",
    "TagKey": "team",
    "TagValue": "team 7",
    "Value": "team 7",
    "ZoneId": ZONE,
}
# Calls that look at everything that an account has: a report on all of it, and a filter that nothing may pass.
WALKS = ("DescribeAdvice", "DescribeSnapshots Encrypted=true")
EXCLUDE_EACH_OTHER = {("ListTagResources", "TagFilter.1"): "Tag.1.Key"}


@dataclass
class Watch:
    """The statements of calls, each with an example of its parameters and with who sent it first."""

    label: str = ""
    seen: dict[str, tuple[str, object]] = field(default_factory=dict)

    def note(self, _connection, _cursor, statement, parameters, _context, _many):
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            self.seen.setdefault(statement, (self.label, parameters))


def list_values(parameter: Parameter) -> Iterator[str]:
    """Values of a parameter that make a difference to queries."""
    rules = parameter.spec.rules
    if parameter.kind is not None:
        yield parameter.write(OWN[parameter.kind])
    elif rules.choices:
        yield from rules.choices
    elif parameter.spec.kind is bool:
        yield from ("true", "false")
    elif parameter.spec.kind in (int, float) and parameter.last not in VALUES:
        yield str((rules.between or (1, 0))[0])
    else:
        yield parameter.write(VALUES.get(parameter.wire) or VALUES.get(parameter.last) or "a text")


def list_calls(action: Action) -> Iterator[tuple[str, dict[str, str]]]:
    """What is varied, and the call: the mandatory parameters alone, then each of the others in turn."""
    base = write_call(action, {**OTHERS, **OWN})
    yield "", base
    optional = [
        each for each in list_parameters(action) if not each.is_mandatory and each.wire != "NextToken"
    ]
    for object_name, group in itertools.groupby(optional, lambda each: each.object_name):
        members = list(group)
        if object_name:
            values = {each.wire: next(list_values(each)) for each in members}
            excluded = EXCLUDE_EACH_OTHER.get((action.name, object_name))
            yield object_name, {**{name: base[name] for name in base if name != excluded}, **values}
            continue
        for each in members:
            for value in list_values(each):
                yield f"{each.wire}={value}", {**base, each.wire: value}


@pytest.fixture
def installation(tmp_path):
    made = make_installation(tmp_path)
    yield made
    made.services.database.close()


def make_crowd(installation, **neighbours):
    """A crowd, and its owner."""
    caller = installation.add_caller()
    crowd = Crowd(
        account_id=AccountId(caller.key.account_id),
        region_id=REGION,
        zone_id=ZONE,
        snapshots=SNAPSHOTS,
        teams=SNAPSHOTS // 1000,
        **neighbours,
    )
    fill(installation.services.database, crowd)
    installation.services.database.analyse()
    return caller


@contextmanager
def watching(engine):
    watch = Watch()
    event.listen(engine, "before_cursor_execute", watch.note)
    yield watch
    event.remove(engine, "before_cursor_execute", watch.note)


def call_everything(caller, watch) -> Iterator[str]:
    """Make all calls; yields what went wrong with those that only read."""
    for action in sorted(load_actions().values(), key=lambda action: action.name):
        for varied, call in list_calls(action):
            watch.label = f"{action.name} {varied}"
            answer = caller.call(action.name, **call)
            if action.kind is not Kind.READS or action.name in REFUSED:
                continue
            if answer.status != 200 and answer.code != "DryRunOperation":
                yield f"{watch.label}: {answer.json['Code']}, {answer.json['Message']}"
            if not varied and answer.json.get("NextToken"):
                watch.label = f"{action.name} NextToken"
                again = caller.call(action.name, **call, NextToken=answer.json["NextToken"])
                assert again.status == 200, watch.label


def test_no_call_walks_through_a_table_that_grows(installation):
    neighbour = installation.add_caller("neighbour")
    caller = make_crowd(installation, neighbour_id=AccountId(neighbour.key.account_id))
    engine = installation.services.database._engine
    with watching(engine) as watch:
        found = list(call_everything(caller, watch))
    explain = explain_sqlite if engine.dialect.name == "sqlite" else explain_postgresql
    with engine.connect() as connection:
        found += [
            f"{label}: {walk}\n    {statement}"
            for statement, (label, parameters) in watch.seen.items()
            for walk in explain(connection, statement, parameters)
        ]
    assert not found, "\n".join(found)


def explain_sqlite(connection, statement, parameters) -> list[str]:
    """The parts of its plan that read a table, or an index of it, from end to end."""
    if "WHERE 0 = 1" in statement:
        return []  # whatever the plan says, SQLite sees at once that there is nothing
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    return [
        detail for *_, detail in plan if detail.startswith("SCAN ") and detail.split()[1] in GROWING_NAMES
    ]


def explain_postgresql(connection, statement, parameters) -> list[str]:
    """The same. A merge join may well read the whole index of a small table, and of a large one it does not."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    connection.exec_driver_sql("SET LOCAL enable_mergejoin = off")
    [[[plan]]] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).all()
    found = []

    def visit(node):
        name = node["Node Type"]
        is_walk = name == "Seq Scan" or (name.startswith("Index") and "Index Cond" not in node)
        is_few = node.get("Index Name") in INDEXES_OF_FEW
        if is_walk and not is_few and node.get("Relation Name") in GROWING_NAMES:
            found.append(json.dumps({key: value for key, value in node.items() if key != "Plans"}))
        for child in node.get("Plans", ()):
            visit(child)

    visit(plan["Plan"])
    return found


@dataclass
class Effort:
    """Counts the steps of SQLite's machine that a statement takes until the next one begins."""

    label: str = ""
    current: tuple[str, str] = ("", "")
    steps: int = 0
    most: dict[str, tuple[int, str]] = field(default_factory=dict)

    def begin(self, connection, _cursor, statement, _parameters, _context, _many):
        self.note()
        self.current, self.steps = (statement, self.label), 0
        connection.connection.dbapi_connection.set_progress_handler(self.tick, STEPS_PER_TICK)

    def tick(self):
        self.steps += STEPS_PER_TICK
        return 0

    def note(self):
        statement, label = self.current
        if statement.startswith("SELECT") and "count(" not in statement and not label.startswith(WALKS):
            self.most[statement] = max(self.most.get(statement, (0, "")), (self.steps, label))


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # PostgreSQL does not count its steps
def test_no_page_takes_a_walk_through_all_that_an_account_has(installation):
    """A look at an entry of an index takes seven steps and more, so a page that takes five per snapshot saw a part."""
    caller = make_crowd(installation)
    engine = installation.services.database._engine
    effort = Effort()
    event.listen(engine, "before_cursor_execute", effort.begin)
    try:
        assert list(call_everything(caller, effort)) == []
    finally:
        event.remove(engine, "before_cursor_execute", effort.begin)
    found = [
        f"{label} takes {steps} steps\n    {statement}"
        for statement, (steps, label) in effort.most.items()
        if steps > 5 * SNAPSHOTS and label.partition(" ")[0] not in REPORTS
    ]
    assert not found, "\n".join(found)


def test_a_crowd_fills_every_table_that_grows(installation):
    make_crowd(installation)
    with installation.services.database.reading() as session:
        counts = {
            record.__tablename__: session.scalar(select(func.count()).select_from(record))
            for record in GROWING
        }
    assert min(counts.values()) >= 40, counts
