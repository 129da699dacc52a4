"""These tests mount real file systems."""

from pathlib import Path

import pytest

from tests import needs
from tests.real.blockio.restless import mounted


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(needs.ROOT)


@pytest.fixture(scope="module", params=["xfs", "btrfs"])
def reflink_place(request):
    with mounted(request.param) as place:
        yield place
