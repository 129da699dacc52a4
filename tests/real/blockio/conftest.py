"""These tests mount real file systems."""

import os
from pathlib import Path

import pytest

from tests.real.blockio.restless import mounted


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="loop devices and mounts need root"))


@pytest.fixture(scope="module", params=["xfs", "btrfs"])
def reflink_place(request):
    with mounted(request.param) as place:
        yield place
