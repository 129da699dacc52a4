"""Marking: which packs any manifest reaches, in bounded memory."""

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self

from lamina.engine.blockmap.page import Branch, Leaf, PageRef, Stored
from lamina.engine.blockmap.root import Root
from lamina.engine.format import KIND_DATA_PACK, KIND_MAP_PACK, Location, PackId
from lamina.engine.objects.store import ObjectMissingError
from lamina.engine.repository import Repository
from lamina.failures import Corruption

_SCHEMA: Final = """
CREATE TABLE pages (session BLOB, number INTEGER, offset INTEGER, PRIMARY KEY (session, number, offset)) WITHOUT ROWID;
CREATE TABLE packs (kind BLOB, session BLOB, number INTEGER, PRIMARY KEY (kind, session, number)) WITHOUT ROWID;
CREATE TABLE records (
    session BLOB, number INTEGER, offset INTEGER, length INTEGER, PRIMARY KEY (session, number, offset)
) WITHOUT ROWID;
"""
_LEAVES_AT_ONCE: Final = 64
_CACHE_KIB: Final = 32 * 1024


class ManifestVanishedError(Exception):
    """A manifest that was listed is gone: another sweep removed it. List again and mark anew."""


class Marks:
    """What a mark has reached. Kept in a private SQLite database that spills to temporary disk space.

    Attributes:
        damage: what could not be read; with any damage the mark is incomplete, and nothing may be removed by it.
        revocations: object keys that looked like manifests and are revocations.
    """

    def __init__(self, repository: Repository, *, with_records: bool = False) -> None:
        """Nothing is reached yet; `with_records` also counts the live bytes of every data pack."""
        self._repository = repository
        self._with_records = with_records
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.executescript(_SCHEMA)
        self.damage: list[str] = []
        self.revocations: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def reach_manifest(self, key: str) -> None:
        """Mark everything below one manifest.

        Raises:
            ManifestVanishedError: it is not there any more.
        """
        try:
            manifest = self._repository.read_body(key)
        except ObjectMissingError as error:
            raise ManifestVanishedError(key) from error
        except Corruption as damage:
            self.damage.append(str(damage))
            return
        if manifest is None:
            self.revocations.add(key)
            return
        known = len(self.damage)
        self._reach_root(manifest.root)
        if len(self.damage) > known and not any(self._repository.store.list(key)):
            # Not damaged but removed: another sweep took the manifest and then what only it reached.
            raise ManifestVanishedError(key)

    def reaches(self, kind: bytes, pack: PackId) -> bool:
        """Whether any manifest reaches this pack."""
        query = "SELECT 1 FROM packs WHERE kind = ? AND session = ? AND number = ?"
        return self._db.execute(query, (kind, *pack)).fetchone() is not None

    def list_live_bytes(self) -> Iterator[tuple[PackId, int]]:
        """Every reached data pack with the bytes of its reached records; needs `with_records`."""
        query = "SELECT session, number, SUM(length) FROM records GROUP BY session, number"
        for session, number, live in self._db.execute(query):
            yield PackId(session, number), int(live)

    def _reach_root(self, root: Root) -> None:
        for ref in root.branches.values():
            if self._is_new(ref.location):
                try:
                    branch = self._repository.pages.read_branch(ref)
                except Corruption as damage:
                    self.damage.append(str(damage))
                    continue
                self._reach_branch(branch)

    def _reach_branch(self, branch: Branch) -> None:
        new = [ref for ref in branch.leaves.values() if self._is_new(ref.location)]
        for at in range(0, len(new), _LEAVES_AT_ONCE):
            self._reach_leaves(new[at : at + _LEAVES_AT_ONCE])

    def _reach_leaves(self, refs: list[PageRef]) -> None:
        for leaf in self._repository.pages.read_leaves(refs):
            if isinstance(leaf, Leaf):
                self._reach_records(leaf.stored)
            else:
                self.damage.append(str(leaf))

    def _reach_records(self, stored: Iterable[Stored]) -> None:
        self._reach_packs(KIND_DATA_PACK, {entry.location.pack for entry in stored})
        if self._with_records:
            self._db.executemany(
                "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)",
                [(*entry.location.pack, entry.location.offset, entry.location.length) for entry in stored],
            )

    def _is_new(self, location: Location) -> bool:
        """Whether a page is met for the first time; its map pack counts as reached."""
        place = (*location.pack, location.offset)
        if not self._db.execute("INSERT OR IGNORE INTO pages VALUES (?, ?, ?)", place).rowcount:
            return False
        self._reach_packs(KIND_MAP_PACK, {location.pack})
        return True

    def _reach_packs(self, kind: bytes, packs: Iterable[PackId]) -> None:
        rows = [(kind, *pack) for pack in packs]
        self._db.executemany("INSERT OR IGNORE INTO packs VALUES (?, ?, ?)", rows)
