"""A second snapshot of the same content in the same repository: no block is read and none is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lamina.engine.manifest import CaptureMode, Manifest
from lamina.engine.repository import Repository
from lamina.engine.sessions import SessionKind
from lamina.failures import Fault
from lamina.ids import SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateRequest:
    """What to duplicate, and what the manifest says of it.

    Attributes:
        original: the snapshot whose content it gets; it may go afterwards.
        snapshot_id: the id of the new snapshot.
        name: a name for people.
        tracking: identity of the content, for the next change hint.
        annotations: facts to keep in the manifest.
    """

    original: SnapshotId
    snapshot_id: SnapshotId
    name: str = ""
    tracking: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


def duplicate(repository: Repository, request: DuplicateRequest) -> Manifest:
    """Commit a snapshot with the block map of another one: a listing, a read and a write, however large the disk is.

    As a capture against that snapshot which finds no change. It takes part in the same protocol: the session is
    published before the original is read, so that no sweep and no compaction removes what the map reaches.

    Raises:
        SnapshotNotFoundError: the original does not exist.
        SnapshotExistsError: the id is taken, or a sweep gave this session up as dead.
        Corruption: the original's manifest is damaged.
        Fault: the store failed.
    """
    created_at = repository.clock.now()
    with repository.session(SessionKind.CAPTURE, request.snapshot_id) as session:
        manifest = replace(
            repository.read_manifest(request.original),
            snapshot_id=request.snapshot_id,
            name=request.name,
            created_at=created_at,
            parent=request.original,
            changed_bytes=0,
            stored_bytes=0,
            mode=CaptureMode.HINT,
            tracking=request.tracking,
            session=session.session_id,
            annotations=request.annotations,
        )
        try:
            repository.commit(manifest)
        except Fault:
            session.leave_unsettled()
            raise
    return manifest
