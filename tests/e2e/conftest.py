"""What the end-to-end tests share."""

import pytest

from tests.e2e.lamina_program import Program
from tests.servers.seaweedfs import seaweedfs

__all__ = ["seaweedfs"]


@pytest.fixture
def lamina(tmp_path):
    """The program, with an initialised repository."""
    program = Program(tmp_path)
    program.ask("init")
    return program


@pytest.fixture
def disk(tmp_path):
    """A disk of 24 MiB: data, a hole, data, and a short last block."""
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        for block in range(64):
            file.write(f"block {block} ".encode().ljust(65536, b"."))
        file.seek(20 * 2**20)
        file.write(b"behind the hole" * 8192)
        file.truncate(24 * 2**20 + 777)
    return path
