"""How large snapshots are: what each adds to its chain, and what deleting it would free.

A chain is any sequence of snapshots; those of one disk, by age, cost least. A *run* is an unbroken stretch of a
chain in which one place of the disk holds one block. Two neighbours tell where runs end and start, in time
proportional to their difference; so a snapshot that comes or goes costs its difference with its neighbours, and
nothing is walked again. A block belongs to one snapshot alone when all its runs, in all chains, start and end there.

The counts are kept in an SQLite file beside the local index. It is a cache: whoever deletes it pays one walk of the
maps. Blocks count by id and with the stored length of their record; map pages, about a thousandth, do not count.
The file knows which sizes its owner was told of, so that none is lost when a process ends between a count and what
was to be done with it.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Final, NamedTuple

from lamina.engine.blockmap.diff import diff
from lamina.engine.blockmap.page import Entry, Stored
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import PageSource, walk_leaves
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.repository import Repository
from lamina.failures import Corruption, Fault
from lamina.ids import SnapshotId

_SCHEMA_VERSION: Final = 2
_SCHEMA: Final = (
    """CREATE TABLE nodes (
    node INTEGER PRIMARY KEY AUTOINCREMENT, chain TEXT NOT NULL, place INTEGER NOT NULL,
    snapshot TEXT NOT NULL UNIQUE, incremental INTEGER NOT NULL DEFAULT 0, exclusive INTEGER NOT NULL DEFAULT 0,
    is_last INTEGER NOT NULL, is_told INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX nodes_chain ON nodes (chain, place)",
    "CREATE INDEX nodes_untold ON nodes (node) WHERE NOT is_told",
    """CREATE TABLE runs (
    id BLOB, node INTEGER, starts INTEGER NOT NULL, ends INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (id, node)) WITHOUT ROWID""",
    "CREATE INDEX runs_node ON runs (node)",
    # nearly all blocks of a chain's first snapshot live on: those that ended there must be found without the others
    "CREATE INDEX runs_ended ON runs (node) WHERE ends > 0",
    "CREATE TABLE chains (chain TEXT PRIMARY KEY, revision INTEGER NOT NULL)",
    "CREATE TABLE totals (stored INTEGER NOT NULL)",
    "INSERT INTO totals VALUES (0)",
)
_TEMPORARY: Final = (
    "CREATE TEMP TABLE touched (id BLOB PRIMARY KEY) WITHOUT ROWID",
    """CREATE TEMP TABLE delta (
    id BLOB PRIMARY KEY, starts INTEGER NOT NULL, ends INTEGER NOT NULL, length INTEGER NOT NULL) WITHOUT ROWID""",
)
# Half of a block's id: of 2^32 blocks, two have the same half with a chance of 2^-65.
_ID_BYTES: Final = 16
_ROWS_AT_ONCE: Final = 10_000

# CROSS JOIN: the few touched blocks come first, whatever SQLite thinks of the sizes of its tables.
_OWN: Final = """
    SELECT runs.node, SUM(runs.length) FROM temp.touched CROSS JOIN runs ON runs.id = touched.id
    CROSS JOIN nodes ON nodes.node = runs.node
    WHERE (runs.starts = runs.ends OR nodes.is_last)
    AND NOT EXISTS (SELECT 1 FROM runs other WHERE other.id = runs.id AND other.node <> runs.node)
    GROUP BY runs.node
"""
_KNOWN: Final = """
    SELECT COALESCE(SUM(length), 0) FROM (
        SELECT MIN(runs.length) AS length FROM temp.touched CROSS JOIN runs ON runs.id = touched.id
        GROUP BY touched.id
    )
"""
_ADD_STARTS: Final = """
    INSERT INTO runs SELECT id, ?, starts, 0, length FROM temp.delta WHERE starts > 0
    ON CONFLICT (id, node) DO UPDATE SET starts = starts + excluded.starts
"""
_ADD_ENDS: Final = """
    INSERT INTO runs SELECT id, ?, 0, ends, length FROM temp.delta WHERE ends > 0
    ON CONFLICT (id, node) DO UPDATE SET ends = ends + excluded.ends
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSizes:
    """How large a snapshot is.

    Attributes:
        incremental_bytes: bytes of its blocks, as large as on the disk, that the one before it does not have at
            that place; all of them for the first of a chain.
        exclusive_bytes: stored bytes of the blocks that no other counted snapshot has at any place.
    """

    incremental_bytes: int
    exclusive_bytes: int


class _Node(NamedTuple):
    """A snapshot in the file. The first of a chain keeps its number when it goes and the next one takes over."""

    number: int
    snapshot: SnapshotId


class SizesBusyError(Fault):
    """Another process, or another thread, counts with the same file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is in use: somebody else counts at this moment", retryable=True)


class SizeIndex:
    """The counted chains of one repository, for one thread. Nobody else has the file until it is closed.

    So who lists the chains when it is open brings the file nothing that is older than what it has.
    """

    def __init__(self, repository: Repository) -> None:
        """Open or make the file; without a cache folder it is private and temporary.

        Raises:
            SizesBusyError: somebody else has it.
            Fault: the file cannot be opened.
        """
        self._repository = repository
        self._path: Path | None = None
        with ExitStack() as stack, _converted(None):
            if repository.cache_dir is not None:
                folder = repository.cache_dir / repository.master.repository.hex()
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._path = folder / "sizes.sqlite"
                _take(folder, stack)
            self._db = stack.enter_context(closing(_open(self._path)))
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def count(self, chain: str, snapshots: Sequence[SnapshotId], revision: int = 0) -> None:
        """Make the counts those of a chain that has these snapshots now, in this order; see `list_untold`.

        Args:
            chain: its name.
            snapshots: all of them, the oldest first.
            revision: a number of the caller's for this state of the chain; see `list_chains`.

        Raises:
            SnapshotNotFoundError: one of them is gone; nothing was changed.
            Corruption: a block map that must be read is damaged; nothing was changed.
            Fault: the store or the file failed.
        """
        with self._transaction():
            # From the end: a gap at the start gives the node behind it another number, which a later gap would name.
            for before, gone, after in reversed(_list_gaps(self._list_nodes(chain), set(snapshots))):
                self._remove(before, gone, after)
            self._insert_missing(chain, snapshots)
            places = list(enumerate(snapshots))
            self._db.executemany("UPDATE nodes SET place = ? WHERE snapshot = ?", places)
            self._db.execute("INSERT OR REPLACE INTO chains VALUES (?, ?)", (chain, revision))
            self._db.execute("UPDATE nodes SET is_told = 0 WHERE chain = ?", (chain,))

    def list_untold(self) -> dict[SnapshotId, SnapshotSizes]:
        """The sizes of all snapshots of the chains that were counted, and of others that changed with them.

        Each is listed until `tell` is told that it was put to use, whatever happens to the process meanwhile.

        Raises:
            Fault: the file failed.
        """
        query = "SELECT snapshot, incremental, exclusive FROM nodes WHERE NOT is_told"
        with _converted(self._path):
            return {
                SnapshotId(snapshot): SnapshotSizes(incremental_bytes=incremental, exclusive_bytes=exclusive)
                for snapshot, incremental, exclusive in self._db.execute(query)
            }

    def tell(self, sizes: Mapping[SnapshotId, SnapshotSizes]) -> None:
        """Note that sizes were put to use; one that has changed since stays untold.

        Raises:
            Fault: the file failed.
        """
        rows = [(each, size.incremental_bytes, size.exclusive_bytes) for each, size in sizes.items()]
        with self._transaction():
            self._db.executemany(
                "UPDATE nodes SET is_told = 1 WHERE snapshot = ? AND incremental = ? AND exclusive = ?", rows
            )

    def note_seen(self, chains: Mapping[str, int]) -> None:
        """Note chains that have nothing to be counted here, each with its revision; see `list_chains`.

        Raises:
            Fault: the file failed.
        """
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO chains VALUES (?, ?)", chains.items())

    def forget(self, chain: str) -> None:
        """Forget a chain with all its snapshots.

        Raises:
            Fault: the file failed.
        """
        self.count(chain, [])
        with self._transaction():
            self._db.execute("DELETE FROM chains WHERE chain = ?", (chain,))

    def list_chains(self) -> dict[str, int]:
        """The chains that were counted or seen, each with the revision that it had then.

        Raises:
            Fault: the file failed.
        """
        with _converted(self._path):
            return dict(self._db.execute("SELECT chain, revision FROM chains"))

    @property
    def stored_bytes(self) -> int:
        """Stored bytes of all blocks that any counted snapshot has, each counted once."""
        (stored,) = self._db.execute("SELECT stored FROM totals").fetchone()
        return int(stored)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _converted(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute("DELETE FROM temp.delta")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk makes SQLite roll back by itself
                    self._db.execute("ROLLBACK")
                raise

    def _list_nodes(self, chain: str) -> list[_Node]:
        query = "SELECT node, snapshot FROM nodes WHERE chain = ? ORDER BY place"
        return [_Node(number, SnapshotId(name)) for number, name in self._db.execute(query, (chain,))]

    def _insert_missing(self, chain: str, snapshots: Sequence[SnapshotId]) -> None:
        known = {node.snapshot: node for node in self._list_nodes(chain)}
        for place, snapshot in enumerate(snapshots):
            if snapshot in known:
                continue
            before = known[snapshots[place - 1]] if place else None
            after = next((known[each] for each in snapshots[place + 1 :] if each in known), None)
            known[snapshot] = self._insert(chain, snapshot, before, after)

    def _insert(self, chain: str, snapshot: SnapshotId, before: _Node | None, after: _Node | None) -> _Node:
        if before is not None:
            self._open_end(before, is_last=False)
        if after is not None:
            self._forget_starts(after)
        cursor = self._db.execute(
            "INSERT INTO nodes (chain, place, snapshot, is_last) VALUES (?, -1, ?, ?)",
            (chain, snapshot, after is None),
        )
        node = _Node(int(cursor.lastrowid or 0), snapshot)
        self._link(before, node)
        if after is not None:
            self._link(node, after)
        return node

    def _remove(self, before: _Node | None, gone: Sequence[_Node], after: _Node | None) -> None:
        """Take neighbouring snapshots out. Nothing of them is read: a sweep may have removed it already."""
        if before is None and after is not None:
            self._merge([*gone, after])
            return
        for node in gone:
            with self._recount(_Rows("node = ?", node)):
                self._db.execute("DELETE FROM runs WHERE node = ?", (node.number,))
            self._db.execute("DELETE FROM nodes WHERE node = ?", (node.number,))
        if before is None:
            return
        self._open_end(before, is_last=after is None)
        if after is not None:
            self._forget_starts(after)
            self._link(before, after)

    def _merge(self, nodes: Sequence[_Node]) -> None:
        """Let the first of a chain stand for a later one: runs that go on keep their starts, others are gone."""
        first, last = nodes[0], nodes[-1]
        for node in nodes[1:]:
            is_last = self._is_last(node)
            ended = "node = ?" if is_last else "node = ? AND ends > 0"
            with self._recount(_Rows(ended, first), _Rows("node = ?", node)):
                self._db.execute(
                    "UPDATE runs SET starts = starts - ends, ends = 0 WHERE node = ? AND ends > 0",
                    (first.number,),
                )
                self._db.execute(
                    "INSERT INTO runs SELECT id, ?, starts, ends, length FROM runs WHERE node = ?"
                    " ON CONFLICT (id, node) DO UPDATE SET starts = starts + excluded.starts, ends = excluded.ends",
                    (first.number, node.number),
                )
                self._db.execute("DELETE FROM runs WHERE node = ?", (node.number,))
                self._db.execute("DELETE FROM nodes WHERE node = ?", (node.number,))
                self._db.execute("UPDATE nodes SET is_last = ? WHERE node = ?", (is_last, first.number))
        self._db.execute(
            "UPDATE nodes SET snapshot = ?, incremental = ? WHERE node = ?",
            (last.snapshot, self._read_root(last.snapshot).data_blocks * BLOCK_BYTES, first.number),
        )

    def _open_end(self, node: _Node, *, is_last: bool) -> None:
        """Forget where the runs of a snapshot end: another one follows it now, or none."""
        is_changed = self._is_last(node) is not is_last
        with self._recount(_Rows("node = ?" if is_changed else "node = ? AND ends > 0", node)):
            self._db.execute("UPDATE runs SET ends = 0 WHERE node = ? AND ends > 0", (node.number,))
            self._db.execute("UPDATE nodes SET is_last = ? WHERE node = ?", (is_last, node.number))

    def _forget_starts(self, node: _Node) -> None:
        """Forget where the runs of a snapshot start: it follows another one now."""
        with self._recount(_Rows("node = ? AND starts > 0", node)):
            self._db.execute("UPDATE runs SET starts = 0 WHERE node = ? AND starts > 0", (node.number,))

    def _link(self, before: _Node | None, after: _Node) -> None:
        """Count where runs end at one snapshot and start at the next, or start at the first."""
        root, pages = self._read_root(after.snapshot), self._repository.pages
        if before is None:
            started = self._collect((None, entry) for entry in _walk(root, pages))
        else:
            changes = diff(self._read_root(before.snapshot), root, pages)
            started = self._collect((change.before, change.after) for change in changes)
        with self._recount():
            if before is not None:
                self._db.execute(_ADD_ENDS, (before.number,))
            self._db.execute(_ADD_STARTS, (after.number,))
        self._db.execute("DELETE FROM temp.delta")
        self._db.execute(
            "UPDATE nodes SET incremental = ? WHERE node = ?", (started * BLOCK_BYTES, after.number)
        )

    def _collect(self, pairs: Iterator[tuple[Entry, Entry]]) -> int:
        """Fill the table of differences; answers how many places of the disk got a block that has bytes."""
        started = 0
        while batch := list(islice(pairs, _ROWS_AT_ONCE)):
            ended = [_row(old, 0, 1) for old, _ in batch if isinstance(old, Stored)]
            new = [_row(entry, 1, 0) for _, entry in batch if isinstance(entry, Stored)]
            started += len(new)
            self._db.executemany(
                "INSERT INTO temp.delta VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET starts = starts + excluded.starts, ends = ends + excluded.ends",
                ended + new,
            )
        return started

    def _is_last(self, node: _Node) -> bool:
        query = "SELECT is_last FROM nodes WHERE node = ?"
        return bool(self._db.execute(query, (node.number,)).fetchone()[0])

    def _read_root(self, snapshot: SnapshotId) -> Root:
        return self._repository.read_manifest(snapshot).root

    @contextmanager
    def _recount(self, *touched: "_Rows") -> Iterator[None]:
        """While runs of blocks change inside, keep true what follows from them; the differences are touched too."""
        self._db.execute("DELETE FROM temp.touched")
        self._db.execute("INSERT INTO temp.touched SELECT id FROM temp.delta")
        for rows in touched:
            self._db.execute(
                f"INSERT OR IGNORE INTO temp.touched SELECT id FROM runs WHERE {rows.condition}",  # noqa: S608 - our own words
                (rows.node.number,),
            )
        self._book(-1)
        yield
        self._db.execute(
            "DELETE FROM runs WHERE starts = 0 AND ends = 0 AND id IN (SELECT id FROM temp.touched)"
        )
        self._book(1)

    def _book(self, sign: int) -> None:
        """Add what the touched blocks mean for the sizes, or take it away."""
        for number, length in self._db.execute(_OWN).fetchall():
            self._db.execute(
                "UPDATE nodes SET exclusive = exclusive + ?, is_told = 0 WHERE node = ?",
                (sign * length, number),
            )
        (known,) = self._db.execute(_KNOWN).fetchone()
        self._db.execute("UPDATE totals SET stored = stored + ?", (sign * known,))


@contextmanager
def _converted(path: Path | None) -> Iterator[None]:
    """Turn errors into faults. A file that turns out to be damaged is removed: the next one who asks makes it anew."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if path is not None and _is_damage(error):
            _remove(path)
        raise Fault(f"the cache of snapshot sizes failed: {error}", retryable=True) from error


def _is_damage(error: Exception) -> bool:
    """Whether the file is damaged, and not busy, unreachable or on a full disk, for which SQLite has another class."""
    return type(error) is sqlite3.DatabaseError


def _take(folder: Path, stack: ExitStack) -> None:
    """Keep others from the file in a folder until the stack ends, or the process does, however it does."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SizesBusyError(folder) from error


def _remove(path: Path) -> None:
    for name in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))):
        with suppress(OSError):
            name.unlink()


class _Rows(NamedTuple):
    """Which runs of a snapshot are about to change."""

    condition: str
    node: _Node


def _row(entry: Stored, starts: int, ends: int) -> tuple[bytes, int, int, int]:
    return entry.block_id[:_ID_BYTES], starts, ends, entry.location.length


def _walk(root: Root, pages: PageSource) -> Iterator[Stored]:
    for visit in walk_leaves(root, pages):
        if isinstance(visit.leaf, Corruption):
            raise visit.leaf
        yield from visit.leaf.stored


def _list_gaps(
    nodes: Sequence[_Node], wanted: set[SnapshotId]
) -> list[tuple[_Node | None, list[_Node], _Node | None]]:
    """Stretches of a chain that are wanted no more, each with the wanted snapshots around it."""
    gaps: list[tuple[_Node | None, list[_Node], _Node | None]] = []
    before: _Node | None = None
    for is_wanted, group in groupby(nodes, key=lambda node: node.snapshot in wanted):
        members = list(group)
        if is_wanted:
            if gaps and gaps[-1][2] is None:
                gaps[-1] = (*gaps[-1][:2], members[0])
            before = members[-1]
        else:
            gaps.append((before, members, None))
    return gaps


def _open(path: Path | None) -> sqlite3.Connection:
    """The file, made anew when it is damaged or of another version: it is a cache."""
    try:
        return _prepare(path)
    except sqlite3.DatabaseError as error:
        if path is None or not _is_damage(error):
            raise
    _remove(path)
    return _prepare(path)


def _prepare(path: Path | None) -> sqlite3.Connection:
    db = sqlite3.connect(path or "", isolation_level=None, check_same_thread=False)
    try:
        _ensure_schema(db)
        for statement in _TEMPORARY:
            db.execute(statement)
    except BaseException:
        db.close()
        raise
    return db


def _ensure_schema(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version not in (0, _SCHEMA_VERSION):
        raise sqlite3.DatabaseError(f"version {version} is not known")
    if version == 0:
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    db.execute("COMMIT")
