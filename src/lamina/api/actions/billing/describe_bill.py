"""DescribeBill: an extension of Lamina."""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.bill import BillLineShape, MonthShape, show_line, show_month
from lamina.api.spec import Kind, action
from lamina.control.billing.errors import BillNotFoundError
from lamina.control.billing.lines import BillLine
from lamina.control.billing.queries import get_bill
from lamina.control.metering.months import name_month, parse_month
from lamina.control.scope import Scope
from lamina.ids import RegionId

_LINES_MAX: Final = 1000

_ANY_MONTH: Final = "any"

_Place = tuple[str, datetime, str, str, str]
_Token = tuple[str, _Place]
"""The month that is read, and where its next page begins: the present month may end between two pages."""


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
    name, after = request.month, None
    if request.next_token is not None:
        name, after = _read_token(call, request, request.next_token)
    bill = get_bill(scope, call.services.tariff, None if name is None else parse_month(name))
    lines = sorted(bill.lines, key=_place)  # an open month may get lines between two calls
    behind = [line for line in lines if after is None or _place(line) > after]
    shown = list(islice(behind, request.max_results or _LINES_MAX))
    token = (name_month(bill.month), _place(shown[-1])) if len(shown) < len(behind) else None
    return DescribeBillAnswer(
        bill=show_month(bill),
        lines=tuple(map(show_line, shown)),
        line_count=len(lines),
        next_token="" if token is None else call.pager().seal(msgspec.json.encode(token), _bind(request)),
    )


def _read_token(call: Call, request: DescribeBillRequest, token: str) -> _Token:
    raw = call.pager().unseal(token, _bind(request))
    month, after = msgspec.json.decode(raw, type=_Token)
    if request.month not in (None, month):
        raise ApiError(INVALID_TOKEN, f"NextToken was made for {month}; leave Month out, or start over")
    return month, after


def _bind(request: DescribeBillRequest) -> DescribeBillRequest:
    """What a token is for: whoever began without a month may go on with the one that was answered."""
    return replace(request, month=_ANY_MONTH)


def _place(line: BillLine) -> _Place:
    """Where a line stands: what is free behind what it is taken off."""
    kind = {"storage": "1", "free": "2"}[line.kind.value]
    return line.region_id, line.starts_at, kind, line.disk_id or "", line.storage_class.value
