"""Notes: facts about a snapshot that changed after its manifest was written (docs/format.md §3.10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from lamina.engine.format import KIND_NOTE
from lamina.engine.manifest import SnapshotFolder, note_key, note_number
from lamina.engine.objects.store import ObjectMissingError
from lamina.engine.repository import Repository, create_only
from lamina.failures import Corruption
from lamina.ids import SnapshotId

_TRIES_WHILE_REPLACED: Final = 5


class _NoteBody(msgspec.Struct, frozen=True, kw_only=True):
    annotations: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is known of a snapshot beyond its manifest.

    Attributes:
        number: the highest number is the latest note, and the only one that counts.
        annotations: they take the place of those of the manifest with the same names.
    """

    number: int
    annotations: Mapping[str, str]


def put_note(repository: Repository, folder: SnapshotFolder, note: Note) -> None:
    """Write a note beside a manifest, and drop the notes before it.

    Args:
        repository: the repository.
        folder: the snapshot's, as it was listed since the facts were read.
        note: its number is higher than those in the folder.

    Raises:
        ObjectExistsError: somebody else wrote a note of this number at the same moment.
        Fault: the store failed.
    """
    key = note_key(folder.snapshot_id, note.number)
    body = msgspec.json.encode(_NoteBody(annotations=dict(note.annotations)))
    create_only(repository.store, key, repository.cipher.seal(KIND_NOTE, key, body))
    for old in folder.notes:
        repository.store.delete(old)


def find_note(repository: Repository, snapshot_id: SnapshotId) -> Note | None:
    """The note of a snapshot that exists; None if it has none.

    Raises:
        Corruption: it is damaged.
        Fault: the store failed.
    """
    for _ in range(_TRIES_WHILE_REPLACED):
        folder = repository.find_folder(snapshot_id)
        if folder is None or not folder.notes:
            return None
        try:
            return read_note(repository, folder.notes[-1])
        except ObjectMissingError:
            continue  # another one took its place since it was listed
    raise Corruption(f"the notes of snapshot {snapshot_id} keep vanishing from the store while they are read")


def read_note(repository: Repository, key: str) -> Note:
    """The note with this object key.

    Raises:
        ObjectMissingError: there is no such object.
        Corruption: it is damaged.
    """
    data = repository.cipher.open(KIND_NOTE, key, repository.store.get(key))
    try:
        body = msgspec.json.decode(data, type=_NoteBody)
    except msgspec.MsgspecError as error:
        raise Corruption(f"object {key!r} is damaged: {error}") from error
    return Note(number=note_number(key), annotations=body.annotations)
