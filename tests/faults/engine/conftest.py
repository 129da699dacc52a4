"""The repository that holds objects of every kind; made once."""

import pytest

from tests.faults.engine.every_object import build


@pytest.fixture(scope="session")
def every():
    """A repository with everything in it; tests damage copies."""
    return build()
