"""Makes a golden repository: run once when a format version is released, and never again for that version.

`python -m tests.golden.freeze tests/golden/vN` writes the repository and `expected.json`. What is in it: a full
snapshot with data, written zeros and holes and an odd size, an incremental one, one that compaction has
rewritten, one that is deleted but not swept, and a secret that was changed once.
"""

import hashlib
import json
import sys
from pathlib import Path

from lamina.engine.maintenance.compaction import compact
from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import KeyFile, Passphrase
from lamina.transfer.capture import CaptureRequest, ChangeHint, capture
from lamina.transfer.progress import Progress
from tests.factories.disks import WRITTEN_ZERO, SparseDisk

KEY_FILE = b"golden key file, 32 bytes long.."
PASSPHRASE = "a golden passphrase"
BLOCK = 65536


def pattern(seed: int, length: int) -> bytes:
    """Bytes that compress to almost nothing and are different for every seed."""
    return hashlib.sha256(str(seed).encode()).digest() * (length // 32)


def freeze(folder: Path) -> None:
    store = DirectoryStore.create(folder / "store")
    repository = Repository.create(store, KeyFile(KEY_FILE))
    disk = SparseDisk(20 * BLOCK + 777)
    expected = []

    def take(name: str, **request: object) -> str:
        result = capture(
            repository,
            disk,
            CaptureRequest(name=name, annotations={"disk_id": "d-golden"}, **request),
            Progress(),
        )
        contents = disk.read(0, disk.size_bytes)
        expected.append(
            {
                "snapshot": result.snapshot_id,
                "name": name,
                "size_bytes": disk.size_bytes,
                "used_bytes": result.used_bytes,
                "sha256": hashlib.sha256(contents).hexdigest(),
                "map": {
                    str(block): "zero" if what == WRITTEN_ZERO else "data"
                    for block, what in sorted(disk.describe().items())
                },
            }
        )
        return result.snapshot_id

    for block in range(8):
        disk.write(block * BLOCK, pattern(block, BLOCK))
    disk.zero(9 * BLOCK, 2 * BLOCK)
    disk.write(20 * BLOCK, b"the odd end of the disk" * 33)
    first = take("full", tracking="t0")
    disk.write(3 * BLOCK, pattern(100, BLOCK))
    disk.punch(5 * BLOCK, BLOCK)
    disk.write(12 * BLOCK + 5, b"unaligned")
    hint = [extent for extent in disk.list_extents(0, disk.size_bytes) if extent.offset <= 13 * BLOCK]
    take("incremental", parent=first, hint=ChangeHint(relative_to="t0", extents=tuple(hint)), tracking="t1")
    disk.write(0, pattern(200, 6 * BLOCK))
    deleted = take("deleted")
    repository.delete_snapshot(deleted)
    expected[-1]["deleted"] = True
    compact(repository, sparse_below=2.0)
    repository.change_secret(Passphrase(PASSPHRASE))
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    freeze(Path(sys.argv[1]))
