"""What holds for every action: XML and JSON, names in any case, unknown parameters, DryRun, ClientToken.

The lists of trials grow from the declarations of the actions; see `tests.factories.example_calls`.
"""

import dataclasses
import uuid

import alibabacloud_ecs20140526.models as m
import pytest

from lamina.api.registry import load_actions
from lamina.api.spec import Kind
from tests.conformance.worlds import build_world
from tests.factories.example_calls import list_named, write_call

ACTIONS = sorted(load_actions().values(), key=lambda action: action.name)
READERS = [action for action in ACTIONS if action.kind is Kind.READS]
OF_THE_VENDOR = [action for action in ACTIONS if not action.is_extension]

# Readers that answer an error when all is well: they are refused to everybody.
REFUSED = {"ExportSnapshot"}
# What is answered to everybody instead of a first answer that could be repeated.
CLOSED = {"CopySnapshot": "InvalidUser.NotInWhiteList", "ModifyDiskChargeType": "ChargeTypeViolation"}
# A second call with the same token must differ in something for the token to be refused.
CHANGED = {
    "CloneDisks": {"DiskName": "changed"},
    "CopyImage": {"DestinationImageName": "changed"},
    "CreateDisk": {"DiskName": "changed"},
    "CreateImage": {"ImageVersion": "changed"},
    "CreateKey": {"Description": "changed"},
    "CreateInstance": {"InstanceName": "changed"},
    "DeleteInstances": {"Force": "true"},
    "CreateSnapshot": {"SnapshotName": "changed"},
    "CreateSnapshotGroup": {"Name": "changed"},
    "ImportDisk": {"DiskName": "changed"},
    "ImportImage": {"ImageName": "changed"},
    "LockSnapshot": {"LockDuration": "2"},
    "ReplaceSystemDisk": {"SystemDisk.Size": "30"},
    "ResizeDisk": {"NewSize": "22"},
    "RunInstances": {"InstanceName": "changed"},
    "StartBulkExport": {"DeleteImages": "true"},
    "UnlockSnapshot": {"RegionId": "cn-hangzhou", "SnapshotId": "s-changed"},
}
# Tables in which what was started goes on, beside the one in which it was.
LATER = {"StartBulkExport": {"images", "shown_tasks"}}
# What is said then, in the words of the vendor's table of that action.
REUSED = {"CreateImage": "IdempotenceParamNotMatch"}


def by_name(actions):
    return {"argvalues": actions, "ids": [action.name for action in actions]}


def has(action, name):
    return any(field.name == name for field in dataclasses.fields(action.request))


@pytest.fixture(scope="module")
def world(service):
    with build_world(service) as world:
        yield world


@pytest.fixture(scope="module")
def untouched(service):
    """A world that the tests which carry calls out leave alone: they unlock, resize and rename in the other one."""
    with build_world(service) as world:
        yield world


def name_nothing(world, action):
    """A complete call whose resources do not exist, so that it changes nothing."""
    nothing = {kind: each[: each.index("-") + 1] + "0" * 20 for kind, each in world.own.items()}
    call = write_call(action, nothing)
    if action.kind is not Kind.READS and not any(each.is_mandatory for each in list_named(action)):
        go_nowhere(call)
    return call


def go_nowhere(call):
    """Make the call in a region that does not exist."""
    for name in [name for name in call if name.casefold() == "regionid"]:
        del call[name]
    call["RegionId"] = "cn-nowhere"


def strip(reply):
    """What is told, without what differs between two calls."""
    if "json" not in reply.content_type:
        return reply.body
    return {name: value for name, value in reply.json.items() if name != "RequestId"}


@pytest.mark.parametrize("action", **by_name(ACTIONS))
def test_errors_come_in_xml_and_in_json(world, action):
    call = name_nothing(world, action)
    if action.kind is Kind.READS:
        go_nowhere(call)
    in_xml = world.raw.call_rpc(action.name, call)
    in_json = world.raw.call_rpc(action.name, call, method="POST", shape="json")
    assert in_xml.outcome == in_json.outcome
    assert (in_xml.content_type, in_json.content_type) == (
        "text/xml;charset=utf-8",
        "application/json;charset=utf-8",
    )
    root = "Error" if in_xml.status >= 400 else f"{action.name}Response"
    assert in_xml.xml.tag == root
    assert in_xml.xml.findtext("RequestId")
    assert in_json.json["RequestId"]


@pytest.mark.parametrize("action", **by_name(READERS))
def test_answers_come_in_xml_and_in_json(world, action):
    call = write_call(action, world.own)
    in_xml = world.raw.call_rpc(action.name, call)
    in_json = world.raw.call(action.name, call)
    assert (in_xml.status, in_json.status) == ((200, 200) if action.name not in REFUSED else (403, 403))
    if in_xml.status == 200:
        assert in_xml.xml.tag == f"{action.name}Response"
        # an empty list without an object around it leaves no trace in XML
        assert {each.tag for each in in_xml.xml} == {
            name for name, value in in_json.json.items() if value != []
        }


@pytest.mark.parametrize("action", **by_name(ACTIONS))
def test_names_match_in_any_case_and_unknown_parameters_are_ignored(world, action):
    world.renew()
    is_reader = action.kind in (Kind.READS, Kind.READS_DATA)
    call = write_call(action, world.own) if is_reader else name_nothing(world, action)
    plain = world.raw.call(action.name, call)
    extras = {"on": action.name, "OwnerAccount": "", "OwnerId": "1", "Unknown.1.Thing": "x"}
    odd = world.raw.call(
        action.name.swapcase(), {name.swapcase(): value for name, value in call.items()} | extras
    )
    assert odd.outcome == plain.outcome
    assert strip(odd) == strip(plain)


@pytest.mark.parametrize("action", **by_name(OF_THE_VENDOR))
def test_dry_runs_and_tokens_are_offered_where_they_are_documented(action):
    documented = (
        vars(getattr(m, f"{action.name}Request", object)()) if hasattr(m, f"{action.name}Request") else {}
    )
    for name in ("dry_run", "client_token"):
        assert has(action, name) or name not in documented, f"{action.name} has to know {name}"


@pytest.mark.parametrize("action", **by_name([action for action in ACTIONS if has(action, "dry_run")]))
def test_a_dry_run_changes_nothing(untouched, action):
    before = untouched.dump()
    reply = untouched.raw.call(action.name, {**write_call(action, untouched.own), "DryRun": "true"})
    assert reply.outcome == (400, "DryRunOperation")
    assert untouched.dump() == before


@pytest.mark.parametrize("action", **by_name([action for action in ACTIONS if has(action, "client_token")]))
def test_a_token_makes_one_thing(world, action):
    world.settle()
    call = {**write_call(action, world.own), "ClientToken": uuid.uuid4().hex}
    first = world.raw.call(action.name, call)
    between = world.count_rows()
    second = world.raw.call(action.name, call)
    assert (second.outcome, strip(second)) == (first.outcome, strip(first))
    after = world.count_rows()  # what the first call releases may go meanwhile
    grown = {table for table, count in after.items() if count > between[table]}
    assert not grown - LATER.get(action.name, set())
    if first.status == 200:
        third = world.raw.call(action.name, {**call, **CHANGED[action.name]})
        assert third.code == REUSED.get(action.name, "IdempotentParameterMismatch")
    else:
        assert first.code == CLOSED.get(action.name), "the first call has to be carried out"
    world.settle()
