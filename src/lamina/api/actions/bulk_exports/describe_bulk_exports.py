"""DescribeBulkExports: an extension of Lamina."""

from dataclasses import dataclass
from typing import ClassVar

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.bulk_export import BulkExportShape, show_bulk_export
from lamina.api.spec import Kind, action
from lamina.control.bulk_exports.queries import list_bulk_exports
from lamina.control.bulk_exports.states import BulkState
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBulkExportsRequest:
    """Parameters."""

    region_id: RegionId
    status: str | None = param(default=None, choices=tuple(state.value for state in BulkState))
    max_results: int | None = None
    next_token: str | None = None
    page_number: ClassVar[None] = None
    page_size: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBulkExportsAnswer:
    """One page, newest first."""

    bulk_exports: tuple[BulkExportShape, ...] = param(wire="BulkExports/BulkExport")
    total_count: int
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_bulk_exports(
    call: Call, scope: Scope, request: DescribeBulkExportsRequest
) -> DescribeBulkExportsAnswer:
    """List bulk exports of the last 30 days and what became of their items."""
    pager = call.pager()
    wanted = pager.read(request)
    state = BulkState(request.status) if request.status is not None else None
    page = list_bulk_exports(scope, wanted, state)
    return DescribeBulkExportsAnswer(
        bulk_exports=tuple(show_bulk_export(view) for view in page.items),
        total_count=page.total_count,
        next_token=pager.describe(request, wanted, page).next_token,
    )
