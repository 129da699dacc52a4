"""`lamina migrate` when one of its calls fails, each of them in turn, before it was carried out or after."""

import io
from contextlib import redirect_stderr, redirect_stdout

import pytest

from lamina.cli.client import CallRefusedError, EcsClient, ServiceFaultError, read_profile
from lamina.cli.main import main
from lamina.cli.migrate import command
from lamina.cli.migrate.clean_up import clean_up
from lamina.cli.migrate.migration import INSTANCE_TAG, TAG, Migration
from lamina.settings import Settings
from tests.e2e.test_migrate_cli import FIRST, IN_REGION, SYSTEM, accounts, folder

__all__ = ["accounts", "folder"]

_LOOKS = ("Describe", "List")


class _Line:
    """What is between the command and the service: it fails once, at one of the calls that change something."""

    def __init__(self, broken, *, is_after):
        self.calls = []
        self._broken, self._is_after = broken, is_after

    def client(self, profile):
        line = self

        class Client(EcsClient):
            def call(self, action, parameters=None, body=b""):
                if action.startswith(_LOOKS):
                    return super().call(action, parameters, body)
                line.calls.append(action)
                if len(line.calls) != line._broken:
                    return super().call(action, parameters, body)
                if line._is_after:
                    super().call(action, parameters, body)
                raise ServiceFaultError("the line broke", retryable=True)

        return Client(profile)


class _Revoked(EcsClient):
    """The account's key goes as soon as the new snapshots stay."""

    is_gone = False

    def call(self, action, parameters=None, body=b""):
        if self.is_gone:
            raise CallRefusedError(action, "InvalidAccessKeyId.NotFound", "no such key", "1")
        answer = super().call(action, parameters, body)
        self.is_gone = action == "UntagResources"
        return answer


def migrate(accounts, monkeypatch, make_client, *arguments, shown=None):
    one, two = accounts
    monkeypatch.setattr(command, "EcsClient", make_client)
    told = io.StringIO()
    with redirect_stdout(shown or io.StringIO()), redirect_stderr(told):
        code = main(["migrate", *arguments, "--from", str(one.path), "--to", str(two.path)])
    return code, told.getvalue()


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_whichever_call_fails_nothing_is_left_but_what_was_asked_for(accounts, monkeypatch, is_after):
    one, two = accounts
    snapshot = one.make_snapshot(FIRST)
    before = one.dump()
    broken = 0
    while True:
        broken += 1
        line = _Line(broken, is_after=is_after)
        code, told = migrate(accounts, monkeypatch, line.client, snapshot)
        if len(line.calls) < broken:
            assert code == 0
            break
        assert code != 0 or "5/5" in told  # the last step tries again what it could not remove
        at = (broken, line.calls, told)
        migration = told.split()[1].rstrip(";")
        if "--clean-up" in told.partition("\n")[2]:  # what is left is named, with the way to remove it
            code, _ = migrate(accounts, monkeypatch, EcsClient, "--clean-up", migration)
            assert code == 0, at
        assert one.dump() == before, at
        left = two.dump()
        is_done = (is_after and line.calls[broken - 1] == "UntagResources") or "5/5" in told
        assert len(left["Snapshot"]) == is_done, at
        assert (left["Image"], left["Instance"], left["Disk"]) == ([], [], []), at
        for each in left["Snapshot"]:
            two.client.call("DeleteSnapshot", {"SnapshotId": each, "Force": True})
    assert broken > 12


def test_the_new_snapshots_are_told_although_the_last_step_is_refused(accounts, monkeypatch):
    one, two = accounts
    snapshot = one.make_snapshot(FIRST)
    shown = io.StringIO()
    code, told = migrate(accounts, monkeypatch, _Revoked, snapshot, shown=shown)
    assert (code, "no such key" in told) == (2, True)
    (new,) = two.list("Snapshot")
    assert new["SnapshotId"] in shown.getvalue()
    migration = told.split()[1].rstrip(";")
    code, _ = migrate(accounts, monkeypatch, EcsClient, "--clean-up", migration)
    assert (code, two.dump()["Instance"], one.dump()["Image"]) == (0, [], [])


def test_an_image_whose_snapshots_are_gone_is_cleaned_up(accounts):
    """As one of an instance is whose disks could not be captured."""
    one, _ = accounts
    snapshot = one.make_snapshot(SYSTEM, DiskType="system")
    tags = [{"Key": TAG, "Value": "mg-1"}, {"Key": INSTANCE_TAG, "Value": "i-1"}]
    one.client.call("CreateImage", {**IN_REGION, "SnapshotId": snapshot, "Tag": tags})

    class Forgotten(EcsClient):
        """The image still names a snapshot that is not there."""

        def call(self, action, parameters=None, body=b""):
            answer = super().call(action, parameters, body)
            if action == "DescribeImages":
                for image in answer["Images"]["Image"]:
                    for disk in image["DiskDeviceMappings"]["DiskDeviceMapping"]:
                        disk["SnapshotId"] = "s-gone"
            return answer

    with Forgotten(read_profile(one.path, Settings())) as client:
        migration = Migration(id="mg-1", source=client, target=client, say=lambda _: None)
        assert clean_up(migration) == 1
    assert one.dump()["Image"] == []
