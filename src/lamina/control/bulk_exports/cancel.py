"""Cancel a bulk export."""

from lamina.control.bulk_exports.errors import BulkExportEndedError
from lamina.control.bulk_exports.items import Place
from lamina.control.bulk_exports.queries import get_bulk_export, list_items
from lamina.control.bulk_exports.records import BulkExportRecord, BulkItemRecord
from lamina.control.bulk_exports.states import BulkState, ItemState
from lamina.control.images.records import ImageRecord
from lamina.control.scope import Scope
from lamina.ids import BulkExportId
from lamina.tasks.queue import request_cancel


def cancel_bulk_export(scope: Scope, bulk_export_id: BulkExportId) -> None:
    """Have nothing new begun, and what is under way undone by its own task. What is finished stays.

    It is `Cancelled` when the last task has ended, which may still have come to its good end.

    Raises:
        BulkExportNotFoundError: the account has no such bulk export.
        BulkExportEndedError: it has ended, or is being cancelled already.
    """
    bulk = get_bulk_export(scope, bulk_export_id)
    if bulk.state is not BulkState.RUNNING:
        raise BulkExportEndedError(bulk.id, bulk.state)
    bulk.move_to(BulkState.CANCELLING)
    for item in list_items(scope.session, bulk.id):
        _cancel_item(scope, bulk, item)
    scope.session.flush()


def _cancel_item(scope: Scope, bulk: BulkExportRecord, item: BulkItemRecord) -> None:
    match item.state:
        case ItemState.WAITING | ItemState.READY:
            Place(scope=scope, bulk=bulk, item=item).end(ItemState.CANCELLED)
        case ItemState.CREATING:
            image = scope.session.get(ImageRecord, item.image_id)
            if image is not None and image.task_id is not None:
                request_cancel(scope.session, image.task_id)
        case ItemState.EXPORTING:
            assert item.export_task_id is not None, "an item that is exported has a task"
            request_cancel(scope.session, item.export_task_id)
        case _:
            pass
