"""Verification: is everything that the manifests promise there, and is it what it was? Reads only."""

import bisect
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Final, Self

from lamina.engine.blockmap.page import Stored
from lamina.engine.blockmap.walk import walk_leaves
from lamina.engine.condemned import list_condemned
from lamina.engine.format import (
    BLOCK_BYTES,
    DATA_FOLDER,
    KIND_DATA_PACK,
    KIND_MARKER,
    LEAF_BLOCKS,
    MAP_FOLDER,
    Location,
    PackId,
    UnknownVersionError,
    data_pack_key,
    map_pack_key,
    parse_pack_key,
)
from lamina.engine.maintenance.pack_check import check_pack
from lamina.engine.manifest import (
    DELETED,
    REVOKED,
    Manifest,
    SnapshotFolder,
    first_body_key,
    mark_key,
)
from lamina.engine.objects.store import ObjectMissingError
from lamina.engine.packs.reader import Wanted
from lamina.engine.repository import KEYS, Repository, SnapshotNotFoundError
from lamina.engine.seal.keys import read_head
from lamina.engine.sessions import SessionKind, list_sessions
from lamina.failures import Corruption
from lamina.ids import SnapshotId

_CACHE_KIB: Final = 32 * 1024
_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedRange:
    """A run of bytes of a snapshot that cannot be read back.

    Attributes:
        snapshot_id: the snapshot.
        offset: first byte on the disk.
        length: how many bytes.
        reason: which object is damaged, and how.
    """

    snapshot_id: SnapshotId
    offset: int
    length: int
    reason: str


@dataclass(slots=True, kw_only=True)
class VerifyReport:
    """What a verification looked at and found.

    Attributes:
        snapshots: snapshots whose map was walked.
        blocks: blocks that their maps refer to, each counted once per repository.
        packs: packs that were there to check.
        packs_read: packs that were read in full.
        read_bytes: their size.
        damaged_ranges: what cannot be read back, by snapshot and bytes.
        damaged_objects: everything that is wrong with objects of the store, also where no snapshot needs them.
        damaged_packs: object keys of the packs among them, in order; some may be missing altogether.
    """

    snapshots: int = 0
    blocks: int = 0
    packs: int = 0
    packs_read: int = 0
    read_bytes: int = 0
    damaged_ranges: list[DamagedRange] = field(default_factory=list)
    damaged_objects: list[str] = field(default_factory=list)
    damaged_packs: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.damaged_ranges and not self.damaged_objects


def verify(
    repository: Repository,
    snapshot_id: SnapshotId | None = None,
    *,
    percent: float = 0.0,
    workers: int = 2,
    on_read: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check one snapshot, or a whole repository.

    Args:
        repository: the repository.
        snapshot_id: check only what this snapshot needs; by default everything in the store.
        percent: how many of the packs are read and authenticated byte by byte, chosen at random. 0 checks the structure
            only: manifests, pages, and that every record lies within a pack that is there. 100 checks every byte.
        workers: threads that read packs.
        on_read: called with bytes read and bytes to read, for progress.

    Raises:
        SnapshotNotFoundError: no such snapshot.
        Fault: the store failed.
    """
    with repository.session(SessionKind.READ, snapshot_id or ""), _References() as references:
        check = _Check(repository.uncached(), references, VerifyReport())
        for manifest in check.list_manifests(snapshot_id):
            check.walk(manifest)
        packs = check.list_packs(everything=snapshot_id is None)
        check.read_packs(_draw(packs, percent), workers, on_read or (lambda _done, _known: None))
        check.check_references(packs)
        if references.has_bad():
            for manifest in check.list_manifests(snapshot_id):
                check.name_damage(manifest)
        if snapshot_id is None:
            check.check_small_objects()
        return check.report


class _References:
    """Every record that a map refers to, and which of them are bad; on temporary disk space."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.executescript(
            "CREATE TABLE records (session BLOB, number INTEGER, offset INTEGER, length INTEGER, id BLOB, reason TEXT,"
            " PRIMARY KEY (session, number, offset, length, id)) WITHOUT ROWID;"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, rows: Iterable[tuple[bytes, int, int, int, bytes]]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, NULL)", rows)

    def count(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM records").fetchone()[0])

    def list_packs(self) -> Iterator[PackId]:
        for session, number in self._db.execute("SELECT DISTINCT session, number FROM records"):
            yield PackId(session, number)

    def list_of(self, pack: PackId) -> list[tuple[int, int, bytes]]:
        query = "SELECT offset, length, id FROM records WHERE session = ? AND number = ?"
        return self._db.execute(query, pack).fetchall()

    def condemn(self, pack: PackId, bad: Iterable[tuple[int, int, bytes]], reason: str) -> None:
        self._db.executemany(
            "UPDATE records SET reason = ? WHERE session = ? AND number = ? AND offset = ? AND length = ? AND id = ?",
            [(reason, *pack, *row) for row in bad],
        )

    def has_bad(self) -> bool:
        return (
            self._db.execute("SELECT 1 FROM records WHERE reason IS NOT NULL LIMIT 1").fetchone() is not None
        )

    def find_reason(self, row: tuple[bytes, int, int, int, bytes]) -> str | None:
        query = "SELECT reason FROM records WHERE session = ? AND number = ? AND offset = ? AND length = ? AND id = ?"
        found = self._db.execute(query, row).fetchone()
        return None if found is None else found[0]


class _Check:
    """One verification.

    Attributes:
        report: what was found so far.
    """

    def __init__(self, repository: Repository, references: _References, report: VerifyReport) -> None:
        self._repository = repository
        self._references = references
        self.report = report

    def list_manifests(self, snapshot_id: SnapshotId | None) -> Iterator[Manifest]:
        """The manifests to check; one that is damaged is reported and left out."""
        repository = self._repository
        for wanted in [snapshot_id] if snapshot_id is not None else repository.list_snapshots():
            try:
                yield repository.read_manifest(wanted)
            except (Corruption, UnknownVersionError) as damage:
                self._note(str(damage))
            except SnapshotNotFoundError:
                if snapshot_id is not None:
                    raise  # else it was deleted since it was listed

    def walk(self, manifest: Manifest) -> None:
        """Walk a map: note damaged pages, and remember every record that it refers to."""
        self.report.snapshots += 1
        for visit in walk_leaves(manifest.root, self._repository.pages):
            if isinstance(visit.leaf, Corruption):
                blocks = visit.leaf_count * LEAF_BLOCKS
                self._damage(manifest, visit.first_leaf * LEAF_BLOCKS, blocks, str(visit.leaf))
                if visit.ref is not None:
                    self._blame(map_pack_key(visit.ref.location.pack))
            else:
                self._references.add(
                    (*entry.location.pack, entry.location.offset, entry.location.length, entry.block_id)
                    for entry in visit.leaf.stored
                )

    def list_packs(self, *, everything: bool) -> dict[str, int]:
        """Object key and size of the packs to check."""
        store = self._repository.store
        listed = {
            info.key: info.size_bytes for folder in (DATA_FOLDER, MAP_FOLDER) for info in store.list(folder)
        }
        listed = {key: size for key, size in listed.items() if parse_pack_key(key) is not None}
        self.report.blocks = self._references.count()
        needed = {data_pack_key(pack) for pack in self._references.list_packs()}
        for key in sorted(needed - listed.keys()):
            self._note(f"object {key!r} is missing")
            self._blame(key)
        packs = listed if everything else {key: listed[key] for key in sorted(needed & listed.keys())}
        self.report.packs = len(packs)
        return packs

    def read_packs(self, packs: dict[str, int], workers: int, on_read: Callable[[int, int], None]) -> None:
        """Read packs in full and keep what is wrong with each of their records."""
        known = sum(packs.values())
        check = partial(check_pack, self._repository)
        with ThreadPoolExecutor(workers, thread_name_prefix="verify") as executor:
            for key, outcome in zip(packs, executor.map(check, packs), strict=True):
                if outcome is None:  # a sweep took it since it was listed, unless a map refers to it
                    self._compare(key, frozenset())
                    continue
                self.report.packs_read += 1
                self.report.read_bytes += packs[key]
                on_read(self.report.read_bytes, known)
                for reason in outcome.reasons:
                    self._note(reason)
                    self._blame(key)
                self._compare(key, outcome.good_rows)

    def check_references(self, packs: dict[str, int]) -> None:
        """Records that lie outside their pack, or in a pack that is missing, are bad."""
        for pack in list(self._references.list_packs()):
            key = data_pack_key(pack)
            size = packs.get(key)
            rows = self._references.list_of(pack)
            if size is None:
                self._references.condemn(pack, rows, f"object {key!r} is missing")
                continue
            outside = [row for row in rows if row[0] + row[1] > size]
            if outside:
                reason = f"object {key!r} is damaged: it is cut short ({size} bytes)"
                self._references.condemn(pack, outside, reason)
                self._note(reason)
                self._blame(key)

    def name_damage(self, manifest: Manifest) -> None:
        """Walk a map again and say which bytes of the disk the bad records are."""
        bad: list[tuple[int, str]] = []
        for visit in walk_leaves(manifest.root, self._repository.pages):
            if isinstance(visit.leaf, Corruption):
                continue
            for entry, block in zip(
                visit.leaf.stored, _stored_blocks(visit.first_leaf, visit.leaf.entries), strict=True
            ):
                row = (*entry.location.pack, entry.location.offset, entry.location.length, entry.block_id)
                reason = self._references.find_reason(row)
                if reason is not None:
                    bad.append((block, reason))
        for _, group in groupby(enumerate(bad), key=lambda item: (item[1][0] - item[0], item[1][1])):
            run = [item for _, item in group]
            self._damage(manifest, run[0][0], len(run), run[0][1])

    def check_small_objects(self) -> None:
        """Open what else is in the store: key slots as far as they are readable, sessions, lists, markers."""
        repository = self._repository
        slots = [info.key for info in repository.store.list(KEYS)]
        if not slots:
            self._note("no key slot is left below 'keys/': nobody can open the repository any more")
        for key in slots:
            self._attempt(partial(self._read_slot, key))
        self._attempt(partial(list_condemned, repository.store, repository.cipher))
        self._attempt(self._read_sessions)
        for folder in repository.list_folders():
            self._read_folder(folder)

    def _attempt(self, look: Callable[[], object]) -> None:
        try:
            look()
        except (Corruption, UnknownVersionError) as damage:
            self._note(str(damage))
        except ObjectMissingError:
            return  # it went since it was listed

    def _read_sessions(self) -> None:
        for session in list_sessions(self._repository.store, self._repository.cipher):
            if session.record is None:
                self._note(f"object 'sessions/{session.session_id}' is damaged")

    def _read_folder(self, folder: SnapshotFolder) -> None:
        marks = [DELETED] * folder.is_deleted + [REVOKED] * folder.is_revoked
        for key in (mark_key(folder.snapshot_id, mark) for mark in marks):
            self._attempt(partial(self._read_mark, key))
        for key in folder.bodies:
            self._attempt(partial(self._repository.read_body, key))
        for key in folder.notes:
            self._attempt(partial(self._repository.read_note, key))
        if folder.is_revoked:
            self._attempt(partial(self._read_revocation, first_body_key(folder.snapshot_id)))

    def _read_revocation(self, key: str) -> None:
        try:
            found = self._repository.read_body(key)
        except ObjectMissingError:  # its marker was written after it, and a sweep removes neither
            self._note(f"object {key!r} is missing: the capture that it revoked could seem to commit")
            return
        if found is not None:
            self._note(f"object {key!r} is a manifest where a revocation should be")

    def _read_slot(self, key: str) -> None:
        read_head(self._repository.store.get(key), key)

    def _read_mark(self, key: str) -> None:
        self._repository.cipher.open(KIND_MARKER, key, self._repository.store.get(key))

    def _compare(self, key: str, good: frozenset[tuple[int, int, bytes]]) -> None:
        """Records that the pack's footer does not vouch for are read once more, the way a restore reads them."""
        named = parse_pack_key(key)
        if named is None or named[0] != KIND_DATA_PACK:
            return
        pack = named[1]
        doubtful = [row for row in self._references.list_of(pack) if row not in good]
        wanted = [Wanted(identity, Location(pack, offset, length)) for offset, length, identity in doubtful]
        for row, content in zip(doubtful, self._repository.blocks.read(wanted), strict=True):
            if isinstance(content, Corruption):
                self._references.condemn(pack, [row], str(content))
                self._blame(key)

    def _note(self, reason: str) -> None:
        if reason not in self.report.damaged_objects:
            self.report.damaged_objects.append(reason)

    def _blame(self, pack_key: str) -> None:
        if pack_key not in self.report.damaged_packs:
            bisect.insort(self.report.damaged_packs, pack_key)

    def _damage(self, manifest: Manifest, first_block: int, blocks: int, reason: str) -> None:
        offset = first_block * BLOCK_BYTES
        length = min(blocks * BLOCK_BYTES, manifest.size_bytes - offset)
        self.report.damaged_ranges.append(
            DamagedRange(snapshot_id=manifest.snapshot_id, offset=offset, length=length, reason=reason)
        )
        self._note(reason)


def _stored_blocks(first_leaf: int, entries: Sequence[object]) -> list[int]:
    first = first_leaf * LEAF_BLOCKS
    return [first + within for within, entry in enumerate(entries) if isinstance(entry, Stored)]


def _draw(packs: dict[str, int], percent: float) -> dict[str, int]:
    if percent >= _PERCENT:
        return packs
    count = min(len(packs), -(-len(packs) * percent // _PERCENT))
    chosen = set(secrets.SystemRandom().sample(sorted(packs), int(count)))
    return {key: size for key, size in packs.items() if key in chosen}
