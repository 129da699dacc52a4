"""The manifest: the record of one snapshot. Written last; its existence is the commit (docs/format.md §3.8)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from lamina.engine.blockmap.root import Root
from lamina.engine.format import BLOCK_BYTES, JSON_LENGTH, SessionId
from lamina.failures import Corruption
from lamina.ids import SnapshotId

SNAPSHOTS: Final = "snapshots/"
DELETED: Final = "deleted"
REVOKED: Final = "revoked"
_BODY: Final = re.compile(r"(\d{8})(?:-([0-9a-f]{32}))?")
_NOTE: Final = re.compile(r"note-(\d{8})")
_SNAPSHOT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class CaptureMode(Enum):
    """How a capture found out what changed."""

    FULL = "full"  # there was no parent
    SCAN = "scan"  # every written block was read and compared with the parent's
    HINT = "hint"  # only the extents of a change hint were read


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One snapshot.

    Attributes:
        snapshot_id: its id.
        name: a name for people; may be empty.
        created_at: when the capture began.
        root: the block map; it knows the size of the disk.
        content_id: equal for snapshots of equal content, as hex.
        parent: the snapshot that it was captured against.
        changed_bytes: bytes that were found to differ from the parent (all data, without a parent).
        stored_bytes: bytes of the packs that were written for it.
        mode: how the capture found out what changed.
        tracking: identity of the captured instant, for a later change hint; may be empty.
        session: the session that wrote it.
        domain: id of the domain of its blocks, 16 bytes.
        annotations: facts of whoever ordered the snapshot.
        clear_of: condemned lists of damaged packs that its map does not refer to.
    """

    snapshot_id: SnapshotId
    name: str
    created_at: datetime
    root: Root
    content_id: str
    parent: SnapshotId | None
    changed_bytes: int
    stored_bytes: int
    mode: CaptureMode
    tracking: str
    session: SessionId
    domain: bytes
    annotations: Mapping[str, str]
    clear_of: frozenset[SessionId] = frozenset()

    @property
    def size_bytes(self) -> int:
        """The size of the disk in bytes."""
        return self.root.size_bytes

    @property
    def used_bytes(self) -> int:
        """The used capacity: bytes of all blocks that hold data, also of those shared with other snapshots."""
        return self.root.data_blocks * BLOCK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What changed about a snapshot after its manifest was written (docs/format.md §3.10).

    Attributes:
        number: the highest number is the latest note, and the only one that counts.
        annotations: they take the place of those of the manifest with the same names.
    """

    number: int
    annotations: Mapping[str, str]


class _NoteBody(msgspec.Struct, frozen=True, kw_only=True):
    annotations: dict[str, str]


class _Head(msgspec.Struct, kw_only=True, omit_defaults=True):
    snapshot: str
    name: str
    created_at: datetime
    size_bytes: int
    block_bytes: int
    content: str
    data_blocks: int
    zero_blocks: int
    parent: str | None
    changed_bytes: int
    stored_bytes: int
    mode: CaptureMode
    tracking: str
    session: str
    domain: str
    annotations: dict[str, str]
    clear_of: list[str] = []


def encode(manifest: Manifest) -> bytes:
    """The body of a manifest object."""
    head = msgspec.json.encode(
        _Head(
            snapshot=manifest.snapshot_id,
            name=manifest.name,
            created_at=manifest.created_at,
            size_bytes=manifest.size_bytes,
            block_bytes=BLOCK_BYTES,
            content=manifest.content_id,
            data_blocks=manifest.root.data_blocks,
            zero_blocks=manifest.root.zero_blocks,
            parent=manifest.parent,
            changed_bytes=manifest.changed_bytes,
            stored_bytes=manifest.stored_bytes,
            mode=manifest.mode,
            tracking=manifest.tracking,
            session=manifest.session,
            domain=manifest.domain.hex(),
            annotations=dict(manifest.annotations),
            clear_of=sorted(manifest.clear_of),
        )
    )
    return JSON_LENGTH.pack(len(head)) + head + manifest.root.encode()


def decode(body: bytes, key: str) -> Manifest:
    """A manifest from the body of its object; `key` is for messages.

    Raises:
        Corruption: the body is not that of a manifest.
    """
    try:
        (length,) = JSON_LENGTH.unpack_from(body)
        head = msgspec.json.decode(body[JSON_LENGTH.size : JSON_LENGTH.size + length], type=_Head)
        domain = bytes.fromhex(head.domain)
        root = Root.decode(head.size_bytes, body[JSON_LENGTH.size + length :])
    except (msgspec.MsgspecError, ValueError, ArithmeticError) as error:
        raise Corruption(f"object {key!r} is damaged: it is no manifest ({error})") from error
    if head.block_bytes != BLOCK_BYTES or head.data_blocks != root.data_blocks:
        raise Corruption(f"object {key!r} is damaged: it contradicts itself")
    return Manifest(
        snapshot_id=SnapshotId(head.snapshot),
        name=head.name,
        created_at=head.created_at,
        root=root,
        content_id=head.content,
        parent=SnapshotId(head.parent) if head.parent else None,
        changed_bytes=head.changed_bytes,
        stored_bytes=head.stored_bytes,
        mode=head.mode,
        tracking=head.tracking,
        session=SessionId(head.session),
        domain=domain,
        annotations=head.annotations,
        clear_of=frozenset(map(SessionId, head.clear_of)),
    )


def encode_note(note: Note) -> bytes:
    """The body of a note object."""
    return msgspec.json.encode(_NoteBody(annotations=dict(note.annotations)))


def decode_note(body: bytes, key: str) -> Note:
    """A note from the body of its object; its number is that of the object's `key`.

    Raises:
        Corruption: the body is not that of a note.
    """
    try:
        annotations = msgspec.json.decode(body, type=_NoteBody).annotations
    except msgspec.MsgspecError as error:
        raise Corruption(f"object {key!r} is damaged: it is no note ({error})") from error
    return Note(number=note_number(key), annotations=annotations)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFolder:
    """What the store lists below one snapshot's folder.

    Attributes:
        snapshot_id: whose folder it is.
        bodies: object keys of its manifests, the current one last; never a revocation that is marked as such.
        is_deleted: whether a deletion marker hides it.
        is_revoked: whether its capture was revoked.
        notes: object keys of its notes, the current one last.
    """

    snapshot_id: SnapshotId
    bodies: tuple[str, ...]
    is_deleted: bool
    is_revoked: bool
    notes: tuple[str, ...] = ()

    @property
    def is_visible(self) -> bool:
        """Whether the snapshot exists, as far as names can tell."""
        return bool(self.bodies) and not self.is_deleted


def first_body_key(snapshot_id: SnapshotId) -> str:
    """Where a capture commits: the arbiter between it and a sweep that revokes it."""
    return f"{SNAPSHOTS}{snapshot_id}/00000000"


def next_body_key(folder: SnapshotFolder, session: SessionId) -> str:
    """Where a compaction puts the manifest that supersedes the folder's current one."""
    number = int(folder.bodies[-1].rsplit("/", 1)[1][:8]) + 1
    return f"{SNAPSHOTS}{folder.snapshot_id}/{number:08d}-{session}"


def mark_key(snapshot_id: SnapshotId, mark: str) -> str:
    """The object key of a marker."""
    return f"{SNAPSHOTS}{snapshot_id}/{mark}"


def note_key(snapshot_id: SnapshotId, number: int) -> str:
    """The object key of a note."""
    return f"{SNAPSHOTS}{snapshot_id}/note-{number:08d}"


def note_number(key: str) -> int:
    """The number of the note with this object key."""
    return int(key.rsplit("-", 1)[1])


def is_snapshot_id(text: str) -> bool:
    """Whether a text can name a snapshot."""
    return _SNAPSHOT.fullmatch(text) is not None


def group_folders(keys: Iterable[str]) -> list[SnapshotFolder]:
    """Sort a listing of `snapshots/` into folders; names that are none of ours are ignored."""
    bodies: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    deleted: set[str] = set()
    revoked: set[str] = set()
    for key in keys:
        snapshot_id, _, leaf = key.removeprefix(SNAPSHOTS).partition("/")
        if _BODY.fullmatch(leaf):
            bodies.setdefault(snapshot_id, []).append(key)
        elif _NOTE.fullmatch(leaf):
            notes.setdefault(snapshot_id, []).append(key)
        elif leaf == DELETED:
            deleted.add(snapshot_id)
        elif leaf == REVOKED:
            revoked.add(snapshot_id)
    for snapshot_id in revoked:
        # Only number 0 can be a revocation. A later manifest proves that the capture had committed before.
        own = bodies.get(snapshot_id, [])
        bodies[snapshot_id] = [key for key in own if key != first_body_key(SnapshotId(snapshot_id))]
    return [
        SnapshotFolder(
            snapshot_id=SnapshotId(snapshot_id),
            bodies=tuple(sorted(bodies.get(snapshot_id, []))),
            is_deleted=snapshot_id in deleted,
            is_revoked=snapshot_id in revoked,
            notes=tuple(sorted(notes.get(snapshot_id, []))),
        )
        for snapshot_id in sorted({*bodies, *notes, *deleted, *revoked})
    ]
