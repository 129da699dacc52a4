"""The task that copies a snapshot into the repository of another region.

The blocks are read and authenticated from the one repository and captured into the other, which has keys and ids of
its own. Blocks that the other one has are not stored again, so an interrupted copy goes on where it stopped. When an
earlier snapshot of the disk was copied there before, only what differs from it is read.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from lamina.control.installation import Installation
from lamina.control.snapshots.annotations import annotate_copy
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import remove_data
from lamina.control.snapshots.settle import Copied, find_manifest, measure, settle_failure, settle_success
from lamina.control.snapshots.states import SnapshotState
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.engine.manifest import Manifest
from lamina.engine.repository import Repository, SnapshotNotFoundError
from lamina.failures import Corruption, Fault
from lamina.ids import AccountId, RegionId, SnapshotId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import COPY, Step, TaskKind
from lamina.transfer.capture import CaptureRequest, ChangeHint, capture
from lamina.transfer.progress import Progress
from lamina.transfer.snapshot_source import SnapshotSource

_COPY: Final = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyArguments:
    """Which snapshot, and where to; `snapshot_id` is the copy's."""

    account_id: AccountId
    source_region_id: RegionId
    source_id: SnapshotId
    region_id: RegionId
    snapshot_id: SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """An earlier snapshot of the disk that both regions have.

    Attributes:
        source_id: in the region of the original.
        copy_id: in the region of the copy.
    """

    source_id: SnapshotId
    copy_id: SnapshotId


def _copy(plant: Installation, task: CopyArguments, context: StepContext) -> None:
    target = plant.repositories.ensure(task.account_id, task.region_id)
    manifest = find_manifest(target, task.snapshot_id)
    if manifest is None:
        _capture(plant, target, task, context)
        manifest = target.read_manifest(task.snapshot_id)
    context.save(measure(manifest, tracking=None))


def _uncopy(plant: Installation, task: CopyArguments, _context: StepContext) -> None:
    remove_data(plant, task.account_id, task.region_id, task.snapshot_id)


def _settle(plant: Installation, session: Session, task: CopyArguments, outcome: Outcome) -> None:
    copy = session.get(SnapshotRecord, task.snapshot_id)
    if copy is None:
        return
    if outcome.failure is None:
        copied = outcome.checkpoints.load(_COPY, Copied)
        assert copied is not None, "the copy saves its outcome"
        settle_success(session, plant.clock, copy, copied)
    else:
        settle_failure(session, plant.clock, copy, outcome.failure)


COPY_SNAPSHOT: Final = TaskKind(
    name="copy-snapshot",
    arguments=CopyArguments,
    lane=COPY,
    steps=(Step(name=_COPY, run=_copy, undo=_uncopy),),
    settle=_settle,
)


def _capture(plant: Installation, target: Repository, task: CopyArguments, context: StepContext) -> None:
    origin, original = _open_original(plant, task)
    base = _find_base(plant, task)
    name, annotations = _describe(plant, task, original)
    progress = Progress()

    def read() -> tuple[int, int]:
        reading = progress.read()
        return reading.done_bytes, reading.known_bytes

    try:
        with (
            SnapshotSource(origin, task.source_id, since=base.source_id if base else None) as source,
            context.following(read, progress.cancel),
        ):
            hint = ChangeHint(relative_to=base.source_id, extents=source.list_changed()) if base else None
            request = CaptureRequest(
                snapshot_id=task.snapshot_id,
                name=name,
                parent=base.copy_id if base else None,
                hint=hint,
                tracking=task.source_id,
                annotations=annotations,
                workers=plant.settings.workers,
                zstd_level=plant.settings.zstd_level,
            )
            capture(target, source, request, progress)
    except SnapshotNotFoundError as error:
        # deleted since we chose it; the next attempt chooses another one
        raise Fault(f"the snapshot to compare with was deleted: {error}", retryable=True) from error
    finally:
        context.check()  # a cancelled pipeline stopped for one of three reasons: say which


def _open_original(plant: Installation, task: CopyArguments) -> tuple[Repository, Manifest]:
    origin = plant.repositories.find(task.account_id, task.source_region_id)
    try:
        if origin is not None:
            return origin, origin.read_manifest(task.source_id)
    except SnapshotNotFoundError as error:
        raise Corruption(f"the data of snapshot {task.source_id} is gone from its repository") from error
    raise Corruption(
        f"the data of snapshot {task.source_id} is gone: region {task.source_region_id} has no repository"
    )


def _find_base(plant: Installation, task: CopyArguments) -> _Base | None:
    """The latest snapshot of the chain, before the one to copy, that was copied to the region already."""
    earlier, copy, original = aliased(SnapshotRecord), aliased(SnapshotRecord), aliased(SnapshotRecord)
    query = (
        select(earlier.id, copy.id)
        .join(copy, copy.source_snapshot_id == earlier.id)
        .join(original, original.disk_id == earlier.disk_id)
        .where(
            original.id == task.source_id,
            earlier.account_id == task.account_id,
            earlier.region_id == task.source_region_id,
            earlier.state == SnapshotState.ACCOMPLISHED,
            earlier.is_data_missing.is_(False),
            earlier.created_at < original.created_at,
            copy.account_id == task.account_id,
            copy.region_id == task.region_id,
            copy.state == SnapshotState.ACCOMPLISHED,
            copy.is_data_missing.is_(False),
        )
        .order_by(earlier.created_at.desc(), copy.id)
        .limit(1)
    )
    with plant.database.reading() as session:
        found = session.execute(query).one_or_none()
    return _Base(source_id=found[0], copy_id=found[1]) if found is not None else None


def _describe(plant: Installation, task: CopyArguments, original: Manifest) -> tuple[str, dict[str, str]]:
    with plant.database.reading() as session:
        copy = session.get(SnapshotRecord, task.snapshot_id)
        assert copy is not None, "a snapshot's row outlives its task"
        tags = list_tags(session, ResourceType.SNAPSHOT, [copy.id])[copy.id]
        return copy.name or "", annotate_copy(copy, original.annotations, tags)
