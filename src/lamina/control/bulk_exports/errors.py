"""Refusals about bulk exports."""

from lamina.control.bulk_exports.states import BulkState
from lamina.failures import Refusal
from lamina.ids import BulkExportId


class BulkExportNotFoundError(Refusal):
    """The account has no such bulk export."""

    def __init__(self, bulk_export_id: BulkExportId) -> None:
        super().__init__(f"there is no bulk export {bulk_export_id}")
        self.bulk_export_id = bulk_export_id


class BulkExportEndedError(Refusal):
    """The bulk export has ended, or is being cancelled already."""

    def __init__(self, bulk_export_id: BulkExportId, state: BulkState) -> None:
        super().__init__(f"bulk export {bulk_export_id} is {state.value}, so there is nothing to cancel")
        self.bulk_export_id = bulk_export_id
        self.state = state


class BulkSourceMissingError(Refusal):
    """Nothing is named that could be exported."""

    def __init__(self) -> None:
        super().__init__("name what is to be exported: InstanceId.N, SnapshotId.N or ImageId.N")


class BulkItemQuotaError(Refusal):
    """More items than a bulk export may have."""

    def __init__(self, count: int, maximum: int) -> None:
        super().__init__(f"{count} items are too many for one bulk export; at most {maximum} are taken")
        self.maximum = maximum


class BulkConcurrencyError(Refusal):
    """More items at once than are worked on at once."""

    def __init__(self, wanted: int, maximum: int) -> None:
        super().__init__(f"1 to {maximum} items are worked on at once, not {wanted}")
        self.maximum = maximum


class BulkExportQuotaError(Refusal):
    """As many bulk exports are under way in the region as may be."""

    def __init__(self, maximum: int) -> None:
        super().__init__(
            f"{maximum} bulk exports are under way in this region, the most allowed; wait for one"
        )
        self.maximum = maximum
