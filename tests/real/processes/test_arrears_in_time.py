"""Arrears on a served installation: `lamina clock advance` goes from the bill to the purge, also through kill -9."""

import json
import signal
import subprocess
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from lamina.cli.client import CallRefusedError, EcsClient
from lamina.clock import SystemClock
from tests.factories.payments import write_terms
from tests.factories.service_process import (
    LAMINA,
    MIB,
    SECONDS,
    advance_to,
    read_clock,
    run_here,
    serving,
    wait_for,
)
from tests.real.processes.test_movable_clock import REGION, connect, list_snapshots, set_up

DAY = timedelta(days=1)


def read(folder, *command):
    return run_here(folder / "data", *command)


def fall_due(folder, client: EcsClient) -> datetime:
    """The month ends; answers when its bill is to be paid."""
    now = read_clock(folder / "data")
    month = (now.replace(day=1) + 32 * DAY).replace(day=1, hour=2, minute=0, second=0)
    advance_to(folder / "data", month)
    [charge] = client.call("DescribeLedger")["Entries"]["Entry"]
    return datetime.fromisoformat(charge["DueTime"])


def find_account(folder) -> str:
    return json.loads((folder / "data" / "credentials.json").read_text())["account_id"]


def stand(client: EcsClient) -> dict:
    return client.call("DescribeAccountStanding", {"MaxResults": 100})


def list_standings(client: EcsClient) -> list[str]:
    events = stand(client)["Events"]["Event"]
    return [each["Subject"] for each in reversed(events) if each["Kind"] == "standing"]


def test_from_the_bill_to_the_purge_and_back(tmp_path):
    write_terms(tmp_path / "data", price="1000000")
    with serving(tmp_path, "--movable-clock"), closing(connect(tmp_path)) as client:
        disk_id = set_up(client)
        due = fall_due(tmp_path, client)
        for at, expected in (
            (due, "overdue"),
            (due + DAY, "suspended"),
            (due + 15 * DAY - timedelta(hours=1), "suspended"),
            (due + 15 * DAY, "purging"),
        ):
            advance_to(tmp_path / "data", at)
            assert stand(client)["Standing"] == expected
            assert bool(list_snapshots(client)) is (expected != "purging")
        with pytest.raises(CallRefusedError) as refused:
            client.call("CreateSnapshot", {"DiskId": disk_id})
        assert refused.value.code == "InvalidAccountStatus.NotEnoughBalance"
        owed = client.call("DescribeBalance")["Balances"]["Balance"][0]["DueAmount"]
        paid = read(tmp_path, "bill", "pay", find_account(tmp_path), owed)
        assert paid["standing"] == "normal"
        client.call("CreateSnapshot", {"DiskId": disk_id})
        wait_for(client, "Snapshot", "Status", "accomplished")
        assert list_standings(client) == ["overdue", "suspended", "purging", "normal"]


def test_kills_in_between_lose_and_repeat_nothing(tmp_path):
    clock = SystemClock()
    write_terms(tmp_path / "data", price="1000000")
    with serving(tmp_path, "--movable-clock"), closing(connect(tmp_path)) as client:
        disk_id = set_up(client)
        for number in range(12):
            connection = client.call("ConnectDisk", {"DiskId": disk_id})["ConnectionId"]
            client.call(
                "WriteDiskData", {"ConnectionId": connection, "Offset": number * 65536}, body=b"y" * MIB
            )
            client.call("DisconnectDisk", {"ConnectionId": connection})
            client.call("CreateSnapshot", {"DiskId": disk_id})
            _wait_until(
                clock, lambda: {each["Status"] for each in list_snapshots(client)} == {"accomplished"}
            )
        due = fall_due(tmp_path, client)
        advance_to(tmp_path / "data", due + 15 * DAY - timedelta(hours=1))
        plan = client.call("DescribeArrearsForecast")["Departures"]["Departure"]
        goes = sorted(each["ResourceId"] for each in plan)
        assert len(goes) >= 13
    command = [*LAMINA, "clock", "advance", "2h", "--data", str(tmp_path / "data")]
    for seconds in (0.05, 0.2, 0.4):  # killed before, within and behind the purge
        with (
            serving(tmp_path) as (service, _),
            subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as moving,
        ):
            clock.sleep(0.5 + seconds)
            service.send_signal(signal.SIGKILL)
            moving.kill()
    with serving(tmp_path), closing(connect(tmp_path)) as client:
        advance_to(tmp_path / "data", due + 16 * DAY)
        events = stand(client)["Events"]["Event"]
        told = sorted(each["Subject"] for each in events if each["Kind"] != "standing")
        assert [each for each in told if each in goes] == goes, "each of them once"
        assert list_standings(client) == ["overdue", "suspended", "purging"]
        assert client.call("DescribeSnapshots", REGION)["TotalCount"] == 0


def _wait_until(clock, is_done) -> None:
    deadline = clock.monotonic() + SECONDS
    while not is_done():
        assert clock.monotonic() < deadline
        clock.sleep(0.05)
