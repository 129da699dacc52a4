"""DescribeLedger: an extension of Lamina."""

from dataclasses import dataclass
from typing import ClassVar

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.ledger import EntryShape, show_entry
from lamina.api.spec import Kind, action
from lamina.control.payments.queries import list_entries
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeLedgerRequest:
    """Parameters; the ledger is of all regions together."""

    region_id: RegionId | None = None
    max_results: int | None = None
    next_token: str | None = None
    page_number: ClassVar[None] = None
    page_size: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeLedgerAnswer:
    """One page of entries, latest first."""

    entries: tuple[EntryShape, ...] = param(wire="Entries/Entry")
    total_count: int
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_ledger(call: Call, scope: Scope, request: DescribeLedgerRequest) -> DescribeLedgerAnswer:
    """List what the account was charged, what it paid, and what was corrected."""
    pager = call.pager()
    wanted = pager.read(request)
    page = list_entries(scope, wanted)
    return DescribeLedgerAnswer(
        entries=tuple(show_entry(each) for each in page.items),
        total_count=page.total_count,
        next_token=pager.describe(request, wanted, page).next_token,
    )
