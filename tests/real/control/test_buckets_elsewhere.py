"""Buckets on another file system than the installation: exports are made there, and taken over by their names."""

import os
import subprocess

import pytest

from lamina.control.buckets import directory
from lamina.control.images.scratch import forget_leftover_scratch
from lamina.control.regions.records import RegionRecord
from tests import needs
from tests.factories.image_files import (
    list_objects,
    list_scratch,
    make_bucket,
    make_image,
    read_task,
    start_export,
)
from tests.factories.installation import open_site

pytestmark = needs.ROOT
CONTENT = os.urandom(300_000)


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=640m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def site(tmp_path, place):
    with open_site(tmp_path / "site") as site:
        with site.scope() as scope:
            scope.session.get(RegionRecord, scope.region_id).buckets = str(place)
        yield site


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_nothing_is_copied_from_one_file_system_to_the_other(site, place, monkeypatch, image_format):
    def refuse(*_arguments):
        raise AssertionError("the file was copied")

    monkeypatch.setattr(directory, "copy_sparse", refuse)
    make_bucket(site)
    task_id = start_export(site, make_image(site, CONTENT), image_format)
    site.work()
    assert read_task(site, task_id).failure is None
    assert len(list_objects(site)) == 1
    assert not (site.installation.directory / "scratch").exists()
    assert list_scratch(site) == []


def test_what_a_killed_service_left_there_is_removed(site, place):
    make_bucket(site)
    (place / ".scratch/t-gone/more").mkdir(parents=True)
    forget_leftover_scratch(site.installation)
    assert list((place / ".scratch").iterdir()) == []


def test_nothing_is_made_in_the_place_of_a_disk_that_is_not_mounted(site, place):
    make_bucket(site)
    task_id = start_export(site, make_image(site, CONTENT), "qcow2")
    with site.scope() as scope:
        scope.session.get(RegionRecord, scope.region_id).buckets = str(place / "not mounted")
    site.work()
    assert "cannot be made" in read_task(site, task_id).failure
    assert not (place / "not mounted").exists()
