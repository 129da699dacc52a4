"""Weighing: what deleting snapshots takes off a month's fees, and which of them take off most."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Final

from lamina.control.advice.chains import Chain, Gap, Link, Weights, weigh, weigh_pair
from lamina.control.advice.cost import Rates, replace_weights
from lamina.control.advice.errors import NoTimeError
from lamina.control.metering.records import StorageClass
from lamina.control.tariff.tariff import Tariff
from lamina.failures import Corruption, Refusal
from lamina.ids import RegionId, SnapshotId

_NOBODY: Final[frozenset[SnapshotId]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What a deletion saves.

    Attributes:
        saved_bytes: billed bytes that go; not those that move to the next snapshot.
        amount: what they cost in a month, as far as they are not free.
    """

    saved_bytes: int
    amount: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedSnapshot:
    """A snapshot that can be deleted, and what that would save."""

    chain: Chain
    link: Link
    saving: Saving


class Scales:
    """Weighs deletions against what an account has now.

    Args:
        chains: all of the account's.
        tariff: prices and rules.
        now: those of this instant count.
        open_gap: answers how the snapshots of a chain are compared; called when that is needed.
        is_over: whether it takes too long already: from then on nothing more is compared.

    Attributes:
        is_over: as given.
        unweighed: the chains, by their place, that could not be weighed when that was tried; they save nothing.
        passed_over: snapshots for whose weighing there was no time.
    """

    def __init__(
        self,
        chains: Sequence[Chain],
        tariff: Tariff,
        now: datetime,
        open_gap: Callable[[Chain], Gap],
        is_over: Callable[[], bool],
    ) -> None:
        self._chains = chains
        self._place = {link.id: at for at, chain in enumerate(chains) for link in chain.links}
        self._weights = [_weigh_as_it_is(chain) for chain in chains]
        self._open_gap = open_gap
        self._gaps: dict[int, _LazyGap] = {}
        self.is_over = is_over
        self._totals: defaultdict[RegionId, Counter[StorageClass]] = defaultdict(Counter)
        for chain, weights in zip(chains, self._weights, strict=True):
            self._totals[chain.region_id].update(weights)
        self._rates = {region_id: Rates.at(tariff, region_id, now) for region_id in self._totals}
        self._costs = {each: self._rates[each].charge_month(total) for each, total in self._totals.items()}
        self.unweighed: set[int] = set()
        self.passed_over: frozenset[SnapshotId] = frozenset()

    @property
    def count_unweighed(self) -> int:
        """Snapshots of which nothing can be said."""
        return len(
            self.passed_over.union(link.id for at in self.unweighed for link in self._chains[at].links)
        )

    @property
    def monthly(self) -> Fraction:
        """What everything costs in a month as it is."""
        return sum(self._costs.values(), Fraction(0))

    def weigh(self, gone: Collection[SnapshotId]) -> Saving:
        """What deleting these snapshots together saves.

        Raises:
            Fault: a store failed.
        """
        touched: defaultdict[RegionId, set[int]] = defaultdict(set)
        for at in {self._place[each] for each in gone if each in self._place}:
            touched[self._chains[at].region_id].add(at)
        saved_bytes, amount = 0, Fraction(0)
        for region_id, places in touched.items():
            total: Weights = self._totals[region_id]
            for at in places:
                after = self._weigh_chain(at, gone)
                total = replace_weights(total, self._weights[at], after)
            saved_bytes += sum(self._totals[region_id].values()) - sum(total.values())
            amount += self._costs[region_id] - self._rates[region_id].charge_month(total)
        return Saving(saved_bytes=saved_bytes, amount=amount)

    def limit(self, chain: Chain, at: int) -> Fraction:
        """Deleting one snapshot of a chain never saves more than this."""
        return self._rates[chain.region_id].charge_paid(weigh_pair(chain, at))

    def _weigh_chain(self, at: int, gone: Collection[SnapshotId]) -> Weights:
        chain = self._chains[at]
        if at not in self.unweighed:
            gap = self._gaps.setdefault(at, _LazyGap(chain, self._open_gap, self.is_over))
            try:
                return weigh(chain, gone, gap)
            except (Refusal, Corruption):
                # its key is disabled, it is deleted at this moment, it is damaged, or there is no time
                self.unweighed.add(at)
        return self._weights[at]


class _LazyGap:
    """Compares the snapshots of a chain, two of them once; opens what is needed for it at the first comparison."""

    def __init__(self, chain: Chain, open_gap: Callable[[Chain], Gap], is_over: Callable[[], bool]) -> None:
        self._chain = chain
        self._open_gap = open_gap
        self._is_over = is_over
        self._gap: Gap | None = None
        self._known: dict[tuple[SnapshotId | None, SnapshotId], int] = {}

    def __call__(self, before: SnapshotId | None, after: SnapshotId) -> int:
        found = self._known.get((before, after))
        if found is None:
            if self._is_over():
                raise NoTimeError
            if self._gap is None:
                self._gap = self._open_gap(self._chain)
            found = self._known[before, after] = self._gap(before, after)
        return found


def rank_snapshots(chains: Sequence[Chain], scales: Scales, limit: int) -> tuple[RankedSnapshot, ...]:
    """The snapshots that can be deleted and whose deletion saves most, best first; what saves nothing is left out.

    Weighing reads block maps. What cannot get among the best, because the snapshot and the next one together cost
    less, is not weighed; neither is what comes when there is no time left.
    """
    best: list[RankedSnapshot] = []
    candidates = sorted(_list_candidates(chains, scales), key=lambda each: (-each[0], each[2].id))
    for at, (bound, chain, link) in enumerate(candidates):
        if len(best) == limit and best[-1].saving.amount >= bound:
            break
        if scales.is_over():
            scales.passed_over = frozenset(other.id for _, _, other in candidates[at:])
            break
        saving = scales.weigh({link.id})
        if saving.amount > 0:
            best.append(RankedSnapshot(chain=chain, link=link, saving=saving))
            best.sort(key=lambda each: (-each.saving.amount, each.link.id))
            del best[limit:]
    return tuple(best)


def _list_candidates(chains: Sequence[Chain], scales: Scales) -> Iterator[tuple[Fraction, Chain, Link]]:
    for chain in chains:
        for at, link in enumerate(chain.links):
            bound = Fraction(0) if link.is_kept else scales.limit(chain, at)
            if bound > 0:  # it may save something
                yield bound, chain, link


def _weigh_as_it_is(chain: Chain) -> Mapping[StorageClass, int]:
    def never(_before: SnapshotId | None, _after: SnapshotId) -> int:
        raise AssertionError("nothing is gone")

    return weigh(chain, _NOBODY, never)
