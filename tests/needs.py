"""What tests need of the machine. Where it is missing they are skipped, and in CI they fail instead (`conftest.py`)."""

import os
import shutil
from typing import Final

import pytest

ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and loop devices need root")
FUSE: Final = pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse is missing")


def program(name: str) -> pytest.MarkDecorator:
    """That a program is installed; `scripts/ensure-programs test` installs them all."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")
