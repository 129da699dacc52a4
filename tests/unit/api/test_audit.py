"""Every call has its row: what the pipeline writes into the audit log, and what it never does."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from lamina.api.registry import load_actions
from lamina.control.accounts.states import KeyRole
from lamina.control.audit.journal import AuditJournal
from lamina.control.audit.queries import CallFilter, list_calls
from lamina.control.audit.records import AuditEntry, CallRecord
from lamina.failures import Fault
from tests.factories.api import REGION, START, ZONE

ACTIONS = sorted(load_actions().values(), key=lambda action: action.name)


@pytest.fixture
def journal(installation):
    def read(**wanted):
        installation.services.audit.flush()
        with installation.services.database.reading() as session:
            return list_calls(session, CallFilter(**wanted), limit=1000)

    return read


def make_disk(caller):
    return caller.call("ImportDisk", RegionId=REGION, ZoneId=ZONE, SizeInBytes=1 << 30)


def test_a_change_is_written_with_it(installation, caller):
    answer = make_disk(caller)
    with installation.services.database.reading() as session:  # nothing was flushed
        [call] = list_calls(session, CallFilter(), limit=10)
    assert (call.request_id, call.action, call.status, call.outcome) == (
        answer.json["RequestId"],
        "ImportDisk",
        200,
        "ok",
    )
    assert (call.account_id, call.access_key_id) == (caller.key.account_id, caller.key.id)
    assert (call.resource, call.at) == (answer.json["DiskId"], START)


def test_what_is_named_and_what_is_made_are_the_resource(caller, journal):
    disk = make_disk(caller).json["DiskId"]
    connection = caller.call("ConnectDisk", DiskId=disk)
    assert connection.code in ("ok", "IncorrectDiskStatus")
    caller.call(
        "TagResources",
        **{
            "RegionId": REGION,
            "ResourceType": "disk",
            "ResourceId.1": disk,
            "ResourceId.2": "d-2",
            "Tag.1.Key": "k",
        },
    )
    [call] = journal(action="TagResources")
    assert (call.resource, call.outcome, call.status) == (f"{disk},d-2", "InvalidResourceId.NotFound", 404)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_action_leaves_one_row(installation, caller, journal, action):
    answer = caller.call(action.name)
    [call] = journal()
    assert (call.action, call.status, call.outcome) == (action.name, answer.status, answer.code)
    assert call.request_id == answer.json["RequestId"]


def test_calls_that_are_refused_early_have_rows_too(installation, caller, journal):
    reader = installation.add_caller(role=KeyRole.READ_ONLY)
    assert reader.call("DeleteDisk", DiskId="d-1").code == "Forbidden.RAM"
    caller.call("DescribeNonsense")
    caller.key = replace(caller.key, secret="wrong")
    caller.call("DescribeDisks", RegionId=REGION)
    outcomes = {(call.action, call.outcome, call.account_id != "") for call in journal()}
    assert outcomes == {
        ("DeleteDisk", "Forbidden.RAM", True),
        ("", "InvalidAction", True),
        ("", "SignatureDoesNotMatch", False),
    }


def test_a_dry_run_is_written_though_its_change_is_not(caller, journal):
    caller.call("DescribeDisks", RegionId=REGION, DryRun="true")
    [call] = journal()
    assert (call.outcome, call.status) == ("DryRunOperation", 400)


def test_no_secret_is_ever_written(installation, caller, journal):
    password, description = "Pa55word!Pa55word", "a description nobody needs"
    caller.call(
        "CreateInstance", RegionId=REGION, InstanceType="ecs.g6.large", ImageId="i.vhd", Password=password
    )
    caller.call("CreateDisk", RegionId=REGION, Description=description, ClientToken="token-of-a-client")
    swapped = replace(caller.key, id=caller.key.secret, secret=caller.key.id)
    secret, caller.key = caller.key.secret, swapped
    caller.call("DescribeRegions")
    rows = journal()
    text = json.dumps(
        [[str(getattr(row, column.name)) for column in CallRecord.__table__.columns] for row in rows]
    )
    assert len(rows) == 3
    for hidden in (secret, password, description, "token-of-a-client", "nonce-", "Signature="):
        assert hidden not in text


def test_texts_of_clients_are_cut_off(caller, journal):
    caller.call("DeleteDisk", DiskId="d-" + "x" * 5000)
    [call] = journal()
    assert len(call.resource) == 256


def test_texts_that_the_database_does_not_take_are_not_in_the_log(caller, journal):
    caller.call("DeleteDisk", DiskId="d-\0")
    [call] = journal()
    assert (call.outcome, call.resource) == ("InvalidParameter", "")


def test_a_row_is_written_once(installation, caller, journal):
    make_disk(caller)
    [call] = journal()
    again = AuditEntry(**{name: getattr(call, name) for name in AuditEntry.__dataclass_fields__})
    installation.services.audit.add(replace(again, outcome="InternalError"))
    assert [each.outcome for each in journal()] == ["ok"]


def test_calls_wait_and_are_refused_when_the_log_cannot_be_written(installation, caller):
    full = AuditJournal(installation.services.database, capacity=0, patience_seconds=0.01)
    with pytest.raises(Fault) as refused:
        full.require_room()
    assert refused.value.retryable


def test_lists_are_filtered_and_sorted(installation, caller, journal):
    caller.call("DescribeRegions")
    installation.clock.advance(timedelta(minutes=5))
    caller.call("DescribeDisks", RegionId=REGION)
    later = START + timedelta(minutes=5)
    assert [call.action for call in journal()] == ["DescribeDisks", "DescribeRegions"]
    assert [call.action for call in journal(since=later)] == ["DescribeDisks"]
    assert [call.action for call in journal(until=later)] == ["DescribeRegions"]
    assert [call.action for call in journal(action="DescribeRegions")] == ["DescribeRegions"]
    assert journal(account_id="nobody") == []
    [call] = journal(until=later)
    assert [each.action for each in journal(request_id=call.request_id)] == ["DescribeRegions"]
