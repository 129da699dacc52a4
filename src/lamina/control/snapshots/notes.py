"""Notes in the repositories about what changed after the manifests were written (docs/format.md §3.10).

A verb marks the snapshot in its own transaction, and the note follows within seconds: whatever happens to the process,
the mark stays until the note is written. A note says everything that may have changed, so that only the latest
one counts; notes are numbered by the revisions of the mark, so that of two processes the slower one cannot win
with older facts.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from lamina.control.installation import Installation
from lamina.control.keys.records import KeyRecord
from lamina.control.keys.states import KeyState
from lamina.control.repositories import Place
from lamina.control.snapshots.annotations import annotate_change
from lamina.control.snapshots.records import GroupRecord, LockRecord, NoteRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.engine.manifest import Note, note_number
from lamina.engine.objects.store import ObjectExistsError
from lamina.engine.repository import Repository
from lamina.failures import LaminaError
from lamina.ids import SnapshotId
from lamina.telemetry import get_logger, log_failure

_LOGGER: Final = get_logger(__name__)
_AT_ONCE: Final = (
    500  # a change of many snapshots is noted over several runs, so that no store holds up the others
)


def write_notes(plant: Installation) -> None:
    """Note what changed. A repository that fails is logged, and its changes wait; the others are noted."""
    waiting: set[Place] = set()
    while True:
        changed = _list_changed(plant, waiting)
        stuck = {
            place for place, snapshot_ids in changed.items() if not _write_place(plant, place, snapshot_ids)
        }
        if not stuck or sum(map(len, changed.values())) < _AT_ONCE:
            return
        waiting |= (
            stuck  # otherwise theirs would be the first ones each time, and nobody else's turn would come
        )


def _list_changed(plant: Installation, waiting: Collection[Place]) -> Mapping[Place, Sequence[SnapshotId]]:
    """What changed, by repository. Changes whose key cannot be used now wait."""
    query = (
        select(SnapshotRecord.account_id, SnapshotRecord.region_id, SnapshotRecord.key_id, SnapshotRecord.id)
        .join(NoteRecord, NoteRecord.snapshot_id == SnapshotRecord.id)
        .outerjoin(KeyRecord, KeyRecord.id == SnapshotRecord.key_id)
        .where(
            NoteRecord.is_noted.is_(False),
            SnapshotRecord.state == SnapshotState.ACCOMPLISHED,
            SnapshotRecord.is_data_missing.is_(False),
            or_(SnapshotRecord.key_id.is_(None), KeyRecord.state == KeyState.ENABLED),
            *(~_is_in(place) for place in waiting),
        )
        .limit(_AT_ONCE)
    )
    found: dict[Place, list[SnapshotId]] = {}
    with plant.database.reading() as session:
        for account_id, region_id, key_id, snapshot_id in session.execute(query):
            place = Place(account_id=account_id, region_id=region_id, key_id=key_id)
            found.setdefault(place, []).append(snapshot_id)
    return found


def _is_in(place: Place) -> ColumnElement[bool]:
    return and_(
        SnapshotRecord.account_id == place.account_id,
        SnapshotRecord.region_id == place.region_id,
        SnapshotRecord.key_id.is_not_distinct_from(place.key_id),
    )


def _write_place(plant: Installation, place: Place, snapshot_ids: Sequence[SnapshotId]) -> bool:
    """Note changes in one repository; answers whether none of them has to wait."""
    try:
        repository = plant.repositories.find(place.account_id, place.region_id, place.key_id)
        if repository is None:
            return False  # its store is not the right one now; `compare` raises the alarm
        waiting = [each for each in snapshot_ids if not _write(plant, repository, each)]
    except LaminaError as failure:
        facts = {"account_id": place.account_id, "region_id": place.region_id, "key_id": place.key_id}
        log_failure(_LOGGER, "changes of snapshots could not be noted in their repository", failure, **facts)
        return False
    return not waiting


def _write(plant: Installation, repository: Repository, snapshot_id: SnapshotId) -> bool:
    """Note a change, or have it noted next time; False if the repository does not have the snapshot."""
    with plant.database.reading() as session:
        note = _describe(session, snapshot_id)
    if note is None:
        return True  # it is being deleted
    folder = repository.find_folder(snapshot_id)
    if folder is None:
        return False
    highest = note_number(folder.notes[-1]) if folder.notes else 0
    if highest >= note.number:
        # the rows come from a backup that is older than the repository
        _raise_revision(plant, snapshot_id, highest + 1)
        return True
    try:
        repository.put_note(folder, note)
    except ObjectExistsError:
        return True  # another process has just written it, and says so
    with plant.database.transaction() as session:
        row = session.get(NoteRecord, snapshot_id, with_for_update=True)
        if row is not None and row.revision == note.number:
            row.is_noted = True
    return True


def _describe(session: Session, snapshot_id: SnapshotId) -> Note | None:
    row, snapshot = session.get(NoteRecord, snapshot_id), session.get(SnapshotRecord, snapshot_id)
    if row is None or snapshot is None or snapshot.state is not SnapshotState.ACCOMPLISHED:
        return None
    group = session.get(GroupRecord, snapshot.group_id) if snapshot.group_id is not None else None
    group_tags = (
        list_tags(session, ResourceType.SNAPSHOT_GROUP, [group.id])[group.id] if group is not None else {}
    )
    annotations = annotate_change(
        snapshot,
        list_tags(session, ResourceType.SNAPSHOT, [snapshot_id])[snapshot_id],
        session.get(LockRecord, snapshot_id),
        group,
        group_tags,
    )
    return Note(number=row.revision, annotations=annotations)


def _raise_revision(plant: Installation, snapshot_id: SnapshotId, revision: int) -> None:
    with plant.database.transaction() as session:
        row = session.get(NoteRecord, snapshot_id, with_for_update=True)
        if row is not None:
            row.revision, row.is_noted = max(row.revision, revision), False
