from pathlib import Path

import pytest

from tests.servers.ceph import ceph, is_asked_for
from tests.servers.seaweedfs import seaweedfs

__all__ = ["ceph", "seaweedfs"]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests of Ceph out unless they are asked for; None leaves it to others."""
    return True if collection_path.name == "test_ceph.py" and not is_asked_for(config) else None
