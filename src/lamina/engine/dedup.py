"""The local index: which blocks the repository has already, and where. A cache that can be deleted at any time.

It is made from the footers of packs. A row is used only when its pack was seen in the store by the session
that asks, after the session was published, and is on no condemned list (docs/format.md §5).
"""

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from lamina.engine.format import BlockId, Location, PackId
from lamina.engine.packs.footer import FooterRow

# AUTOINCREMENT: a number that a session has allowed must never come to mean another pack, which that session has
# not seen, when another process drops and adds packs.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS packs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, session BLOB NOT NULL, ordinal INTEGER NOT NULL, UNIQUE (session, ordinal)
);
CREATE TABLE IF NOT EXISTS blocks (
    block_id BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    checksum BLOB NOT NULL
) WITHOUT ROWID;
"""
_SCHEMA_VERSION: Final = 2
# 16 MiB of pages: the upper levels of the tree for 100 million blocks.
_CACHE_KIB: Final = 16 * 1024
_LOOKUPS_AT_ONCE: Final = 128
T = TypeVar("T")


class BlockIndexCache:
    """Block id to location, in an SQLite file. Thread-safe; several processes may share one file.

    Rows of packs that were not allowed are never answered: the session that opens the cache says which packs it
    has seen in the store. Each row carries a checksum, since a wrong location would spoil a snapshot.
    When the file fails or turns out to be damaged, the cache goes on empty and private: blocks are stored again.
    Memory: one bit per pack of the repository, and SQLite's page cache.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or make the cache; without a path it is private and spills to temporary disk space."""
        self._lock = threading.RLock()
        self._path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = _connect(path)
        self._allowed = bytearray()
        self._is_empty = True

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def allow(self, packs: Iterable[PackId]) -> list[PackId]:
        """These packs were seen in the store and are not condemned: their rows may be answered.

        Returns:
            Those of them whose rows the cache does not have.
        """
        seen = list(packs)
        return self._attempt(partial(self._allow, seen), seen)

    def record(self, pack: PackId, rows: Iterable[FooterRow]) -> None:
        """Add the rows of a pack that is in the store, and allow them."""
        self._attempt(partial(self._record, pack, rows), None)

    def find(self, block_ids: Sequence[BlockId]) -> dict[BlockId, Location]:
        """Where those of the blocks lie that an allowed pack holds."""
        if self._is_empty:
            return {}
        found: dict[BlockId, Location] = {}
        for start in range(0, len(block_ids), _LOOKUPS_AT_ONCE):
            wanted = block_ids[start : start + _LOOKUPS_AT_ONCE]
            nothing: dict[BlockId, Location] = {}
            found |= self._attempt(partial(self._find, wanted), nothing)
        return found

    def forget_all_but(self, seen: Iterable[PackId]) -> None:
        """Drop the rows of packs that are in the store no more; `seen` is a complete listing of its packs."""
        self._attempt(partial(self._forget_all_but, seen), None)

    def _attempt(self, work: Callable[[], T], fallback: T) -> T:
        with self._lock:
            try:
                return work()
            except sqlite3.DatabaseError as error:
                # Any subclass speaks of a file that is locked, full or unreadable; it may be of use to others.
                self._start_over(is_damaged=type(error) is sqlite3.DatabaseError)
                return fallback

    def _start_over(self, *, is_damaged: bool) -> None:
        self._db.close()
        if is_damaged and self._path is not None:
            _remove(self._path)
        self._db = _connect(None)
        self._allowed = bytearray()
        self._is_empty = True

    def _allow(self, packs: Iterable[PackId]) -> list[PackId]:
        unknown = []
        for pack in packs:
            number = self._number_of(pack)
            if number is None:
                unknown.append(pack)
            else:
                self._allow_number(number)
        return unknown

    def _record(self, pack: PackId, rows: Iterable[FooterRow]) -> None:
        with self._db:
            self._db.execute("INSERT OR IGNORE INTO packs (session, ordinal) VALUES (?, ?)", pack)
            number = self._number_of(pack)
            if number is None:
                raise sqlite3.DatabaseError("a row that was just written is not there")
            self._allow_number(number)
            self._db.executemany(
                "INSERT INTO blocks VALUES (?, ?, ?, ?, ?) ON CONFLICT (block_id) DO UPDATE SET pack = excluded.pack,"
                " offset = excluded.offset, length = excluded.length, checksum = excluded.checksum",
                [(row.identity, number, row.offset, row.length, _checksum(pack, row)) for row in rows],
            )

    def _forget_all_but(self, seen: Iterable[PackId]) -> None:
        with self._db:
            self._db.execute(
                "CREATE TEMP TABLE seen (session BLOB, ordinal INTEGER, PRIMARY KEY (session, ordinal))"
            )
            self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", seen)
            cursor = self._db.execute(
                "DELETE FROM packs WHERE NOT EXISTS (SELECT 1 FROM seen"
                " WHERE seen.session = packs.session AND seen.ordinal = packs.ordinal)"
            )
            if cursor.rowcount:
                self._db.execute("DELETE FROM blocks WHERE pack NOT IN (SELECT number FROM packs)")
            self._db.execute("DROP TABLE seen")

    def _find(self, block_ids: Sequence[BlockId]) -> dict[BlockId, Location]:
        marks = ",".join("?" * len(block_ids))
        query = (
            "SELECT block_id, pack, session, ordinal, offset, length, checksum"  # noqa: S608 - only question marks
            f" FROM blocks JOIN packs ON packs.number = blocks.pack WHERE block_id IN ({marks})"
        )
        found = {}
        rows = self._db.execute(query, block_ids).fetchall()
        for block_id, number, session, ordinal, offset, length, checksum in rows:
            pack = PackId(session, ordinal)
            if self._is_allowed(number) and checksum == _checksum(pack, FooterRow(block_id, offset, length)):
                found[BlockId(block_id)] = Location(pack, offset, length)
        return found

    def _number_of(self, pack: PackId) -> int | None:
        row = self._db.execute("SELECT number FROM packs WHERE session = ? AND ordinal = ?", pack).fetchone()
        return None if row is None else int(row[0])

    def _allow_number(self, number: int) -> None:
        byte, bit = divmod(number, 8)
        if byte >= len(self._allowed):
            self._allowed.extend(bytes(byte + 1 - len(self._allowed)))
        self._allowed[byte] |= 1 << bit
        self._is_empty = False

    def _is_allowed(self, number: int) -> bool:
        byte, bit = divmod(number, 8)
        return byte < len(self._allowed) and bool(self._allowed[byte] >> bit & 1)


def _checksum(pack: PackId, row: FooterRow) -> bytes:
    place = f"{pack.number}:{row.offset}:{row.length}".encode()
    return hashlib.blake2b(row.identity + pack.session + place, digest_size=8).digest()


def _connect(path: Path | None) -> sqlite3.Connection:
    # An empty name is a private database that spills to a temporary file.
    db = sqlite3.connect(str(path) if path else "", check_same_thread=False, timeout=30)
    try:
        _prepare(db)
    except sqlite3.DatabaseError:
        # A damaged cache, or one of another version, is worth nothing: start again.
        db.close()
        if path is None:
            raise
        _remove(path)
        db = sqlite3.connect(path, check_same_thread=False, timeout=30)
        _prepare(db)
    return db


def _remove(path: Path) -> None:
    for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        name.unlink(missing_ok=True)


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")  # a power cut may cost the cache, and it is made again
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    with closing(db.execute("PRAGMA user_version")) as cursor:
        version = int(cursor.fetchone()[0])
    if version not in (0, _SCHEMA_VERSION):
        raise sqlite3.DatabaseError("the cache has another version")
    with db:
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
