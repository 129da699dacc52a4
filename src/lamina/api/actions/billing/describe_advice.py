"""DescribeAdvice: an extension of Lamina."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.shapes.advice import FindingShape, RankedSnapshotShape, show_finding, show_ranked
from lamina.api.spec import Kind, action
from lamina.control.advice.advise import IDLE, Sources, advise
from lamina.control.advice.cost import show_amount
from lamina.ids import RegionId

_RANKED: Final = 20
_RANKED_MAX: Final = 100
_IDLE_DAYS_MAX: Final = 3650


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAdviceRequest:
    """Parameters; advice is about all regions together.

    Attributes:
        idle_days: for so long nothing must have happened with what nobody seems to need.
        max_results: how many snapshots are ranked.
    """

    region_id: RegionId | None = None
    idle_days: int = param(default=IDLE.days, between=(1, _IDLE_DAYS_MAX))
    max_results: int = param(default=_RANKED, between=(1, _RANKED_MAX))


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAdviceAnswer:
    """What the account may do about its fees.

    Attributes:
        monthly_cost: what its snapshots cost in a month as they are now.
        total_saving: what following all findings saves in a month; some may have snapshots in common.
        snapshots: those whose deletion saves most, each by itself.
        unweighed_count: snapshots of which nothing can be said, because their key is disabled, or there was no time.
    """

    currency: str
    monthly_cost: str
    total_saving: str
    total_saved_bytes: int
    unweighed_count: int
    snapshots: tuple[RankedSnapshotShape, ...] = param(wire="Snapshots/Snapshot")
    findings: tuple[FindingShape, ...] = param(wire="Findings/Finding")


@action(kind=Kind.READS_DATA)
def describe_advice(call: Call, request: DescribeAdviceRequest) -> DescribeAdviceAnswer:
    """Tell which snapshots to delete, what that would really save, and what nobody seems to need."""
    services = call.services
    sources = Sources(
        database=services.database,
        repositories=services.repositories,
        tariff=services.tariff,
        clock=services.clock,
    )
    advice = advise(
        sources,
        call.key.account_id,
        services.clock.now(),
        idle=timedelta(days=request.idle_days),
        limit=request.max_results,
    )
    return DescribeAdviceAnswer(
        currency=advice.currency,
        monthly_cost=f"{advice.monthly:f}",
        total_saving=f"{show_amount(advice.total.amount):f}",
        total_saved_bytes=advice.total.saved_bytes,
        unweighed_count=advice.unweighed,
        snapshots=tuple(map(show_ranked, advice.snapshots)),
        findings=tuple(map(show_finding, advice.findings)),
    )
