"""`lamina repo` stopped at bad moments: signals, kill -9, and what the next run makes of it."""

import os
import signal

import pytest

MIB = 2**20


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A disk that takes long enough to be interrupted: about ten packs."""
    path = tmp_path_factory.mktemp("large") / "large.img"
    with path.open("wb") as file:
        for _ in range(10):
            file.write(os.urandom(32 * MIB))
    return path


def test_a_killed_capture_leaves_no_snapshot_and_its_work_is_used_again(lamina, large):
    process = lamina.start("capture", large)
    lamina.stop_when(process, lambda: len(lamina.list_objects("data")) >= 3)
    assert lamina.list_ids() == []
    recovered = lamina.ask("recover")
    (session,) = recovered["leftovers"]["sessions"]
    assert (session["kind"], session["state"]) == ("capture", "dead")
    again = lamina.capture(large)
    assert again["new_bytes"] <= again["read_bytes"] - 2 * 30 * MIB, "what was stored is used again"
    assert lamina.ask("verify", "--full")["sound"]
    lamina.ask("sweep")
    assert lamina.ask("verify", "--full")["sound"]
    assert not lamina.list_objects("sessions")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_a_capture_cleanly(lamina, large, number):
    process = lamina.start("capture", large, "--json")
    ended = lamina.stop_when(process, lambda: len(lamina.list_objects("data")) >= 1, number)
    assert ended.status == 4
    assert ended.out == ""
    assert "cancelled" in ended.err
    assert lamina.list_ids() == []
    assert not lamina.list_objects("sessions")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_restore_leaves_nothing_under_the_name(lamina, large, tmp_path, number):
    snapshot = lamina.capture(large)["snapshot"]
    target = tmp_path / "target.img"

    def is_under_way():
        return any(path.stat().st_blocks for path in tmp_path.glob("target.img.*.partial"))

    process = lamina.start("restore", snapshot, target)
    ended = lamina.stop_when(process, is_under_way, number)
    assert ended.status == (4 if number == signal.SIGINT else -9)
    assert not target.exists()
    if number == signal.SIGINT:
        assert not list(tmp_path.glob("target*"))
    lamina.run("restore", snapshot, target)
    assert target.read_bytes() == large.read_bytes()
