"""However counts, changes, hosts and failures meet, the sizes in the rows end as a count from scratch has them."""

import random
from collections import defaultdict
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import delete, select, update

from lamina.control.keys.modify import disable_key, enable_key
from lamina.control.repositories import Repositories
from lamina.control.snapshots.chain import recount_chains
from lamina.control.snapshots.records import ChainRecord, SnapshotRecord
from lamina.control.snapshots.sizes import count_sizes
from lamina.control.snapshots.states import SnapshotState
from lamina.database import Database, DatabaseFaultError
from lamina.engine.maintenance.sizes import SizeIndex
from lamina.failures import Fault, Refusal
from tests.factories.keys import make_encrypted, make_key
from tests.factories.transfer import content

BLOCK = 64 * 1024
SECOND = timedelta(seconds=1)
CONTENTS = [content(f"content {number}", BLOCK) for number in range(5)]


class OtherHost:
    """The repositories as another host sees them, which has caches of its own."""

    def __init__(self, repositories, cache_dir):
        self._repositories, self._cache_dir = repositories, cache_dir

    def find(self, *place):
        repository = self._repositories.find(*place)
        return None if repository is None else replace(repository, cache_dir=self._cache_dir)


class World:
    """Two disks with contents in common, and two hosts that count."""

    def __init__(self, site, folder, shares_cache):
        self.site = site
        self.disks = [site.make_imported(CONTENTS[0] + CONTENTS[1]) for _ in range(2)]
        plant = site.installation
        other = OtherHost(plant.repositories, plant.settings.cache_dir if shares_cache else folder / "other")
        self.hosts = [plant, replace(plant, repositories=other)]

    def list_snapshots(self, disk_id=None):
        query = select(SnapshotRecord).where(SnapshotRecord.state == SnapshotState.ACCOMPLISHED)
        query = query if disk_id is None else query.where(SnapshotRecord.disk_id == disk_id)
        with self.site.installation.database.reading() as session:
            return session.scalars(query.order_by(SnapshotRecord.created_at, SnapshotRecord.id)).all()

    def change(self, rng):
        disk_id = rng.choice(self.disks)
        known = self.list_snapshots(disk_id)
        if known and rng.random() < 0.45:
            self.site.delete(rng.choice(known).id)
            return
        self.site.write(disk_id, rng.randrange(4) * BLOCK, rng.choice(CONTENTS))
        self.site.make_snapshot(disk_id)
        self.site.clock.advance(SECOND)

    def settle(self):
        """Count until nothing is left to be counted."""
        for _ in range(10):
            count_sizes(self.hosts[0])
            with self.site.installation.database.reading() as session:
                if session.scalar(select(ChainRecord).where(ChainRecord.is_counted.is_(False))) is None:
                    return
        raise AssertionError("it never ends")

    def read_sizes(self):
        return {each.id: (each.incremental_bytes, each.exclusive_bytes) for each in self.list_snapshots()}

    def count_anew(self):
        """From scratch, repository by repository."""
        places = defaultdict(lambda: defaultdict(list))
        for each in self.list_snapshots():
            places[each.account_id, each.region_id, each.key_id][each.disk_id].append(each.id)
        found = {}
        for place, chains in places.items():
            repository = replace(self.site.installation.repositories.find(*place), cache_dir=None)
            with closing(SizeIndex(repository)) as index:
                for disk_id, snapshots in chains.items():
                    index.count(disk_id, snapshots)
                found |= index.list_untold()
        return {each: (size.incremental_bytes, size.exclusive_bytes) for each, size in found.items()}

    def check(self):
        assert self.read_sizes() == self.count_anew()
        with self.site.installation.database.reading() as session:
            sums = {row.disk_id: row.standard_bytes for row in session.scalars(select(ChainRecord))}
        expected = defaultdict(int)
        for each in self.list_snapshots():
            expected[each.disk_id] += each.incremental_bytes
        assert sums == expected


@pytest.fixture(params=[False, True], ids=["two-hosts", "one-host"])
def world(site, tmp_path, request):
    return World(site, tmp_path, request.param)


class Interrupting:
    """Lets something happen right before a transaction, the first of which has number 0."""

    def __init__(self, monkeypatch):
        self._plain, self._acts, self._number = Database.transaction, {}, 0
        monkeypatch.setattr(
            Database, "transaction", lambda database, **options: self._begin(database, options)
        )

    def at(self, number, act):
        self._acts, self._number = {number: act}, 0

    def _begin(self, database, options):
        act = self._acts.pop(self._number, None)
        self._number += 1
        if act is not None:
            act()
        return self._plain(database, **options)


@pytest.mark.parametrize("seed", range(4))
def test_whoever_counts_whenever(world, seed, monkeypatch):
    rng = random.Random(seed)
    interrupting = Interrupting(monkeypatch)

    def count(host):
        count_sizes(world.hosts[host])

    for _ in range(14):
        what, host = rng.randrange(5), rng.randrange(2)
        if what < 2:
            world.change(rng)
        elif what == 2:
            count(host)
        else:
            acts = [partial(world.change, rng)] + [partial(count, 1 - host)] * (what - 3)
            interrupting.at(rng.randrange(3), partial(run_all, acts))
            count(host)
            interrupting.at(0, None)
    world.settle()
    world.check()


def run_all(acts):
    for act in acts:
        act()


def go_away():
    raise DatabaseFaultError("the database went away", retryable=True)


@pytest.mark.parametrize("number", range(3))
def test_a_count_that_is_cut_off_at_any_transaction_is_made_up_for(world, number, monkeypatch):
    interrupting = Interrupting(monkeypatch)
    first, _ = [world.site.make_snapshot(disk_id) for disk_id in world.disks]
    world.settle()
    for act in (lambda: world.site.delete(first), lambda: world.site.make_snapshot(world.disks[0])):
        act()
        interrupting.at(number, go_away)
        with suppress(DatabaseFaultError):
            count_sizes(world.hosts[0])
        interrupting.at(0, None)
        world.settle()
        world.check()


def test_a_chain_that_goes_and_comes_again_is_not_taken_for_the_old_one(world):
    first = world.site.make_snapshot(world.disks[0])
    for host in world.hosts:
        with world.site.installation.database.transaction() as session:
            session.execute(update(ChainRecord).values(is_counted=False))
        count_sizes(host)
    world.site.delete(first)
    count_sizes(world.hosts[0])  # its row goes
    world.site.write(world.disks[0], 0, CONTENTS[2])
    world.site.make_snapshot(world.disks[0])
    count_sizes(world.hosts[0])
    world.site.make_snapshot(world.disks[1])
    count_sizes(world.hosts[1])
    world.settle()
    world.check()


@pytest.mark.parametrize(
    "failure", [Fault("no answer", retryable=True), Refusal("somebody else's repository")]
)
def test_a_repository_that_cannot_be_opened_keeps_no_other_from_being_counted(site, failure, monkeypatch):
    accounts = [site, site.as_another_account(), site.as_another_account()]
    snapshots = [each.make_snapshot(each.make_imported(CONTENTS[0])) for each in accounts]
    plain = Repositories.find
    for bad in accounts:

        def find(self, account_id, region_id, key_id=None, bad=bad):
            if account_id == bad.account_id:
                raise failure
            return plain(self, account_id, region_id, key_id)

        with site.installation.database.transaction() as session:
            session.execute(update(ChainRecord).values(is_counted=False))
            session.execute(update(SnapshotRecord).values(exclusive_bytes=None))
        monkeypatch.setattr(Repositories, "find", find)
        count_sizes(site.installation)
        for account, snapshot_id in zip(accounts, snapshots, strict=True):
            assert (site.snapshot(snapshot_id).exclusive_bytes is None) == (account is bad)


def test_what_changed_while_a_key_was_disabled_is_counted_when_it_is_enabled(site, tmp_path):
    world = World(site, tmp_path, shares_cache=True)
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENTS[0] + CONTENTS[1], key_id)
    site.make_snapshot(disk_id)
    site.clock.advance(SECOND)
    site.write(disk_id, 0, CONTENTS[2])
    second = site.make_snapshot(disk_id)
    world.settle()
    with site.scope() as scope:
        disable_key(scope, key_id)
    site.delete(second)
    world.settle()
    with site.scope() as scope:
        enable_key(scope, key_id)
        recount_chains(scope.session, key_id)
    world.settle()
    world.check()


def test_rows_without_sizes_get_them_though_the_cache_has_told_them_before(site, tmp_path):
    world = World(site, tmp_path, shares_cache=True)
    site.make_snapshot(world.disks[0])
    world.settle()
    with site.installation.database.transaction() as session:
        session.execute(update(SnapshotRecord).values(exclusive_bytes=None, incremental_bytes=0))
        session.execute(delete(ChainRecord))
        session.add(
            ChainRecord(
                disk_id=world.disks[0],
                region_id="cn-hangzhou",
                account_id=site.account_id,
                created_at=site.clock.now(),
                snapshot_count=1,
                standard_bytes=0,
                archive_bytes=0,
                revision=2,
                is_counted=False,
            )
        )
    world.settle()
    world.check()
