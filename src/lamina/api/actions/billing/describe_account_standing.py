"""DescribeAccountStanding: an extension of Lamina."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.ledger import AccountEventShape, show_event
from lamina.api.spec import Kind, action
from lamina.control.payments.queries import get_position, list_events
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAccountStandingRequest:
    """Parameters; the page is one of the account's history."""

    region_id: RegionId | None = None
    max_results: int | None = None
    next_token: str | None = None
    page_number: ClassVar[None] = None
    page_size: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAccountStandingAnswer:
    """Where the account stands, what comes next if nothing is paid, and one page of its history, latest event first.

    Attributes:
        standing: normal, overdue, suspended or purging.
        overdue_time: since when payments are overdue, or from when on they will be; absent if nothing is ever due.
        suspended_time: when the snapshot service is suspended, or was.
        purge_time: when everything goes that nothing holds, or since when it does.
        total_count: how many events there are.
    """

    standing: str
    overdue_time: datetime | None
    suspended_time: datetime | None
    purge_time: datetime | None
    events: tuple[AccountEventShape, ...] = param(wire="Events/Event")
    total_count: int
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_account_standing(
    call: Call, scope: Scope, request: DescribeAccountStandingRequest
) -> DescribeAccountStandingAnswer:
    """Show whether payments are overdue, what follows and when, and what was deleted for it."""
    pager = call.pager()
    wanted = pager.read(request)
    page = list_events(scope, wanted)
    position = get_position(scope.session, scope.account_id, scope.clock.now(), call.services.tariff.rules)
    course = position.course
    return DescribeAccountStandingAnswer(
        standing=position.standing.value,
        overdue_time=None if course is None else course.overdue_at,
        suspended_time=None if course is None else course.suspended_at,
        purge_time=None if course is None else course.purging_at,
        events=tuple(show_event(each) for each in page.items),
        total_count=page.total_count,
        next_token=pager.describe(request, wanted, page).next_token,
    )
