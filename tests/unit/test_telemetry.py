"""Log lines: one JSON object each, and never a secret."""

import io
import json
import logging

import pytest

from lamina.telemetry import configure, get_logger, log, log_failure


@pytest.fixture
def lines():
    stream = io.StringIO()
    root, ours = logging.getLogger(), logging.getLogger("lamina")
    before = (root.handlers[:], root.level, ours.level)
    configure(stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def test_a_line_has_event_and_facts(lines):
    log(
        get_logger("lamina.test"),
        logging.INFO,
        "a disk was made",
        disk_id="d-1",
        size_gib=20,
        note="two\nlines",
    )
    (line,) = lines()
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "lamina.test",
        "event": "a disk was made",
        "disk_id": "d-1",
        "size_gib": 20,
        "note": "two\nlines",
    }


@pytest.mark.parametrize(
    "name", ["secret", "access_key_secret", "Password", "passphrase", "signature", "authorization"]
)
def test_secrets_are_never_written(lines, name):
    log(get_logger("lamina.test"), logging.INFO, "event", **{name: "hunter2"})
    assert lines()[0][name] == "(hidden)"


def test_a_failure_carries_its_traceback(lines):
    try:
        int("broken")
    except ValueError as error:
        log_failure(get_logger("lamina.test"), "it failed", error, task_id="t-1")
    (line,) = lines()
    assert (line["failure"], line["task_id"], line["level"]) == ("ValueError", "t-1", "error")
    assert "broken" in line["message"]
    assert "test_telemetry.py" in line["traceback"]


def test_libraries_are_heard_only_when_something_is_wrong(lines):
    get_logger("some.library").info("chatter")
    get_logger("some.library").warning("trouble")
    get_logger("lamina.test").debug("detail")
    assert [line["event"] for line in lines()] == ["trouble"]
