"""A repository: the snapshots of one owner in one object store."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lamina.clock import Clock, SystemClock
from lamina.engine import manifest as manifests
from lamina.engine.dedup import BlockIndexCache
from lamina.engine.format import (
    BLOCK_BYTES,
    DEFAULT_DOMAIN,
    KIND_DATA_PACK,
    KIND_MANIFEST,
    KIND_MARKER,
    KIND_NOTE,
    KIND_REVOCATION,
    OBJECT_HEADER,
    check_header,
)
from lamina.engine.manifest import Manifest, Note, SnapshotFolder
from lamina.engine.objects.store import (
    CreateOnlyUnsupportedError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectStore,
)
from lamina.engine.packs.reader import RecordReader
from lamina.engine.pages import Pages
from lamina.engine.seal.encryption import ObjectCipher
from lamina.engine.seal.hashing import Identity
from lamina.engine.seal.keys import MasterKey, Secret, WrongSecretError, unwrap, wrap
from lamina.engine.sessions import Session, SessionKind
from lamina.failures import Corruption, Refusal
from lamina.ids import SnapshotId

KEYS: Final = "keys/"
_SLOT: Final = re.compile(r"keys/\d{8}")
_TRIES_WHILE_SUPERSEDED: Final = 5


class NoRepositoryError(Refusal):
    """The object store holds no repository."""

    def __init__(self, where: str) -> None:
        super().__init__(f"there is no repository at {where}: make one with `lamina repo init`")


class RepositoryExistsError(Refusal):
    """The object store holds a repository already."""

    def __init__(self, where: str) -> None:
        super().__init__(f"there is a repository at {where} already; nothing was changed")


class SnapshotNotFoundError(Refusal):
    """No such snapshot exists in the repository (any more)."""

    def __init__(self, snapshot_id: str) -> None:
        super().__init__(
            f"the repository has no snapshot {snapshot_id!r}; `lamina repo list` shows what it has"
        )
        self.snapshot_id = snapshot_id


class SnapshotExistsError(Refusal):
    """A snapshot of this id exists already, or its capture was revoked by a sweep."""


@dataclass(frozen=True)
class Repository:
    """An open repository. Thread-safe; holds no lock and no connection of its own.

    Attributes:
        store: where its objects are.
        master: its unwrapped master key.
        clock: for instants that are recorded; no decision about what may be deleted rests on it.
        cache_dir: where the local index lives; None keeps it in memory and temporary space.
        cipher: seals its small objects.
        identity: computes ids in its default domain.
        pages: reads its block maps.
        blocks: reads its blocks.
    """

    store: ObjectStore
    master: MasterKey
    clock: Clock
    cache_dir: Path | None
    cipher: ObjectCipher
    identity: Identity
    pages: Pages
    blocks: RecordReader

    @classmethod
    def create(
        cls, store: ObjectStore, secret: Secret, *, clock: Clock | None = None, cache_dir: Path | None = None
    ) -> "Repository":
        """Make a new repository in an empty place.

        Raises:
            RepositoryExistsError: the store holds one already.
        """
        clock = clock or SystemClock()
        if any(store.list(KEYS)):
            raise RepositoryExistsError(store.describe())
        master = MasterKey.mint()
        slot = wrap(master, secret, clock.now())
        try:
            create_only(store, f"{KEYS}00000000", slot)
        except ObjectExistsError as error:
            raise RepositoryExistsError(store.describe()) from error
        return cls._with_key(store, master, clock, cache_dir)

    @classmethod
    def open(
        cls, store: ObjectStore, secret: Secret, *, clock: Clock | None = None, cache_dir: Path | None = None
    ) -> "Repository":
        """Open a repository: one request, unless its secret was changed or does not fit.

        Raises:
            NoRepositoryError: the store holds none.
            WrongSecretError: the secret does not unlock it.
            Corruption: its key slots are damaged.
        """
        key = f"{KEYS}00000000"
        try:
            master = unwrap(store.get(key), secret, key)
        except (ObjectMissingError, WrongSecretError, Corruption):
            # Changed, or half changed: then there are two slots, each with a secret of its own.
            master = _try_slots(store, secret)
        return cls._with_key(store, master, clock or SystemClock(), cache_dir)

    def change_secret(self, secret: Secret) -> None:
        """Unlock with `secret` from now on, and with nothing else. Rewrites no data.

        The new slot is written and read back before the old ones go.

        Raises:
            ObjectExistsError: somebody else is changing the secret at this moment.
        """
        old = [info.key for info in self.store.list(KEYS) if _SLOT.fullmatch(info.key)]
        number = int(max(old).removeprefix(KEYS)) + 1 if old else 0
        key = f"{KEYS}{number:08d}"
        create_only(self.store, key, wrap(self.master, secret, self.clock.now()))
        if unwrap(self.store.get(key), secret, key) != self.master:
            raise Corruption(f"object {key!r} does not hold what was written: the old secret stays valid")
        for name in old:
            self.store.delete(name)

    def uncached(self) -> "Repository":
        """The same repository without the pages that were read before: for whoever must see the store itself."""
        return replace(self, pages=Pages(self.store, self.master.domain_keys(DEFAULT_DOMAIN), self.identity))

    def session(self, kind: SessionKind, snapshot: str) -> Session:
        """A session of this process, to be entered before anything of the repository is relied on."""
        return Session(self.store, self.cipher, self.clock, kind, snapshot)

    def open_index(self) -> BlockIndexCache:
        """The local index of the default domain."""
        if self.cache_dir is None:
            return BlockIndexCache(None)
        return BlockIndexCache(self.cache_dir / self.master.repository.hex() / "blocks.sqlite")

    def list_folders(self) -> list[SnapshotFolder]:
        """Everything below `snapshots/`, deleted snapshots included."""
        return manifests.group_folders(info.key for info in self.store.list(manifests.SNAPSHOTS))

    def list_snapshots(self) -> list[SnapshotId]:
        """The ids of all snapshots, in their order."""
        return [folder.snapshot_id for folder in self.list_folders() if folder.is_visible]

    def find_folder(self, snapshot_id: SnapshotId) -> SnapshotFolder | None:
        """The folder of a snapshot that is not hidden; one listing."""
        if not manifests.is_snapshot_id(snapshot_id):
            return None
        listing = self.store.list(f"{manifests.SNAPSHOTS}{snapshot_id}/")
        folders = manifests.group_folders(info.key for info in listing)
        return folders[0] if folders and folders[0].is_visible else None

    def read_manifest(self, snapshot_id: SnapshotId) -> Manifest:
        """The manifest of a snapshot that exists now: a listing and a read.

        Raises:
            SnapshotNotFoundError: it does not exist.
            Corruption: its manifest is damaged.
        """
        for _ in range(_TRIES_WHILE_SUPERSEDED):
            folder = self.find_folder(snapshot_id)
            if folder is None:
                break
            try:
                found = self.read_body(folder.bodies[-1])
            except ObjectMissingError:
                continue  # a compaction superseded it, or it was deleted, since it was listed
            if found is not None:
                return found
            break
        raise SnapshotNotFoundError(snapshot_id)

    def read_manifest_quickly(self, snapshot_id: SnapshotId) -> Manifest:
        """As `read_manifest`, in one request when no compaction has touched the snapshot.

        For readers only: a snapshot whose deletion is under way may still be found this way, and a
        capture must not inherit from such a one.
        """
        if not manifests.is_snapshot_id(snapshot_id):
            raise SnapshotNotFoundError(snapshot_id)
        try:
            found = self.read_body(manifests.first_body_key(snapshot_id))
        except ObjectMissingError:
            return self.read_manifest(snapshot_id)
        if found is None:
            raise SnapshotNotFoundError(snapshot_id)
        return found

    def read_body(self, key: str) -> Manifest | None:
        """The manifest with this object key; None for a revocation.

        Raises:
            ObjectMissingError: there is no such object.
            Corruption: it is damaged, or belongs to another domain's key.
        """
        data = self.store.get(key)
        if data[: OBJECT_HEADER.size][6:7] == KIND_REVOCATION:
            check_header(data, KIND_REVOCATION, key)
            self.cipher.open(KIND_REVOCATION, key, data)
            return None
        return manifests.decode(self.cipher.open(KIND_MANIFEST, key, data), key)

    def commit(self, manifest: Manifest) -> None:
        """Make a snapshot exist. Everything that its map reaches must be stored.

        Raises:
            SnapshotExistsError: the id is taken, or a sweep revoked this capture; nothing was committed.
        """
        key = manifests.first_body_key(manifest.snapshot_id)
        data = self.cipher.seal(KIND_MANIFEST, key, manifests.encode(manifest))
        try:
            create_only(self.store, key, data)
        except ObjectExistsError as error:
            raise SnapshotExistsError(
                f"snapshot {manifest.snapshot_id!r} was not committed: its id is taken, or a sweep gave this capture"
                " up as dead. Capture again under a new id: what was uploaded is used again"
            ) from error

    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        """Make a snapshot not exist any more: one listing, one small write. A sweep frees its space later.

        Raises:
            SnapshotNotFoundError: it does not exist.
        """
        if self.find_folder(snapshot_id) is None:
            raise SnapshotNotFoundError(snapshot_id)
        key = manifests.mark_key(snapshot_id, manifests.DELETED)
        self.store.put(key, self.cipher.seal(KIND_MARKER, key, b"{}"))

    def find_note(self, snapshot_id: SnapshotId) -> Note | None:
        """The note of a snapshot: a listing and, if it has one, a read.

        Raises:
            Corruption: its note is damaged.
        """
        for _ in range(_TRIES_WHILE_SUPERSEDED):
            folder = self.find_folder(snapshot_id)
            if folder is None or not folder.notes:
                break
            try:
                return self.read_note(folder.notes[-1])
            except ObjectMissingError:
                continue  # a later one took its place since it was listed
        return None

    def read_note(self, key: str) -> Note:
        """The note with this object key.

        Raises:
            ObjectMissingError: there is no such object.
            Corruption: it is damaged.
        """
        return manifests.decode_note(self.cipher.open(KIND_NOTE, key, self.store.get(key)), key)

    def put_note(self, folder: SnapshotFolder, note: Note) -> None:
        """Write a note beside the manifest of a snapshot, and drop the notes before it.

        Args:
            folder: the snapshot's.
            note: its number is higher than those in the folder.

        Raises:
            ObjectExistsError: somebody else wrote a note of this number at the same moment.
        """
        key = manifests.note_key(folder.snapshot_id, note.number)
        create_only(self.store, key, self.cipher.seal(KIND_NOTE, key, manifests.encode_note(note)))
        for old in folder.notes:
            self.store.delete(old)

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """What `lamina repo show` tells about the repository itself."""
        return {
            "repository": self.master.repository.hex(),
            "block_bytes": BLOCK_BYTES,
            "store": self.store.describe(),
        }

    @classmethod
    def _with_key(
        cls, store: ObjectStore, master: MasterKey, clock: Clock, cache_dir: Path | None
    ) -> "Repository":
        keys = master.domain_keys(DEFAULT_DOMAIN)
        identity = Identity(keys)
        return cls(
            store=store,
            master=master,
            clock=clock,
            cache_dir=cache_dir,
            cipher=ObjectCipher(master.object_key()),
            identity=identity,
            pages=Pages(store, keys, identity),
            blocks=RecordReader(KIND_DATA_PACK, store, keys, record_bytes_max=BLOCK_BYTES),
        )


def create_only(store: ObjectStore, key: str, data: bytes) -> None:
    """`put_new` where the store can, else `put`; docs/format.md §5 tells what is lost then: only revocation."""
    try:
        store.put_new(key, data)
    except CreateOnlyUnsupportedError:
        store.put(key, data)


def _try_slots(store: ObjectStore, secret: Secret) -> MasterKey:
    slots = [info.key for info in store.list(KEYS) if _SLOT.fullmatch(info.key)]
    if not slots:
        raise NoRepositoryError(store.describe())
    failure: WrongSecretError | Corruption | None = None
    for key in reversed(slots):
        try:
            return unwrap(store.get(key), secret, key)
        except ObjectMissingError:
            continue  # somebody is changing the secret at this moment
        except (WrongSecretError, Corruption) as error:
            failure = failure or error
    if failure is not None:
        raise failure
    raise NoRepositoryError(store.describe())
