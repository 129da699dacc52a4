"""`kill -9` in the middle of an export and of an import: nothing goes on behind it, and the next worker finishes."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lamina.clock import ManualClock
from lamina.control.images.scratch import forget_leftover_scratch
from lamina.control.images.states import ImageState
from lamina.control.shown_tasks.cancel import cancel_task
from lamina.tasks.lease import LEASE
from lamina.units import MIB
from tests.factories.image_files import (
    list_objects,
    list_scratch,
    make_bucket,
    make_image,
    put_object,
    read_image,
    read_task,
    start_export,
    start_import,
    write_image_file,
)
from tests.factories.installation import open_site

ROOT = Path(__file__).parents[3]
SIZE = 96 * MIB


def list_programs(folder):
    """The processes of the foreign program that work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            is_it = path.joinpath("comm").read_text().strip() == "qemu-img"
            if is_it and str(folder) in str(path.joinpath("cwd").readlink()):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def kill_while_it_converts(folder):
    """Start a worker and kill it as soon as the foreign program works for it."""
    worker = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("doomed_worker.py"), folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert worker.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 60
    while not list_programs(folder):
        assert worker.poll() is None, "the worker was done before it could be killed"
        assert time.monotonic() < deadline
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    worker.stdout.close()
    while list_programs(folder):
        assert time.monotonic() < deadline, "the foreign program outlived its parent"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "site"


def open_again(folder):
    """The installation as the next worker finds it, when the lease of the killed one has run out."""
    return open_site(folder, clock=ManualClock(datetime.now(UTC) + LEASE + timedelta(minutes=1)))


@pytest.fixture
def exporting(folder):
    folder.mkdir()
    with open_site(folder) as site:
        make_bucket(site)
        return start_export(site, make_image(site, os.urandom(SIZE)), "qcow2")


def test_an_export_that_was_killed_is_finished_by_the_next_worker(folder, exporting):
    kill_while_it_converts(folder)
    with open_again(folder) as site:
        assert list_objects(site) == {}
        assert list_scratch(site) == [exporting]
        site.work()
        assert read_task(site, exporting).state.value == "succeeded"
        assert len(list_objects(site)) == 1
        assert list_scratch(site) == []


def test_an_export_that_was_killed_and_is_cancelled_then_leaves_nothing(folder, exporting):
    kill_while_it_converts(folder)
    with open_again(folder) as site:
        with site.scope() as scope:
            cancel_task(scope, exporting)
        site.work()
        assert (list_objects(site), list_scratch(site)) == ({}, [])
        forget_leftover_scratch(site.installation)


def test_an_import_that_was_killed_is_finished_by_the_next_worker(folder, tmp_path):
    folder.mkdir()
    path = write_image_file(tmp_path, os.urandom(SIZE), "qcow2")
    with open_site(folder) as site:
        make_bucket(site)
        put_object(site, "system.qcow2", path.read_bytes())
        image = start_import(site, "system.qcow2")
    kill_while_it_converts(folder)
    with open_again(folder) as site:
        assert site.list_stored() == []
        site.work()
        assert read_image(site, image).state is ImageState.AVAILABLE
        assert len(site.list_stored()) == 1
        assert list_scratch(site) == []
