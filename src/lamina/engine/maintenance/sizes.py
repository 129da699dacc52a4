"""How large snapshots are: what each adds to its chain, and what deleting it would free.

A chain is any sequence of snapshots; those of one disk, by age, cost least. A *run* is an unbroken stretch of a
chain in which one place of the disk holds one block. Two neighbours tell where runs end and start, in time
proportional to their difference; so a snapshot that comes or goes costs its difference with its neighbours, and
nothing is walked again. A block belongs to one snapshot alone when all its runs, in all chains, start and end there.

The counts are kept in an SQLite file beside the local index. It is a cache: whoever deletes it pays one walk of the
maps. Blocks count by id and with the stored length of their record; map pages, about a thousandth, do not count.
"""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from lamina.engine.blockmap.diff import diff
from lamina.engine.blockmap.page import Entry, Stored
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import walk_leaves
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.repository import Repository
from lamina.engine.sessions import SessionKind
from lamina.failures import Corruption, Fault
from lamina.ids import SnapshotId

_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE nodes (
    node INTEGER PRIMARY KEY, chain TEXT NOT NULL, place INTEGER NOT NULL, snapshot TEXT NOT NULL UNIQUE,
    incremental INTEGER NOT NULL DEFAULT 0, exclusive INTEGER NOT NULL DEFAULT 0, is_last INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX nodes_chain ON nodes (chain, place);
CREATE TABLE runs (
    id BLOB, node INTEGER, starts INTEGER NOT NULL, ends INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (id, node)
) WITHOUT ROWID;
CREATE INDEX runs_node ON runs (node);
CREATE TABLE totals (stored INTEGER NOT NULL);
INSERT INTO totals VALUES (0);
"""
_TEMPORARY: Final = """
CREATE TEMP TABLE IF NOT EXISTS touched (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS delta (
    id BLOB PRIMARY KEY, starts INTEGER NOT NULL, ends INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS changed (node INTEGER PRIMARY KEY);
"""
# Half of a block's id: of 2^32 blocks, two have the same half with a chance of 2^-65.
_ID_BYTES: Final = 16
_ROWS_AT_ONCE: Final = 10_000
# Counting a large first snapshot holds the file for as long; whoever else counts in this repository waits.
_WAIT_SECONDS: Final = 600.0

_OWN: Final = """
    SELECT runs.node, SUM(runs.length) FROM temp.touched JOIN runs ON runs.id = touched.id
    JOIN nodes ON nodes.node = runs.node
    WHERE (runs.starts = runs.ends OR nodes.is_last)
    AND NOT EXISTS (SELECT 1 FROM runs other WHERE other.id = runs.id AND other.node <> runs.node)
    GROUP BY runs.node
"""
_KNOWN: Final = """
    SELECT COALESCE(SUM(length), 0) FROM (
        SELECT MIN(runs.length) AS length FROM temp.touched JOIN runs ON runs.id = touched.id GROUP BY runs.id
    )
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
    number: int
    snapshot: SnapshotId
    is_last: bool


class SizeIndex:
    """The counted chains of one repository. One thread at a time; several processes may share its file."""

    def __init__(self, repository: Repository) -> None:
        """Open or make the file; without a cache folder it is private and temporary."""
        self._repository = repository
        path = repository.cache_dir
        if path is not None:
            path = path / repository.master.repository.hex() / "sizes.sqlite"
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = _open(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def count(self, chain: str, snapshots: Sequence[SnapshotId]) -> Mapping[SnapshotId, SnapshotSizes]:
        """Make the counts those of a chain that has these snapshots now, in this order.

        Args:
            chain: its name.
            snapshots: all of them, the oldest first; an empty sequence forgets the chain.

        Returns:
            The sizes of all of the chain's snapshots, and of those of other chains whose sizes changed with it.

        Raises:
            SnapshotNotFoundError: one of them is gone; nothing was changed.
            Corruption: a block map that must be read is damaged; nothing was changed.
            Fault: the store or the file failed.
        """
        with self._transaction():
            wanted = set(snapshots)
            for before, gone, after in _list_gaps(self._list_nodes(chain), wanted):
                self._remove(before, gone, after)
            self._insert_missing(chain, snapshots)
            self._db.executemany(
                "UPDATE nodes SET place = ? WHERE snapshot = ?", [*enumerate(snapshots)]
            )
            rows = self._db.execute(
                "SELECT snapshot, incremental, exclusive FROM nodes"
                " WHERE chain = ? OR node IN (SELECT node FROM temp.changed)",
                (chain,),
            ).fetchall()
        return {
            SnapshotId(snapshot): SnapshotSizes(incremental_bytes=incremental, exclusive_bytes=exclusive)
            for snapshot, incremental, exclusive in rows
        }

    def list_chains(self) -> list[str]:
        """The names of all chains that have snapshots here."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT chain FROM nodes ORDER BY chain")]

    @property
    def stored_bytes(self) -> int:
        """Stored bytes of all blocks that any counted snapshot has, each counted once."""
        (stored,) = self._db.execute("SELECT stored FROM totals").fetchone()
        return int(stored)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.executescript(_TEMPORARY)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute("DELETE FROM temp.changed")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise Fault(f"the cache of snapshot sizes failed: {error}", retryable=True) from error

    def _list_nodes(self, chain: str) -> list[_Node]:
        query = "SELECT node, snapshot, is_last FROM nodes WHERE chain = ? ORDER BY place"
        return [_Node(node, SnapshotId(name), bool(last)) for node, name, last in self._db.execute(query, (chain,))]

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
            self._change("node = :node AND starts > 0", "UPDATE runs SET starts = 0", after)
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
        """Take neighbouring snapshots out; what they alone had is not read any more, since it may be gone."""
        if before is None and after is not None:
            self._merge([*gone, after])
            return
        for node in gone:
            self._change("node = :node", "DELETE FROM runs", node)
            self._db.execute("DELETE FROM nodes WHERE node = ?", (node.number,))
        if before is None:
            return
        self._open_end(before, is_last=after is None)
        if after is not None:
            self._change("node = :node AND starts > 0", "UPDATE runs SET starts = 0", after)
            self._link(before, after)

    def _merge(self, nodes: Sequence[_Node]) -> None:
        """Let the first node of a chain stand for a later snapshot: every run that goes on keeps its start."""
        first, last = nodes[0], nodes[-1]
        for node in nodes[1:]:
            with self._recount():
                (is_last,) = self._db.execute(
                    "SELECT is_last FROM nodes WHERE node = ?", (node.number,)
                ).fetchone()
                self._touch("node = :node AND (ends > 0 OR :all)", first, all=is_last)
                self._touch("node = :node", node)
                self._db.execute(
                    "UPDATE runs SET starts = starts - ends, ends = 0 WHERE node = ?", (first.number,)
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
        with self._recount():
            (was_last,) = self._db.execute(
                "SELECT is_last FROM nodes WHERE node = ?", (node.number,)
            ).fetchone()
            self._touch("node = :node AND (ends > 0 OR :all)", node, all=bool(was_last) is not is_last)
            self._db.execute("UPDATE runs SET ends = 0 WHERE node = ? AND ends > 0", (node.number,))
            self._db.execute("UPDATE nodes SET is_last = ? WHERE node = ?", (is_last, node.number))

    def _change(self, where: str, statement: str, node: _Node) -> None:
        with self._recount():
            self._touch(where, node)
            self._db.execute(f"{statement} WHERE {where}", {"node": node.number})

    def _link(self, before: _Node | None, after: _Node) -> None:
        """Count where runs end at one snapshot and start at the next, or start at the first."""
        new_root = self._read_root(after.snapshot)
        if before is None:
            pairs: Iterator[tuple[Entry, Entry]] = ((None, entry) for entry in self._walk(new_root))
        else:
            changes = diff(self._read_root(before.snapshot), new_root, self._repository.pages)
            pairs = ((change.before, change.after) for change in changes)
        started = self._collect(pairs)
        with self._recount():
            self._db.execute("INSERT OR IGNORE INTO temp.touched SELECT id FROM temp.delta")
            if before is not None:
                self._add_delta("ends", before)
            self._add_delta("starts", after)
        self._db.execute(
            "UPDATE nodes SET incremental = ? WHERE node = ?", (started * BLOCK_BYTES, after.number)
        )

    def _collect(self, pairs: Iterable[tuple[Entry, Entry]]) -> int:
        """Fill the table of differences; answers how many places of the disk got another block."""
        self._db.execute("DELETE FROM temp.delta")
        started = 0
        while batch := list(islice(pairs, _ROWS_AT_ONCE)):
            rows = [(entry.block_id[:_ID_BYTES], 0, 1, entry.location.length) for entry, _ in batch if isinstance(entry, Stored)]
            new = [(entry.block_id[:_ID_BYTES], 1, 0, entry.location.length) for _, entry in batch if isinstance(entry, Stored)]
            started += len(new)
            self._db.executemany(
                "INSERT INTO temp.delta VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET starts = starts + excluded.starts, ends = ends + excluded.ends",
                rows + new,
            )
        return started

    def _add_delta(self, column: str, node: _Node) -> None:
        starts, ends = ("starts", "0") if column == "starts" else ("0", "ends")
        self._db.execute(
            f"INSERT INTO runs SELECT id, ?, {starts}, {ends}, length FROM temp.delta WHERE {column} > 0"
            f" ON CONFLICT (id, node) DO UPDATE SET {column} = {column} + excluded.{column}",
            (node.number,),
        )

    def _walk(self, root: Root) -> Iterator[Entry]:
        for visit in walk_leaves(root, self._repository.pages):
            if isinstance(visit.leaf, Corruption):
                raise visit.leaf
            yield from visit.leaf.stored

    def _read_root(self, snapshot: SnapshotId) -> Root:
        return self._repository.read_manifest(snapshot).root

    def _touch(self, where: str, node: _Node, **values: object) -> None:
        self._db.execute(
            f"INSERT OR IGNORE INTO temp.touched SELECT id FROM runs WHERE {where}",
            {"node": node.number, **values},
        )
        self._withdraw()

    @contextmanager
    def _recount(self) -> Iterator[None]:
        """Keep what follows from the runs true while the runs of the touched blocks change."""
        self._db.execute("DELETE FROM temp.touched")
        yield
        self._db.execute("DELETE FROM runs WHERE starts = 0 AND ends = 0 AND id IN (SELECT id FROM temp.touched)")
