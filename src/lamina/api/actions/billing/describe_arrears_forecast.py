"""DescribeArrearsForecast: an extension of Lamina."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.ledger import DepartureShape, show_departure
from lamina.api.spec import Kind, action
from lamina.control.arrears.facts import forecast
from lamina.control.arrears.plan import Departure
from lamina.control.scope import Scope
from lamina.ids import RegionId

_PAGE_MAX: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LAST: Final = 1 << 62

_Place = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeArrearsForecastRequest:
    """Parameters; the plan is of all regions together."""

    region_id: RegionId | None = None
    max_results: int | None = param(default=None, between=(1, _PAGE_MAX))
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeArrearsForecastAnswer:
    """One page of the plan: what goes first comes first, then what stays. Empty if nothing is ever due.

    Attributes:
        total_count: how long the plan is.
    """

    departures: tuple[DepartureShape, ...] = param(wire="Departures/Departure")
    total_count: int
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_arrears_forecast(
    call: Call, scope: Scope, request: DescribeArrearsForecastRequest
) -> DescribeArrearsForecastAnswer:
    """Tell what is deleted, when and why, if the account pays none of its bills, and what stays."""
    after: _Place | None = None
    if request.next_token is not None:
        after = msgspec.json.decode(call.pager().unseal(request.next_token, request), type=_Place)
    plan = forecast(scope.session, scope.account_id, scope.clock.now(), call.services.tariff.rules)
    behind = [each for each in plan if after is None or _place(each) > after]
    shown = behind[: request.max_results or _PAGE_MAX]
    token = ""
    if len(shown) < len(behind):
        token = call.pager().seal(msgspec.json.encode(_place(shown[-1])), request)
    return DescribeArrearsForecastAnswer(
        departures=tuple(map(show_departure, shown)), total_count=len(plan), next_token=token
    )


def _place(departure: Departure) -> _Place:
    """Where a line stands in the plan, also when others came or went between two calls."""
    at = departure.goes_at
    return _LAST if at is None else (at - _EPOCH) // _MICROSECOND, departure.id
