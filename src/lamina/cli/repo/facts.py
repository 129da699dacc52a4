"""The facts of all snapshots, from their manifests; remembered locally, since manifests never change."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from lamina.engine.format import BLOCK_BYTES
from lamina.engine.manifest import CaptureMode, Manifest
from lamina.engine.objects.store import ObjectMissingError
from lamina.engine.repository import Repository
from lamina.failures import Corruption

_READERS: Final = 8


class SnapshotFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says of its snapshot, without the block map.

    The members have the meaning and units of `Manifest`; `zero_bytes` are written zeros.
    """

    snapshot: str
    name: str
    created_at: datetime
    size_bytes: int
    used_bytes: int
    zero_bytes: int
    content: str
    parent: str | None
    changed_bytes: int
    stored_bytes: int
    mode: CaptureMode
    tracking: str
    session: str
    domain: str
    annotations: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The facts for a JSON document."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All snapshots of a repository.

    Attributes:
        snapshots: their facts, oldest first.
        damaged: snapshots whose manifest cannot be read, and why.
    """

    snapshots: Sequence[SnapshotFacts]
    damaged: Mapping[str, str]


def take_inventory(repository: Repository, *, fresh: bool = False) -> Inventory:
    """The facts of every snapshot that exists: one listing, and a read of each manifest that was never seen here.

    Args:
        repository: the repository.
        fresh: read every manifest anew, and forget what was remembered.

    Raises:
        Fault: the store failed.
    """
    cache = _FactsCache(repository)
    folders = [folder for folder in repository.list_folders() if folder.is_visible]
    wanted = {folder.bodies[-1]: folder.snapshot_id for folder in folders}
    known = {} if fresh else {key: facts for key, facts in cache.load().items() if key in wanted}
    found = dict(known)
    damaged = {}
    with ThreadPoolExecutor(_READERS, thread_name_prefix="manifest") as executor:
        missing = [key for key in wanted if key not in known]
        for key, facts in zip(
            missing, executor.map(lambda key: _read(repository, key), missing), strict=True
        ):
            if isinstance(facts, Corruption):
                damaged[str(wanted[key])] = str(facts)
            elif facts is not None:
                found[key] = facts
    if fresh or found.keys() != known.keys():
        cache.save(found)
    ordered = sorted(found.values(), key=lambda item: (item.created_at, item.snapshot))
    return Inventory(snapshots=ordered, damaged=damaged)


def describe(manifest: Manifest) -> SnapshotFacts:
    """The facts of one manifest."""
    return SnapshotFacts(
        snapshot=manifest.snapshot_id,
        name=manifest.name,
        created_at=manifest.created_at,
        size_bytes=manifest.size_bytes,
        used_bytes=manifest.used_bytes,
        zero_bytes=manifest.root.zero_blocks * BLOCK_BYTES,
        content=manifest.content_id,
        parent=manifest.parent,
        changed_bytes=manifest.changed_bytes,
        stored_bytes=manifest.stored_bytes,
        mode=manifest.mode,
        tracking=manifest.tracking,
        session=manifest.session,
        domain=manifest.domain.hex(),
        annotations=dict(manifest.annotations),
    )


def _read(repository: Repository, key: str) -> SnapshotFacts | Corruption | None:
    """None for a revocation, and for what was deleted or superseded since it was listed."""
    try:
        manifest = repository.read_body(key)
    except ObjectMissingError:
        return None
    except Corruption as damage:
        return damage
    return None if manifest is None else describe(manifest)


class _FactsCache:
    """A file beside the local index; like that one it may be deleted at any time."""

    def __init__(self, repository: Repository) -> None:
        folder = repository.cache_dir
        self._path = folder / repository.master.repository.hex() / "manifests.json" if folder else None

    def load(self) -> dict[str, SnapshotFacts]:
        """What was remembered, by object key; nothing when the file is missing, damaged or of another version."""
        if self._path is None:
            return {}
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, SnapshotFacts])
        except (OSError, msgspec.MsgspecError):
            return {}

    def save(self, facts: Mapping[str, SnapshotFacts]) -> None:
        """Remember; of two processes that save at once, one wins, and the other's facts are read again."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(self._path, msgspec.json.encode(facts))


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
