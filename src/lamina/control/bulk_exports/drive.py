"""What carries bulk exports on: a job that looks at their rows every second, and holds no worker while it waits.

It does what can be done now for each item (see `items`) and leaves the rest to its next run: the work itself is done
by the tasks that make and export images. It knows nothing that is not in the rows, so that a service which died goes
on where it was, and several services on one database do not get in one another's way.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.buckets.errors import BucketNotFoundError, ObjectNotFoundError
from lamina.control.bulk_exports.items import (
    Place,
    begin,
    export,
    look_at_export,
    look_at_image,
    note_refusal,
    remove_image,
)
from lamina.control.bulk_exports.records import BulkExportRecord, BulkItemRecord, ExportedObject
from lamina.control.bulk_exports.states import UNDER_WAY, UNFINISHED, BulkState, ItemState
from lamina.control.images.exporting import ExportArguments, name_object
from lamina.control.images.records import ImageRecord
from lamina.control.installation import Installation
from lamina.failures import LaminaError, Refusal
from lamina.ids import AccountId, BulkExportId, RegionId
from lamina.tasks.queue import is_active
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import TaskState
from lamina.telemetry import get_logger, log_failure

_LOGGER: Final = get_logger(__name__)


def drive_bulk_exports(plant: Installation) -> None:
    """Carry every bulk export on as far as it goes now. One that fails is logged; the others are carried on."""
    with plant.database.reading() as session:
        query = select(BulkExportRecord).where(BulkExportRecord.state.in_(UNFINISHED))
        found = session.scalars(query.order_by(BulkExportRecord.created_at, BulkExportRecord.id)).all()
    for bulk in found:
        _carry_on(_Drive(plant=plant, bulk_id=bulk.id, account_id=bulk.account_id, region_id=bulk.region_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drive:
    """One look at one bulk export."""

    plant: Installation
    bulk_id: BulkExportId
    account_id: AccountId
    region_id: RegionId

    @contextmanager
    def writing(self, number: int) -> Iterator[Place]:
        """An item as it is now, in a transaction."""
        with self.plant.database.transaction(of=self.account_id) as session:
            bulk = session.get_one(BulkExportRecord, self.bulk_id)
            item = session.get_one(BulkItemRecord, (self.bulk_id, number))
            scope = self.plant.scope(session, self.account_id, self.region_id)
            yield Place(scope=scope, bulk=bulk, item=item)

    def list_items(self, session: Session) -> Sequence[BulkItemRecord]:
        """All its items, in order."""
        query = select(BulkItemRecord).where(BulkItemRecord.bulk_export_id == self.bulk_id)
        return session.scalars(query.order_by(BulkItemRecord.number)).all()


def _carry_on(drive: _Drive) -> None:
    """What is under way goes on first, so that what waits gets its room."""
    with drive.plant.database.reading() as session:
        items = drive.list_items(session)
    for item in items:
        if item.state in UNDER_WAY or item.is_removal_due:
            _advance(drive, item.number)
    with drive.plant.database.reading() as session:
        bulk = session.get_one(BulkExportRecord, drive.bulk_id)
        items = drive.list_items(session)
    room = bulk.concurrency - sum(item.state in UNDER_WAY for item in items)
    for item in items:
        if room > 0 and item.state is ItemState.WAITING:
            room -= _advance(drive, item.number)
    _end(drive)


def _advance(drive: _Drive, number: int) -> bool:
    """Take an item as far as it goes now; answers whether it is under way then."""
    try:
        while _step(drive, number):
            pass
    except LaminaError as failure:
        facts = {"bulk_export_id": drive.bulk_id, "number": number}
        log_failure(_LOGGER, "an item of a bulk export could not be carried on", failure, **facts)
    with drive.plant.database.reading() as session:
        return session.get_one(BulkItemRecord, (drive.bulk_id, number)).state in UNDER_WAY


def _step(drive: _Drive, number: int) -> bool:
    """One step of an item; answers whether there may be another one now."""
    seen = _look(drive, number)
    if seen is None:
        return False
    try:
        with drive.writing(number) as place:
            return _act(place, seen)
    except Refusal as refused:
        with drive.writing(number) as place:
            return place.item.state is not seen.state or note_refusal(place, refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """An item that can be acted upon.

    Attributes:
        state: its state.
        stored: what its export left in the bucket, if that has succeeded.
    """

    state: ItemState
    stored: tuple[ExportedObject, ...] | None = None


def _look(drive: _Drive, number: int) -> _Seen | None:
    """What there is to act upon; None while a task is at work for the item, or when all is done.

    Raises:
        Fault: the bucket service failed.
    """
    with drive.plant.database.reading() as session:
        item = session.get_one(BulkItemRecord, (drive.bulk_id, number))
        if item.state.has_ended and not item.is_removal_due:
            return None
        if item.state is ItemState.CREATING:
            image = session.get(ImageRecord, item.image_id)
            return None if image and is_active(session, image.task_id) else _Seen(state=item.state)
        if item.state is not ItemState.EXPORTING:
            return _Seen(state=item.state)
        if is_active(session, item.export_task_id):
            return None
        task = session.get(TaskRecord, item.export_task_id)
    if task is None or task.state is not TaskState.SUCCEEDED:
        return _Seen(state=item.state)
    return _Seen(state=item.state, stored=tuple(_list_stored(drive, task)))


def _list_stored(drive: _Drive, task: TaskRecord) -> Iterator[ExportedObject]:
    """The objects that an export made, but for those that its owner has deleted since."""
    arguments = msgspec.json.decode(task.arguments, type=ExportArguments)
    service = drive.plant.buckets.service(drive.region_id)
    for index in range(len(arguments.disks)):
        try:
            found = service.stat(arguments.bucket, name_object(arguments, task.id, index))
        except (ObjectNotFoundError, BucketNotFoundError):
            continue
        yield ExportedObject(key=found.key, size_bytes=found.size_bytes, etag=found.etag)


def _act(place: Place, seen: _Seen) -> bool:
    match place.item.state:
        case ItemState.WAITING:
            return begin(place)
        case ItemState.CREATING:
            return look_at_image(place)
        case ItemState.READY:
            return export(place)
        case ItemState.EXPORTING:
            return look_at_export(place, seen.stored)
        case _:
            return place.item.is_removal_due and remove_image(place)


def _end(drive: _Drive) -> None:
    """Note that all is done, if it is."""
    with drive.plant.database.reading() as session:
        items = drive.list_items(session)
    if not all(item.state.has_ended and not item.is_removal_due for item in items):
        return
    with drive.plant.database.transaction(of=drive.account_id) as session:
        bulk = session.get_one(BulkExportRecord, drive.bulk_id)
        if bulk.state not in UNFINISHED:
            return
        is_cancelled = any(item.state is ItemState.CANCELLED for item in items)
        bulk.move_to(BulkState.CANCELLED if is_cancelled else BulkState.FINISHED)
        bulk.finished_at = drive.plant.clock.now()
