"""One ClientToken in many hands at once, at two services that share a database (contract a.7)."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from lamina.api.server import Pipeline
from lamina.control.disks.records import DiskRecord
from lamina.control.idempotency.records import TokenRecord
from lamina.database import Database
from tests.factories.api import REGION, ZONE, make_installation
from tests.servers.databases import find_test_url

CALL = {"RegionId": REGION, "ZoneId": ZONE, "Size": 20, "ClientToken": "one"}
HANDS = 6


@pytest.fixture
def installation(tmp_path):
    made = make_installation(tmp_path)
    yield made
    made.services.database.close()


@pytest.fixture
def pipelines(installation, tmp_path):
    """Of two services."""
    second = Database.open(find_test_url(tmp_path))
    yield installation.pipeline, Pipeline(replace(installation.services, database=second))
    second.close()


def count(installation, table):
    with installation.services.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def call_together(callers, calls):
    """Answers to calls that are made at the same moment, in their order."""
    answers = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(number):
        barrier.wait()
        answers[number] = callers[number % len(callers)].call("CreateDisk", **calls[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_the_same_call_makes_one_thing(installation, pipelines):
    caller = installation.add_caller()
    callers = [replace(caller, pipeline=each) for each in pipelines]
    answers = call_together(callers, [CALL] * HANDS)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["DiskId"] for answer in answers}) == 1
    assert (count(installation, DiskRecord), count(installation, TokenRecord)) == (1, 1)


def test_of_different_calls_one_counts_and_the_others_are_refused(installation, pipelines):
    caller = installation.add_caller()
    callers = [replace(caller, pipeline=each) for each in pipelines]
    calls = [{**CALL, "DiskName": f"disk-{number % 3}"} for number in range(HANDS)]
    answers = call_together(callers, calls)
    won = {call["DiskName"] for call, answer in zip(calls, answers, strict=True) if answer.status == 200}
    assert len(won) == 1
    for call, answer in zip(calls, answers, strict=True):
        assert answer.code == ("ok" if call["DiskName"] in won else "IdempotentParameterMismatch")
    assert count(installation, DiskRecord) == 1


def test_accounts_do_not_meet_in_a_token(installation, pipelines):
    callers = [replace(installation.add_caller(), pipeline=pipelines[n % 2]) for n in range(HANDS)]
    answers = call_together(callers, [CALL] * HANDS)
    assert len({answer.json["DiskId"] for answer in answers}) == HANDS


IMPORT = {
    "RegionId": REGION,
    "ClientToken": "old",
    "DiskDeviceMapping__1__OSSBucket": "no-bucket",
    "DiskDeviceMapping__1__OSSObject": "system.raw",
}


def test_a_token_that_is_over_does_not_disturb_a_call_that_looks_first(installation):
    # ImportImage asks for the token before its transaction begins, in a session that must not write
    caller = installation.add_caller()
    with installation.services.database.transaction() as session:
        session.add(
            TokenRecord(
                account_id=caller.key.account_id,
                region_id=REGION,
                action="ImportImage",
                token="old",
                digest="of another call",
                outcome="{}",
                created_at=installation.clock.now() - timedelta(days=2),
            )
        )
    assert caller.call("ImportImage", **IMPORT).code == "InvalidOSSBucket.NotFound"


def die(_session):
    raise SystemExit


def test_a_service_that_dies_before_it_commits_has_done_nothing(installation):
    caller = installation.add_caller()
    event.listen(Session, "before_commit", die)
    try:
        with pytest.raises(SystemExit):
            caller.call("CreateDisk", **CALL)
    finally:
        event.remove(Session, "before_commit", die)
    assert (count(installation, DiskRecord), count(installation, TokenRecord)) == (0, 0)
    first = caller.call("CreateDisk", **CALL)
    assert caller.call("CreateDisk", **CALL).json["DiskId"] == first.json["DiskId"]
    assert count(installation, DiskRecord) == 1
