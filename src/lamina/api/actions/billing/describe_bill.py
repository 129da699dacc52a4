"""DescribeBill: an extension of Lamina."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.bill import BillLineShape, MonthShape, show_line, show_month
from lamina.api.spec import Kind, action
from lamina.control.billing.errors import BillNotFoundError
from lamina.control.billing.lines import BillLine
from lamina.control.billing.queries import get_bill
from lamina.control.metering.months import parse_month
from lamina.control.scope import Scope
from lamina.ids import RegionId

_LINES_MAX: Final = 1000

_Place = tuple[str, datetime, str, str, str]


def _check_month(text: str) -> str | None:
    try:
        parse_month(text)
    except ValueError as error:
        return str(error)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBillRequest:
    """Parameters; without a month, the present one."""

    region_id: RegionId | None = None
    month: str | None = param(default=None, check=_check_month, malformed=Code(400, "InvalidMonth.Malformed"))
    max_results: int | None = param(default=None, between=(1, _LINES_MAX))
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBillAnswer:
    """A month, and one page of its lines.

    Attributes:
        line_count: how many lines the bill has.
    """

    bill: MonthShape
    lines: tuple[BillLineShape, ...] = param(wire="Lines/Line")
    line_count: int
    next_token: str


@action(kind=Kind.READS, raises=(BillNotFoundError,), answers=(INVALID_TOKEN,))
def describe_bill(call: Call, scope: Scope, request: DescribeBillRequest) -> DescribeBillAnswer:
    """Show what a month costs, line by line; of the open month, what it costs so far."""
    month = None if request.month is None else parse_month(request.month)
    after = None
    if request.next_token is not None:
        raw = call.pager().unseal(request.next_token, request)
        after = msgspec.json.decode(raw, type=_Place)
    bill = get_bill(scope, call.services.tariff, month)
    lines = sorted(bill.lines, key=_place)  # an open month may get lines between two calls
    behind = [line for line in lines if after is None or _place(line) > after]
    shown = list(islice(behind, request.max_results or _LINES_MAX))
    return DescribeBillAnswer(
        bill=show_month(bill),
        lines=tuple(map(show_line, shown)),
        line_count=len(lines),
        next_token=_continue(call, request, shown) if len(shown) < len(behind) else "",
    )


def _place(line: BillLine) -> _Place:
    """Where a line stands: what is free behind what it is taken off."""
    kind = {"storage": "1", "free": "2"}[line.kind.value]
    return line.region_id, line.starts_at, kind, line.disk_id or "", line.storage_class.value


def _continue(call: Call, request: DescribeBillRequest, shown: Sequence[BillLine]) -> str:
    return call.pager().seal(msgspec.json.encode(_place(shown[-1])), request)
