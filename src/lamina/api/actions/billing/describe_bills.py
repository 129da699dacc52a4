"""DescribeBills: an extension of Lamina."""

from dataclasses import dataclass
from typing import ClassVar

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.bill import BillShape, show_bill
from lamina.api.spec import Kind, action
from lamina.control.billing.queries import list_bills
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBillsRequest:
    """Parameters; bills are of all regions together."""

    region_id: RegionId | None = None
    max_results: int | None = None
    next_token: str | None = None
    page_number: ClassVar[None] = None
    page_size: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBillsAnswer:
    """One page of bills, latest month first."""

    bills: tuple[BillShape, ...] = param(wire="Bills/Bill")
    total_count: int
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_bills(call: Call, scope: Scope, request: DescribeBillsRequest) -> DescribeBillsAnswer:
    """List the bills of the months that are closed."""
    pager = call.pager()
    wanted = pager.read(request)
    page = list_bills(scope, wanted)
    return DescribeBillsAnswer(
        bills=tuple(show_bill(each) for each in page.items),
        total_count=page.total_count,
        next_token=pager.describe(request, wanted, page).next_token,
    )
