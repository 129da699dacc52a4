"""Counting the exact sizes of snapshots, behind the changes of their chains.

Several hosts may count at once, each with a cache of its own (`engine.maintenance.sizes`), and each writes what its own
says. So that none has the last word with an old view: whoever changes a size in a row of a chain that was counted
gives the chain another revision. Then every host counts it once more, until nobody finds anything to change.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.installation import Installation
from lamina.control.keys.records import KeyRecord
from lamina.control.keys.states import KeyState
from lamina.control.snapshots.chain import meter_snapshot, sum_up_sizes
from lamina.control.snapshots.records import ChainRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.engine.maintenance.sizes import SizeIndex, SizesBusyError, SnapshotSizes
from lamina.engine.repository import Repository, SnapshotNotFoundError
from lamina.engine.sessions import SessionKind
from lamina.failures import Corruption, LaminaError
from lamina.ids import AccountId, DiskId, KeyId, RegionId, SnapshotId
from lamina.telemetry import get_logger, log, log_failure

_LOGGER: Final = get_logger(__name__)
_BATCH: Final = 500  # chains or ids in one statement


class _Chain(NamedTuple):
    """A chain as it was when the count began."""

    disk_id: DiskId
    revision: int
    is_counted: bool


@dataclass(slots=True, kw_only=True)
class _Cache:
    """What this host knows of one repository.

    Attributes:
        key_id: the key of the repository.
        known: the chains that were looked at, each with its revision then.
        is_reading: sweeps know that the repository is being read.
    """

    key_id: KeyId | None
    repository: Repository
    index: SizeIndex
    known: dict[str, int]
    is_reading: bool = False

    def is_stale(self, chain: _Chain) -> bool:
        """Whether a chain has to be looked at: also one that another host counted since this one did."""
        return not chain.is_counted or self.known.get(chain.disk_id) != chain.revision


_Listing = Mapping[tuple[DiskId, KeyId | None], Sequence[SnapshotId]]
"""Snapshots whose data can be read, by their disks and keys, the oldest first."""

_Sizes = dict[SnapshotId, SnapshotSizes]


def count_sizes(plant: Installation) -> None:
    """Count every chain that changed since it was counted, and write the sizes into the rows.

    A repository that fails is logged, and its chains wait; the others are counted. Snapshots whose key cannot be used
    now keep the sizes that they have.
    """
    for account_id, region_id in _list_places(plant):
        with ExitStack() as stack:
            _CountOfPlace(plant, account_id, region_id, stack).run()


def _list_places(plant: Installation) -> Sequence[tuple[AccountId, RegionId]]:
    query = select(ChainRecord.account_id, ChainRecord.region_id).where(ChainRecord.is_counted.is_(False))
    with plant.database.reading() as session:
        return sorted({(account_id, region_id) for account_id, region_id in session.execute(query)})


@dataclass(slots=True)
class _CountOfPlace:
    """One count of the chains of an account in a region. A chain may have snapshots in several repositories."""

    plant: Installation
    account_id: AccountId
    region_id: RegionId
    stack: ExitStack
    chains: dict[DiskId, _Chain] = field(default_factory=dict)
    caches: list[_Cache] = field(default_factory=list)
    failed: set[KeyId | None] = field(default_factory=set)  # keys of repositories that cannot be read now

    def run(self) -> None:
        """Count, some chains at a time."""
        for key_id in self._list_keys():
            with self._trying(key_id):
                self._open_cache(key_id)
        self.chains = {
            chain.disk_id: chain for chain in self._list_chains()
        }  # behind the files; see `SizeIndex`
        for cache in self.caches:
            with self._trying(cache.key_id):
                self._forget_gone(cache)
        stale = [
            chain
            for chain in self.chains.values()
            if not chain.is_counted or any(cache.is_stale(chain) for cache in self.caches)
        ]
        for start in range(0, len(stale), _BATCH):
            self._count_part(stale[start : start + _BATCH])

    def _list_chains(self) -> list[_Chain]:
        query = select(ChainRecord.disk_id, ChainRecord.revision, ChainRecord.is_counted).where(
            ChainRecord.account_id == self.account_id, ChainRecord.region_id == self.region_id
        )
        with self.plant.database.reading() as session:
            return [_Chain(*row) for row in session.execute(query)]

    def _list_keys(self) -> list[KeyId | None]:
        """The keys of the repositories that have snapshots and may be read now; always None as well."""
        has_snapshots = select(SnapshotRecord.id).where(SnapshotRecord.key_id == KeyRecord.id).exists()
        query = select(KeyRecord.id).where(
            has_snapshots,
            KeyRecord.account_id == self.account_id,
            KeyRecord.region_id == self.region_id,
            KeyRecord.state == KeyState.ENABLED,
        )
        with self.plant.database.reading() as session:
            return [None, *session.scalars(query.order_by(KeyRecord.id))]

    @contextmanager
    def _trying(self, key_id: KeyId | None) -> Iterator[None]:
        """Leave a repository alone from its first failure on."""
        try:
            yield
        except SizesBusyError:
            self.failed.add(key_id)
        except LaminaError as failure:
            self.failed.add(key_id)
            facts = {"account_id": self.account_id, "region_id": self.region_id, "key_id": key_id}
            log_failure(_LOGGER, "the sizes of snapshots could not be counted", failure, **facts)

    def _open_cache(self, key_id: KeyId | None) -> None:
        repository = self.plant.repositories.find(self.account_id, self.region_id, key_id)
        if repository is None:
            self.failed.add(key_id)  # it has nothing, or is away: then snapshots with that key wait
            return
        index = self.stack.enter_context(closing(SizeIndex(repository)))
        cache = _Cache(key_id=key_id, repository=repository, index=index, known=index.list_chains())
        self.caches.append(cache)

    def _forget_gone(self, cache: _Cache) -> None:
        for name in sorted(cache.known.keys() - self.chains.keys()):
            self._read(cache)
            cache.index.forget(name)

    def _read(self, cache: _Cache) -> None:
        if not cache.is_reading:
            self.stack.enter_context(cache.repository.session(SessionKind.READ, "sizes"))
            cache.is_reading = True

    def _count_part(self, part: Sequence[_Chain]) -> None:
        listing = self._list_snapshots(part)
        told: list[tuple[_Cache, _Sizes]] = []
        for cache in self.caches:
            with self._trying(cache.key_id):
                if cache.key_id not in self.failed:
                    self._count_in(cache, [chain for chain in part if cache.is_stale(chain)], listing)
                    told.append((cache, cache.index.list_untold()))
        waiting = {disk_id for disk_id, key_id in listing if key_id in self.failed}
        sizes = {each: size for _, found in told for each, size in found.items()}
        written = self._write(sizes, {chain.disk_id for chain in part} - waiting)
        for cache, found in told:
            with self._trying(cache.key_id):
                cache.index.tell({each: size for each, size in found.items() if each in written})

    def _list_snapshots(self, part: Sequence[_Chain]) -> _Listing:
        query = (
            select(SnapshotRecord.disk_id, SnapshotRecord.key_id, SnapshotRecord.id)
            .where(
                SnapshotRecord.disk_id.in_([chain.disk_id for chain in part]),
                SnapshotRecord.region_id == self.region_id,
                SnapshotRecord.state == SnapshotState.ACCOMPLISHED,
                SnapshotRecord.is_data_missing.is_(False),
            )
            .order_by(SnapshotRecord.created_at, SnapshotRecord.id)
        )
        found: dict[tuple[DiskId, KeyId | None], list[SnapshotId]] = defaultdict(list)
        with self.plant.database.reading() as session:
            for disk_id, key_id, snapshot_id in session.execute(query):
                found[disk_id, key_id].append(snapshot_id)
        return found

    def _count_in(self, cache: _Cache, chains: Sequence[_Chain], listing: _Listing) -> None:
        """Count what one repository has of some chains."""
        empty: dict[str, int] = {}
        for chain in chains:
            snapshots = listing.get((chain.disk_id, cache.key_id), ())
            if not snapshots and chain.disk_id not in cache.known:
                empty[chain.disk_id] = chain.revision
                continue
            self._read(cache)
            try:
                cache.index.count(chain.disk_id, snapshots, chain.revision)
            except SnapshotNotFoundError:
                continue  # deleted since we looked: the chain has changed, and is counted again
            except Corruption as damage:
                facts = {"chain": chain.disk_id, "reason": str(damage)}
                log(_LOGGER, logging.CRITICAL, "a damaged chain was not counted", **facts)
                empty[chain.disk_id] = chain.revision  # until it changes
        cache.index.note_seen(empty)

    def _write(self, sizes: _Sizes, whole: set[DiskId]) -> set[SnapshotId]:
        """Write sizes into the rows, also of other chains that have blocks in common; answers which need it no more.

        Args:
            sizes: of snapshots of any chains.
            whole: the chains that are counted with that.
        """
        changed = self._list_changed(sizes)
        uncounted = {disk_id for disk_id in whole if not self.chains[disk_id].is_counted}
        written = set(sizes)
        # The uncounted ones last: as long as there is one, whoever comes next takes up what was not written.
        for disk_id in sorted(changed.keys() | uncounted, key=lambda each: (each in uncounted, each)):
            ids = changed.get(disk_id, [])
            if not self._write_chain(self.chains.get(disk_id), sizes, ids, is_whole=disk_id in whole):
                written.difference_update(ids)
        return written

    def _list_changed(self, sizes: _Sizes) -> Mapping[DiskId, Sequence[SnapshotId]]:
        """The snapshots whose rows say something else, by their disks."""
        row = SnapshotRecord
        ids, found = list(sizes), defaultdict[DiskId, list[SnapshotId]](list)
        with self.plant.database.reading() as session:
            for start in range(0, len(ids), _BATCH):
                query = select(row.disk_id, row.id, row.incremental_bytes, row.exclusive_bytes)
                part = query.where(row.id.in_(ids[start : start + _BATCH]))
                for disk_id, snapshot_id, incremental, exclusive in session.execute(part):
                    size = sizes[snapshot_id]
                    if (incremental, exclusive) != (size.incremental_bytes, size.exclusive_bytes):
                        found[disk_id].append(snapshot_id)
        return found

    def _write_chain(
        self, seen: _Chain | None, sizes: _Sizes, ids: Sequence[SnapshotId], *, is_whole: bool
    ) -> bool:
        """Write what was counted of one chain; False if it changed since, and is counted again."""
        if seen is None:
            return False
        with self.plant.database.transaction(of=self.account_id) as session:
            chain = session.get(ChainRecord, (seen.disk_id, self.region_id), with_for_update=True)
            if chain is None or chain.revision != seen.revision:
                return False
            is_changed = self._write_rows(session, sizes, ids)
            if is_changed and chain.is_counted:
                chain.revision += 1  # who had it counted learns of it, and has a say
                chain.is_counted = False
            elif is_whole:
                chain.is_counted = True
                sum_up_sizes(session, chain)
                if chain.snapshot_count == 0:
                    session.delete(chain)
        return True

    def _write_rows(self, session: Session, sizes: _Sizes, ids: Sequence[SnapshotId]) -> bool:
        """Write sizes into rows of one chain; the meter hears of what changed. Answers whether anything did."""
        is_changed = False
        for start in range(0, len(ids), _BATCH):
            part = select(SnapshotRecord).where(SnapshotRecord.id.in_(ids[start : start + _BATCH]))
            for snapshot in session.scalars(part):
                size = sizes[snapshot.id]
                is_longer = snapshot.incremental_bytes != size.incremental_bytes
                is_changed |= is_longer or snapshot.exclusive_bytes != size.exclusive_bytes
                snapshot.incremental_bytes = size.incremental_bytes
                snapshot.exclusive_bytes = size.exclusive_bytes
                if is_longer:
                    meter_snapshot(session, snapshot, self.plant.clock.now())
        return is_changed
