"""No call walks through a table that grows: every statement of every action, with every parameter, is explained.

The calls are made from the declarations of the actions, so a new action, a new filter or a new table is covered
without a word here; a filter whose good values cannot be guessed fails the test until they are given.

The tables hold a small crowd of one account. SQLite is asked for the plan that it takes; PostgreSQL would rather read
small tables as a whole, and is told to do so only where it has no other way.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from sqlalchemy import event, func, select

from lamina.api.registry import load_actions
from lamina.api.spec import Action, Kind
from lamina.ids import AccountId
from tests.factories.api import REGION, ZONE, make_installation
from tests.factories.crowd import GROWING, START, Crowd, disk_id, fill, policy_id, snapshot_id
from tests.factories.example_calls import Parameter, list_parameters, write_call

SNAPSHOTS = 20_000
GROWING_NAMES = {record.__tablename__ for record in GROWING}
OWN = {
    "bucket": "buckets 7",
    "chain": "sl-" + disk_id(7).removeprefix("d-"),
    "connection": "connections 7",
    "disk": disk_id(7),
    "group": "snapshot_groups 7",
    "image": "images 7",
    "instance": "instances 7",
    "policy": policy_id(7),
    "snapshot": snapshot_id(7),
    "task": "shown_tasks 7",
}
EXTRAS = {"attached": disk_id(71), "running": "instances 7", "locked": snapshot_id(7)}
# Good values of parameters whose rules do not tell them, by the last part of their names.
VALUES = {
    "AutoSnapshotPolicyName": "a name",
    "Category": "standard",
    "DiskName": "disk 7",
    "EndTime": f"{START:%Y-%m-%dT23:00:00Z}",
    "Filter.1.Key": "CreationStartTime",
    "Filter.1.Value": f"{START:%Y-%m-%dT00:01Z}",
    "ImageFamily": "a family",
    "ImageName": "name 7",
    "InstanceName": "name 7",
    "Key": "team",
    "Month": "2025-01",
    "Name": "a name",
    "SnapshotName": "snapshot 7",
    "StartTime": f"{START:%Y-%m-%dT00:00:00Z}",
    "TagKey": "team",
    "TagValue": "team 7",
    "Value": "team 7",
}


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
    elif parameter.spec.kind in (int, float):
        yield str((rules.between or (1, 0))[0])
    else:
        yield parameter.write(VALUES.get(parameter.wire) or VALUES.get(parameter.last) or "a text")


def list_calls(action: Action) -> Iterator[tuple[str, dict[str, str]]]:
    """What is varied, and the call: the mandatory parameters alone, then each of the others in turn."""
    base = write_call(action, {**OWN, **EXTRAS})
    yield "", base
    for object_name, group in itertools.groupby(list_parameters(action), lambda each: each.object_name):
        members = [each for each in group if not each.is_mandatory]
        if object_name:
            yield object_name, {**base, **{each.wire: next(list_values(each)) for each in members}}
            continue
        for each in members:
            for value in list_values(each):
                yield f"{each.wire}={value}", {**base, each.wire: value}


@pytest.fixture
def installation(tmp_path):
    made = make_installation(tmp_path)
    yield made
    made.services.database.close()


@pytest.fixture
def caller(installation):
    """The owner of the crowd."""
    caller = installation.add_caller()
    crowd = Crowd(
        account_id=AccountId(caller.key.account_id),
        region_id=REGION,
        zone_id=ZONE,
        snapshots=SNAPSHOTS,
        teams=SNAPSHOTS // 1000,
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


def test_no_call_walks_through_a_table_that_grows(installation, caller):
    engine = installation.services.database._engine
    with watching(engine) as watch:
        for action in sorted(load_actions().values(), key=lambda action: action.name):
            for varied, call in list_calls(action):
                watch.label = f"{action.name} {varied}"
                answer = caller.call(action.name, **call)
                if action.kind is Kind.READS:
                    assert answer.status == 200, f"{watch.label}: {answer.json}"
    explain = explain_sqlite if engine.dialect.name == "sqlite" else explain_postgresql
    with engine.connect() as connection:
        found = [
            f"{label}: {walk}\n    {statement}"
            for statement, (label, parameters) in watch.seen.items()
            for walk in explain(connection, statement, parameters)
        ]
    assert not found, "\n".join(found)


def explain_sqlite(connection, statement, parameters) -> list[str]:
    """The parts of its plan that read a table, or an index of it, from end to end."""
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    return [detail for *_, detail in plan if detail.startswith("SCAN ") and detail.split()[1] in GROWING]


def explain_postgresql(connection, statement, parameters) -> list[str]:
    """The same."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    [[[plan]]] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).all()
    found = []

    def visit(node):
        name = node["Node Type"]
        is_walk = name == "Seq Scan" or (name.startswith("Index") and "Index Cond" not in node)
        if is_walk and node.get("Relation Name") in GROWING_NAMES:
            found.append(json.dumps({key: value for key, value in node.items() if key != "Plans"}))
        for child in node.get("Plans", ()):
            visit(child)

    visit(plan["Plan"])
    return found


def test_a_crowd_fills_every_table_that_grows(installation, caller):
    with installation.services.database.reading() as session:
        counts = {
            record.__tablename__: session.scalar(select(func.count()).select_from(record))
            for record in GROWING
        }
    assert min(counts.values()) >= 50, counts
