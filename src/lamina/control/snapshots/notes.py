"""Notes in the repositories about what changed after the manifests were written (docs/format.md §3.10).

A verb marks the snapshot in its own transaction, and the note follows within seconds: whatever happens to the process,
the mark stays until the note is written. A note says everything that may have changed, so that only the latest
one counts; notes are numbered by the revisions of the mark, so that of two processes the slower one cannot win
with older facts.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import or_, select
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
    for place, snapshot_ids in _list_changed(plant).items():
        try:
            _write_place(plant, place, snapshot_ids)
        except LaminaError as failure:
            facts = {"account_id": place.account_id, "region_id": place.region_id, "key_id": place.key_id}
            log_failure(
                _LOGGER, "changes of snapshots could not be noted in their repository", failure, **facts
            )


def _list_changed(plant: Installation) -> Mapping[Place, Sequence[SnapshotId]]:
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
        )
        .order_by(SnapshotRecord.id)
        .limit(_AT_ONCE)
    )
    found: dict[Place, list[SnapshotId]] = {}
    with plant.database.reading() as session:
        for account_id, region_id, key_id, snapshot_id in session.execute(query):
            place = Place(account_id=account_id, region_id=region_id, key_id=key_id)
            found.setdefault(place, []).append(snapshot_id)
    return found


def _write_place(plant: Installation, place: Place, snapshot_ids: Sequence[SnapshotId]) -> None:
    repository = plant.repositories.find(place.account_id, place.region_id, place.key_id)
    if repository is None:
        return  # its store is not the right one now; `compare` raises the alarm
    for snapshot_id in snapshot_ids:
        _write(plant, repository, snapshot_id)


def _write(plant: Installation, repository: Repository, snapshot_id: SnapshotId) -> None:
    with plant.database.reading() as session:
        note = _describe(session, snapshot_id)
    folder = repository.find_folder(snapshot_id)
    if note is None or folder is None:
        return  # it is being deleted
    highest = note_number(folder.notes[-1]) if folder.notes else 0
    if highest >= note.number:
        # the rows come from a backup that is older than the repository
        _raise_revision(plant, snapshot_id, highest + 1)
        return
    try:
        repository.put_note(folder, note)
    except ObjectExistsError:
        return  # another process has just written it, and says so
    with plant.database.transaction() as session:
        row = session.get(NoteRecord, snapshot_id, with_for_update=True)
        if row is not None and row.revision == note.number:
            row.is_noted = True


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
