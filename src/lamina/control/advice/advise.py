"""Advice on fees: the snapshots whose deletion saves most, and what nobody seems to need.

What a deletion saves is the difference of two bills. Weighing a snapshot reads block maps, in time proportional to
what its neighbours differ by; so those that cannot get among the best, because they and the next one together are
billed for less, are not weighed. And whoever asks waits for an answer: what there is no time for is counted.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from lamina.clock import Clock, SystemClock
from lamina.control.advice.chains import Chain, Gap
from lamina.control.advice.cost import show_amount
from lamina.control.advice.errors import RepositoryMissingError
from lamina.control.advice.findings import Finding, find_waste
from lamina.control.advice.read import measure_gap, read_chains, read_unused_images
from lamina.control.advice.scales import RankedSnapshot, Saving, Scales, rank_snapshots
from lamina.control.keys.queries import require_enabled
from lamina.control.repositories import Repositories
from lamina.control.tariff.tariff import Tariff
from lamina.database import Database
from lamina.ids import AccountId

IDLE: Final = timedelta(days=30)
"""For how long nothing must have happened with what nobody seems to need."""

_PATIENCE_SECONDS: Final = 20.0  # clients give up after 60, and reading the rows comes first


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedFinding:
    """What nobody seems to need, and what deleting it would save."""

    finding: Finding
    saving: Saving


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What an account may do about its fees.

    Attributes:
        monthly: what its snapshots cost in a month as they are now.
        snapshots: those whose deletion saves most, each by itself, best first.
        findings: what nobody seems to need, best first.
        total: what following all findings saves; some have snapshots in common.
        unweighed: snapshots that could not be weighed: their key is disabled, they were deleted meanwhile, or there
            was no time for them.
    """

    currency: str
    monthly: Decimal
    snapshots: tuple[RankedSnapshot, ...]
    findings: tuple[RankedFinding, ...]
    total: Saving
    unweighed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where advice comes from."""

    database: Database
    repositories: Repositories
    tariff: Tariff
    clock: Clock = field(default_factory=SystemClock)


def advise(
    sources: Sources, account_id: AccountId, now: datetime, *, idle: timedelta = IDLE, limit: int = 20
) -> Advice:
    """What an account may do about its fees. Changes nothing.

    Args:
        sources: where it comes from.
        account_id: whose snapshots, of all regions.
        now: the present.
        idle: for how long nothing must have happened with what nobody seems to need.
        limit: how many snapshots are ranked.

    Raises:
        Fault: the database or a store failed.
    """
    clock, deadline = sources.clock, sources.clock.monotonic() + _PATIENCE_SECONDS
    with sources.database.reading() as session:
        chains = read_chains(session, account_id, now)
        images = read_unused_images(session, account_id, now)
    scales = Scales(
        chains,
        sources.tariff,
        now,
        partial(_open_gap, sources, account_id),
        lambda: clock.monotonic() > deadline,
    )
    findings = find_waste(chains, images, now, idle)
    ranked = [RankedFinding(finding=each, saving=scales.weigh(each.snapshot_ids)) for each in findings]
    return Advice(
        currency=sources.tariff.prices.currency,
        monthly=show_amount(scales.monthly),
        snapshots=rank_snapshots(chains, scales, limit),
        findings=tuple(sorted(ranked, key=lambda each: (-each.saving.amount, each.finding.subject))),
        total=scales.weigh({each for finding in findings for each in finding.snapshot_ids}),
        unweighed=scales.count_unweighed,
    )


def _open_gap(sources: Sources, account_id: AccountId, chain: Chain) -> Gap:
    """How the snapshots of a chain are compared.

    Raises:
        Refusal: the key is disabled, or nothing was ever stored.
        Fault: the store failed.
    """
    with sources.database.reading() as session:
        require_enabled(session, chain.key_id)
    repository = sources.repositories.find(account_id, chain.region_id, chain.key_id)
    if repository is None:
        raise RepositoryMissingError(chain.region_id)
    return partial(measure_gap, repository)
