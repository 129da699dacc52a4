"""How commands are stopped."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
from array import array

import pytest

from lamina.cli.stopping import StoppableClock
from lamina.clock import SystemClock
from lamina.failures import Cancelled
from tests.factories.service_process import SECONDS

TALKING = """
from lamina.cli.output import say
from lamina.cli.stopping import stopping_by
stopped = []
with stopping_by(lambda: stopped.append(1)):
    while not stopped:
        say("x" * 1000)
"""


def test_a_signal_stops_a_command_that_is_just_telling_something():
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", TALKING]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=buffered) as process:
        wait_until_full(process.stderr)
        process.send_signal(signal.SIGTERM)
        told = process.stderr.read()
    assert process.returncode == 0, told[-1000:]
    assert told.count(b"stopping; once more") == 1


def wait_until_full(pipe):
    """Until nothing more fits into a pipe, so that whoever writes to it stands in the middle of a write."""
    clock, waiting, before = SystemClock(), array("i", [0]), -1
    deadline = clock.monotonic() + SECONDS
    while waiting[0] == 0 or waiting[0] != before:
        assert clock.monotonic() < deadline
        before = waiting[0]
        clock.sleep(0.1)
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)


def test_work_is_stopped_where_it_waits():
    clock = StoppableClock()
    clock.sleep(0)
    clock.check()
    clock.stop()
    for wait in (clock.check, lambda: clock.sleep(0)):
        with pytest.raises(Cancelled):
            wait()
