"""Sweep: remove what nothing reaches, beside running captures, readers and other sweeps (docs/format.md §5)."""

from dataclasses import dataclass, field, replace
from typing import Final

from lamina.engine.condemned import (
    Condemned,
    CondemnedList,
    list_condemned,
    put_condemned,
    put_witnesses,
    remove_condemned,
)
from lamina.engine.format import (
    DATA_FOLDER,
    KIND_MARKER,
    KIND_REVOCATION,
    MAP_FOLDER,
    SessionId,
    parse_pack_key,
)
from lamina.engine.maintenance.mark import ManifestVanishedError, Marks
from lamina.engine.manifest import DELETED, REVOKED, SnapshotFolder, first_body_key, mark_key
from lamina.engine.objects.store import CreateOnlyUnsupportedError, ObjectExistsError
from lamina.engine.repository import Repository
from lamina.engine.sessions import SESSIONS, RunningSession, SessionKind, list_sessions, mint_session_id
from lamina.failures import Fault
from lamina.ids import SnapshotId

# In a quiet repository: one round removes manifests, the next condemns and removes their packs, the third finds
# nothing left to do.
_ROUNDS_MAX: Final = 4
_MARKS_TRIED: Final = 5


@dataclass(slots=True, kw_only=True)
class SweepReport:
    """What a sweep did, and what it could not do yet.

    Attributes:
        removed_manifests: manifests of deleted or superseded snapshots that were removed.
        removed_packs: packs that were removed.
        removed_bytes: their size.
        waiting_packs: packs that are condemned and wait.
        waiting_manifests: manifests that are condemned and wait.
        waiting_bytes: size of the waiting packs.
        waiting_for: the sessions that they wait for.
        ended_sessions: sessions whose process is gone and that were taken out.
        damage: what could not be read; while there is any, no pack is removed.
        dry_run: whether this only tells what would be condemned.
    """

    removed_manifests: int = 0
    removed_packs: int = 0
    removed_bytes: int = 0
    waiting_packs: int = 0
    waiting_manifests: int = 0
    waiting_bytes: int = 0
    waiting_for: list[SessionId] = field(default_factory=list)
    ended_sessions: list[SessionId] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Sight:
    """What one round saw, in the order in which it must be looked at.

    Attributes:
        packs: object keys of all packs, with their sizes.
        sessions: the running sessions, listed after the packs.
        folders: all snapshots' folders, listed after the sessions.
        condemned: what was condemned before this round.
        is_damaged: whether something of a snapshot that exists cannot be read.
    """

    packs: dict[str, int]
    sessions: frozenset[SessionId]
    folders: list[SnapshotFolder]
    condemned: Condemned
    is_damaged: bool = False

    @property
    def current_bodies(self) -> list[str]:
        """The manifests of the snapshots that exist."""
        return [folder.bodies[-1] for folder in self.folders if folder.is_visible]

    @property
    def superseded_bodies(self) -> list[str]:
        """Their earlier manifests."""
        return [key for folder in self.folders if folder.is_visible for key in folder.bodies[:-1]]

    @property
    def deleted_bodies(self) -> list[str]:
        """The manifests of deleted snapshots."""
        return [key for folder in self.folders if not folder.is_visible for key in folder.bodies]

    @property
    def kept_bodies(self) -> frozenset[str]:
        """Manifests that stay. Damage keeps the superseded ones too: they may be the way back to what is lost."""
        return frozenset(self.current_bodies + (self.superseded_bodies if self.is_damaged else []))

    @property
    def doomed_bodies(self) -> frozenset[str]:
        """Manifests that go. Revocations stay for ever."""
        return frozenset(self.deleted_bodies + self.superseded_bodies) - self.kept_bodies


def sweep(repository: Repository, *, dry_run: bool = False) -> SweepReport:
    """Remove what is certain to be unreachable for ever, and condemn what is unreachable now.

    Takes no lock and may run any number of times at once. What still waits is finished by a later sweep.

    Raises:
        Corruption: a condemned list is damaged.
        Fault: the store failed; everything done so far is consistent, and a new sweep goes on.
    """
    report = SweepReport(dry_run=dry_run)
    for _ in range(_ROUNDS_MAX):
        if not _sweep_once(repository, report):
            break
    return report


def _sweep_once(repository: Repository, report: SweepReport) -> bool:
    """One round; tells whether another one may find more to do."""
    if not report.dry_run:
        report.ended_sessions += end_dead_sessions(repository)
    condemned = list_condemned(repository.store, repository.cipher)
    sight, marks = _look(repository, condemned)
    with marks:
        report.damage = list(dict.fromkeys(marks.damage))
        progressed = False
        if not report.dry_run:
            for folder in sight.folders:
                if not marks.revocations.isdisjoint(folder.bodies):
                    # The sweep that revoked it was killed half-way.
                    _mark_revoked(repository, folder.snapshot_id)
            progressed = _carry_out(repository, sight, marks, report)
        progressed |= _condemn(repository, sight, marks, report)
    _tell_waiting(repository, sight, report)
    return progressed and not report.dry_run


def _look(repository: Repository, condemned: Condemned) -> tuple[_Sight, Marks]:
    """List and mark, again from the start when another sweep removed a manifest in between."""
    store = repository.store
    for _ in range(_MARKS_TRIED):
        packs = {
            info.key: info.size_bytes for folder in (DATA_FOLDER, MAP_FOLDER) for info in store.list(folder)
        }
        running = frozenset(item.session_id for item in list_sessions(store, repository.cipher))
        sight = _Sight(packs, running, repository.list_folders(), condemned)
        marks = Marks(repository)
        try:
            for key in sight.current_bodies:
                marks.reach_manifest(key)
            sight = replace(sight, is_damaged=bool(marks.damage))
            for key in sight.superseded_bodies + sight.deleted_bodies:
                marks.reach_manifest(key)
        except ManifestVanishedError:
            marks.__exit__(None, None, None)
            continue
        return sight, marks
    raise Fault("other sweeps keep removing manifests while this one looks: try again later", retryable=True)


def _carry_out(repository: Repository, sight: _Sight, marks: Marks, report: SweepReport) -> bool:
    """Remove what mature lists name. The mark began after `sight.sessions` showed that they are mature."""
    progressed = False
    for item in sight.condemned.lists:
        if not item.is_mature(sight.sessions):
            continue
        removed = item.manifest_keys & sight.doomed_bodies
        for key in sorted(removed):
            repository.store.delete(key)
        report.removed_manifests += len(removed)
        dead = (
            frozenset()
            if marks.damage
            else frozenset(key for key in item.pack_keys if not _is_reached(marks, key))
        )
        for key in sorted(dead):
            repository.store.delete(key)
            report.removed_packs += key in sight.packs
            report.removed_bytes += sight.packs.get(key, 0)
        _shorten(repository, item, item.pack_keys - dead, item.manifest_keys & sight.kept_bodies)
        progressed = progressed or bool(removed or dead)
    for key in sight.condemned.orphans:
        repository.store.delete(key)
    _drop_empty_marks(repository)
    return progressed


def _shorten(
    repository: Repository, item: CondemnedList, packs: frozenset[str], manifests: frozenset[str]
) -> None:
    if not packs and not manifests:
        remove_condemned(repository.store, item.sweep)
    elif packs != item.pack_keys or manifests != item.manifest_keys:
        shorter = replace(item, pack_keys=packs, manifest_keys=manifests)
        put_condemned(repository.store, repository.cipher, shorter)


def _drop_empty_marks(repository: Repository) -> None:
    """Remove notes, and then deletion markers, of snapshots that have no manifest left.

    A listing that shows no manifest of a snapshot proves that it is gone: a compaction writes the new one before a
    sweep removes the old one, and its name comes behind. Notes are written of snapshots that were committed.
    """
    for folder in repository.list_folders():
        if folder.bodies:
            continue
        for key in folder.notes:
            repository.store.delete(key)
        if folder.is_deleted:
            repository.store.delete(mark_key(folder.snapshot_id, DELETED))


def _condemn(repository: Repository, sight: _Sight, marks: Marks, report: SweepReport) -> bool:
    """Publish a new list, and then who was running."""
    on_lists = sight.condemned.keys
    # A folder's names do not always tell that its number 0 is a revocation, which must stay for ever.
    manifests = sight.doomed_bodies - on_lists - marks.revocations
    packs = frozenset[str]()
    if not marks.damage:
        packs = frozenset(
            key
            for key in sight.packs
            if key not in on_lists and _session_of(key) not in sight.sessions and not _is_reached(marks, key)
        )
    unwitnessed = any(item.witnesses is None for item in sight.condemned.lists)
    if not manifests and not packs and not unwitnessed:
        return False
    if report.dry_run:
        report.waiting_manifests = len(manifests)
        report.waiting_packs = len(packs)
        report.waiting_bytes = sum(sight.packs[key] for key in packs)
        return False
    if manifests or packs:
        sweep_id = mint_session_id()
        item = CondemnedList(sweep=sweep_id, pack_keys=packs, manifest_keys=manifests, witnesses=None)
        put_condemned(repository.store, repository.cipher, item)
    witness_unwitnessed(repository)
    return True


def witness_unwitnessed(repository: Repository) -> None:
    """Write down the witnesses of every list that has none: of a new one, or of one whose sweep was killed.

    Sessions are listed after the list became visible, which is all that matters.
    """
    condemned = list_condemned(repository.store, repository.cipher)
    running = [item.session_id for item in list_sessions(repository.store, repository.cipher)]
    for item in condemned.lists:
        if item.witnesses is None:
            put_witnesses(repository.store, repository.cipher, item.sweep, running)


def end_dead_sessions(repository: Repository) -> list[SessionId]:
    """Take out the sessions whose process is gone, as far as that can be done safely.

    Returns:
        Those that were taken out.
    """
    now = repository.clock.now()
    ended = []
    for session in list_sessions(repository.store, repository.cipher):
        if (session.is_dead() or session.is_stale(now)) and _may_end(repository, session):
            repository.store.delete(SESSIONS + session.session_id)
            ended.append(session.session_id)
    return ended


def _may_end(repository: Repository, session: RunningSession) -> bool:
    record = session.record
    if record is None:
        return False  # a damaged object does not say what it protects: an operator must look
    if record.kind is SessionKind.READ:
        return True
    if record.kind is SessionKind.COMPACTION:
        return session.is_dead()
    return _revoke(repository, SnapshotId(record.snapshot)) or session.is_dead()


def _revoke(repository: Repository, snapshot_id: SnapshotId) -> bool:
    """Make sure that a capture never commits any more, or find that it has: then it has ended too.

    False where the store cannot create an object only if it is absent.
    """
    key = first_body_key(snapshot_id)
    if repository.find_folder(snapshot_id) is not None:
        return True  # it committed, and was killed before it could take its session out
    try:
        repository.store.put_new(key, repository.cipher.seal(KIND_REVOCATION, key, b"{}"))
    except ObjectExistsError:
        return True
    except CreateOnlyUnsupportedError:
        return False
    _mark_revoked(repository, snapshot_id)
    return True


def _mark_revoked(repository: Repository, snapshot_id: SnapshotId) -> None:
    """Let names tell that number 0 is a revocation."""
    key = mark_key(snapshot_id, REVOKED)
    repository.store.put(key, repository.cipher.seal(KIND_MARKER, key, b"{}"))


def _tell_waiting(repository: Repository, sight: _Sight, report: SweepReport) -> None:
    if report.dry_run:
        return
    condemned = list_condemned(repository.store, repository.cipher)
    report.waiting_packs = sum(len(item.pack_keys) for item in condemned.lists)
    report.waiting_manifests = sum(len(item.manifest_keys) for item in condemned.lists)
    report.waiting_bytes = sum(sight.packs.get(key, 0) for item in condemned.lists for key in item.pack_keys)
    witnesses: frozenset[SessionId] = frozenset().union(*(item.witnesses or () for item in condemned.lists))
    running = {item.session_id for item in list_sessions(repository.store, repository.cipher)}
    report.waiting_for = sorted(running.intersection(witnesses))


def _is_reached(marks: Marks, key: str) -> bool:
    named = parse_pack_key(key)
    return named is None or marks.reaches(*named)


def _session_of(key: str) -> str:
    return key.split("/")[1] if "/" in key else ""
