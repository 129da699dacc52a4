"""CancelBulkExport: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.bulk_exports.cancel import cancel_bulk_export as cancel
from lamina.control.bulk_exports.errors import BulkExportEndedError, BulkExportNotFoundError
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import BulkExportId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelBulkExportRequest:
    """Parameters."""

    region_id: RegionId
    bulk_export_id: BulkExportId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelBulkExportAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(RegionNotFoundError, BulkExportNotFoundError, BulkExportEndedError),
    resource="bulk_export_id",
)
def cancel_bulk_export(_call: Call, scope: Scope, request: CancelBulkExportRequest) -> CancelBulkExportAnswer:
    """Cancel a bulk export: what is under way is undone, what is finished stays."""
    cancel(scope, request.bulk_export_id)
    return CancelBulkExportAnswer()
