"""DescribeBulkExport: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.shapes.bulk_export import BulkExportShape, BulkItemShape, show_bulk_export, show_bulk_item
from lamina.api.spec import Kind, action
from lamina.control.bulk_exports.errors import BulkExportNotFoundError
from lamina.control.bulk_exports.queries import get_bulk_export, measure_all, view_bulk_export, view_items
from lamina.control.scope import Scope
from lamina.ids import BulkExportId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBulkExportRequest:
    """Parameters."""

    region_id: RegionId
    bulk_export_id: BulkExportId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBulkExportAnswer:
    """The bulk export, how much of it is done in percent, and each of its items in order."""

    bulk_export: BulkExportShape
    progress: int
    items: tuple[BulkItemShape, ...] = param(wire="Items/Item")


@action(kind=Kind.READS, raises=(BulkExportNotFoundError,), resource="bulk_export_id")
def describe_bulk_export(
    _call: Call, scope: Scope, request: DescribeBulkExportRequest
) -> DescribeBulkExportAnswer:
    """Show a bulk export: how far each item has come, what it left in the bucket, and what failed."""
    bulk = get_bulk_export(scope, request.bulk_export_id)
    items = view_items(scope, bulk)
    return DescribeBulkExportAnswer(
        bulk_export=show_bulk_export(view_bulk_export(bulk, items)),
        progress=measure_all(items),
        items=tuple(show_bulk_item(view) for view in items),
    )
