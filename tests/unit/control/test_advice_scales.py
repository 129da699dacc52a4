"""What weighing costs: only what may save something is compared, no two snapshots twice, and not for ever."""

from datetime import UTC, datetime, timedelta

from lamina.control.advice.chains import Chain, Link
from lamina.control.advice.scales import Scales, rank_snapshots
from lamina.control.metering.records import StorageClass
from lamina.control.tariff.tariff import Tariff
from lamina.ids import DiskId, RegionId, SnapshotId
from lamina.units import GIB

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def make_chain(name, sizes):
    """A chain without any block that two of its snapshots share: deleting one saves all that it has."""
    links = tuple(
        Link(
            id=SnapshotId(f"{name}-{at}"),
            name=None,
            storage_class=StorageClass.STANDARD,
            incremental_bytes=size * GIB,
            exclusive_bytes=None,
            created_at=NOW + timedelta(hours=at),
            is_automatic=False,
            is_kept=False,
        )
        for at, size in enumerate(sizes)
    )
    return Chain(
        region_id=RegionId("cn-hangzhou"),
        disk_id=DiskId(name),
        key_id=None,
        has_disk=True,
        policy_id=None,
        links=links,
    )


class Store:
    """Compares, and remembers what; its clock goes on by one with each comparison."""

    def __init__(self, *chains, patience=1000):
        self.chains, self.compared = chains, []
        self.sizes = {link.id: link.incremental_bytes for chain in chains for link in chain.links}
        self.scales = Scales(
            chains, Tariff(), NOW, lambda _: self.compare, lambda: len(self.compared) >= patience
        )

    def compare(self, before, after):
        self.compared.append((before, after))
        return self.sizes[after]

    def rank(self, limit=20):
        return [each.link.id for each in rank_snapshots(self.chains, self.scales, limit)]


def test_snapshots_in_which_nothing_changed_are_not_compared():
    store = Store(make_chain("a", [7] + [0] * 50), make_chain("b", [0] * 50))
    assert store.rank() == ["a-0"]
    assert store.compared == [(None, "a-1")]


def test_two_snapshots_are_compared_once():
    store = Store(make_chain("a", [3, 2, 1]))
    for _ in range(3):
        store.scales.weigh({"a-0", "a-1"})
        assert store.rank() == ["a-0", "a-1", "a-2"]
    assert len(store.compared) == len(set(store.compared)) == 3


def test_when_the_time_is_over_the_best_so_far_are_told_and_the_rest_is_counted():
    chains = [make_chain(f"c{number:02}", [100 - number, 1, 1]) for number in range(30)]
    store = Store(*chains, patience=8)
    assert store.rank() == [f"c{number:02}-0" for number in range(8)]
    assert len(store.compared) == 8
    assert store.scales.count_unweighed == 30 * 3 - 8
    assert store.scales.weigh({"c29-0"}).saved_bytes == 0, "not even for the findings"
    assert len(store.compared) == 8
    assert store.scales.count_unweighed == 30 * 3 - 8, "nobody is counted twice"


def test_what_is_certain_without_a_comparison_is_told_also_when_the_time_is_over():
    store = Store(make_chain("a", [3, 2]), patience=0)
    assert store.scales.weigh({"a-0", "a-1"}).saved_bytes == 5 * GIB
    assert store.rank() == []
    assert store.scales.count_unweighed == 2
