"""Advice on a real installation: what it says a deletion saves is what the bill then lacks."""

import os
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from lamina.control.advice.advise import Sources, advise
from lamina.control.advice.cost import Rates, show_amount
from lamina.control.disks.delete import delete_disk
from lamina.control.first_start import DEFAULT_REGION
from lamina.control.metering.records import StorageClass
from lamina.control.reconcilers import run_timely
from lamina.control.snapshots.lock import NewLock, lock_snapshot
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.sizes import count_sizes
from lamina.control.tariff.rules import RuleBook
from lamina.units import GIB, KIB
from tests.factories.images import make_image, make_system_snapshot
from tests.factories.payments import list_present, open_paid_site
from tests.unit.control.policies.conftest import Policies

BLOCK = 64 * KIB
DAY = timedelta(days=1)
PRICE = Fraction(100_000)


@pytest.fixture
def site(tmp_path):
    """A site where a block costs 6.10 a month."""
    with open_paid_site(tmp_path) as site:
        yield site


def noise(blocks):
    return os.urandom(blocks * BLOCK)


def ask(site, **options):
    plant = site.installation
    count_sizes(plant)
    sources = Sources(database=plant.database, repositories=plant.repositories, tariff=plant.tariff)
    return advise(sources, site.account_id, site.clock.now(), **options)


def billed(site):
    """Bytes that the account is billed for now."""
    count_sizes(site.installation)
    with site.installation.database.reading() as session:
        rows = [session.get(SnapshotRecord, each) for each in list_present(site) if each.startswith("s-")]
        return sum(row.incremental_bytes for row in rows)


def make_chain(site):
    """Five snapshots of a disk whose blocks are written over, taken back, discarded, and left alone."""
    first, second = noise(1), noise(1)
    disk_id = site.make_imported(noise(8))
    taken = [site.make_snapshot(disk_id)]
    for offset, content in [(0, noise(3)), (BLOCK, first), (4 * BLOCK, second), (BLOCK, noise(2))]:
        site.write(disk_id, offset, content)
        site.clock.advance(DAY)
        taken.append(site.make_snapshot(disk_id))
    return disk_id, taken


def test_what_each_deletion_saves_is_what_the_bill_then_lacks(site):
    _, taken = make_chain(site)
    while taken:
        promised = {each.link.id: each.saving for each in ask(site).snapshots}
        before = billed(site)
        gone = taken.pop(len(taken) // 2)
        site.delete(gone)
        saved = before - billed(site)
        assert (promised[gone].saved_bytes if gone in promised else 0) == saved
        if gone in promised:
            assert promised[gone].amount == PRICE * saved / GIB
    assert ask(site).monthly == 0


def test_a_block_that_was_taken_back_is_saved_twice(site):
    """B is billed for its block, and the next one for taking back what A has: both are saved with B."""
    old = noise(1)
    disk_id = site.make_imported(old)
    site.make_snapshot(disk_id)
    site.clock.advance(DAY)
    site.write(disk_id, 0, noise(1))
    middle = site.make_snapshot(disk_id)
    site.clock.advance(DAY)
    site.write(disk_id, 0, old)
    site.make_snapshot(disk_id)
    saving = next(each.saving for each in ask(site).snapshots if each.link.id == middle)
    assert saving.saved_bytes == 2 * BLOCK
    site.delete(middle)
    assert billed(site) == BLOCK


def test_what_moves_to_the_next_snapshot_is_not_saved(site):
    disk_id = site.make_imported(noise(8))
    first = site.make_snapshot(disk_id)
    site.clock.advance(DAY)
    site.write(disk_id, 0, noise(1))
    site.make_snapshot(disk_id)
    [best, other] = ask(site).snapshots
    assert {best.saving.saved_bytes, other.saving.saved_bytes} == {BLOCK}
    assert next(each for each in (best, other) if each.link.id == first).link.incremental_bytes == 8 * BLOCK


def test_the_best_ones_are_found_without_weighing_all(site):
    for blocks in (1, 5, 3, 9, 7):
        site.make_snapshot(site.make_imported(noise(blocks)))
    found = ask(site, limit=3).snapshots
    assert [each.saving.saved_bytes // BLOCK for each in found] == [9, 7, 5]


def _take(site, disk_id):
    site.clock.advance(DAY)
    return site.make_snapshot(disk_id)


def test_what_is_held_or_locked_is_not_ranked(site):
    disk_id = site.make_imported(noise(2))
    held, locked, free = _take(site, disk_id), _take(site, disk_id), _take(site, disk_id)
    site.make_disk(snapshot_id=held)
    with site.scope() as scope:
        lock_snapshot(scope, NewLock(snapshot_id=locked, duration_days=9, cool_off_hours=0))
    site.write(disk_id, 0, noise(1))
    last = _take(site, disk_id)
    ids = {each.link.id for each in ask(site).snapshots}
    assert ids == {last}, f"{free} is like its neighbours and saves nothing"


def test_snapshots_of_released_disks_without_use_are_found(site):
    disk_id = site.make_imported(noise(4))
    first = site.make_snapshot(disk_id)
    site.write(disk_id, 0, noise(1))
    second = _take(site, disk_id)
    kept = site.make_imported(noise(2))
    site.make_snapshot(kept)
    assert ask(site).findings == ()
    with site.scope() as scope:
        delete_disk(scope, disk_id)
    site.work()
    advice = ask(site)
    [found] = advice.findings
    assert (found.finding.kind.value, found.finding.subject) == ("orphaned-chain", disk_id)
    assert set(found.finding.snapshot_ids) == {first, second}
    assert found.saving.saved_bytes == advice.total.saved_bytes == 5 * BLOCK
    assert found.saving.amount == PRICE * 5 * BLOCK / GIB
    assert advice.monthly == Decimal("42.724609"), "7 blocks"


def test_an_orphan_that_a_disk_was_made_from_is_left_out(site):
    disk_id = site.make_imported(noise(4))
    used = site.make_snapshot(disk_id)
    site.write(disk_id, 0, noise(1))
    free = _take(site, disk_id)
    site.make_disk(snapshot_id=used)
    with site.scope() as scope:
        delete_disk(scope, disk_id)
    site.work()
    [found] = ask(site).findings
    assert found.finding.snapshot_ids == (free,)
    assert found.saving.saved_bytes == BLOCK


def test_chains_of_disks_that_nothing_happens_with(site):
    disk_id = site.make_imported(noise(4))
    snapshot_id = site.make_snapshot(disk_id)
    assert ask(site).findings == ()
    site.clock.advance(31 * DAY)
    [found] = ask(site).findings
    assert (found.finding.kind.value, found.finding.subject) == ("idle-chain", disk_id)
    assert ask(site, idle=60 * DAY).findings == ()
    site.make_disk(snapshot_id=snapshot_id)
    assert ask(site).findings == (), "a disk was made from it"


def test_policies_whose_snapshots_hardly_differ(site):
    policies = Policies(site)
    busy, quiet = site.make_imported(noise(4)), site.make_imported(noise(4))
    busy_policy, quiet_policy = policies.make(busy), policies.make(quiet)
    for _ in range(6):
        site.write(busy, 0, os.urandom(2 << 20))
        policies.pass_hours()
    [found] = [each for each in ask(site).findings if each.finding.kind.value == "frequent-policy"]
    assert found.finding.subject == quiet_policy != busy_policy
    assert len(found.finding.snapshot_ids) == 5
    assert found.saving.saved_bytes == 0, "what they have is in the last one too"


def test_images_that_nothing_was_made_from(site):
    snapshot_id = make_system_snapshot(site, noise(3))
    image_id = make_image(site, snapshot_id=snapshot_id)
    site.clock.advance(31 * DAY)
    [found] = ask(site).findings
    assert (found.finding.kind.value, found.finding.subject) == ("unused-image", image_id)
    assert (found.finding.snapshot_ids, found.saving.saved_bytes) == ((snapshot_id,), 3 * BLOCK)


def test_following_all_advice_saves_the_total(site):
    disk_id, _ = make_chain(site)
    site.make_snapshot(site.make_imported(noise(2)))
    with site.scope() as scope:
        delete_disk(scope, disk_id)
    site.work()
    site.clock.advance(40 * DAY)
    advice, before = ask(site), billed(site)
    assert len(advice.findings) == 2
    for each in advice.findings:
        for snapshot_id in each.finding.snapshot_ids:
            site.delete(snapshot_id)
    assert before - billed(site) == advice.total.saved_bytes == before
    assert advice.monthly == show_amount(advice.total.amount)


def test_advice_changes_nothing(site):
    make_chain(site)
    run_timely(site.installation)
    site.work()
    folder = site.installation.directory / "store"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}, list_present(site)
    ask(site)
    assert ({path: path.stat().st_mtime_ns for path in folder.rglob("*")}, list_present(site)) == before


def test_accounts_see_their_own(site):
    other = site.as_another_account()
    other.make_snapshot(other.make_imported(noise(2)))
    assert ask(site).snapshots == ()
    assert len(ask(other).snapshots) == 1


def test_what_is_free_is_not_saved(site):
    """Of three GiB one is free: the second and third cost, and whoever deletes two saves two."""
    rules = RuleBook.of(
        "test", tuple(replace(each, free_gib=Decimal(1)) for each in site.installation.tariff.rules.rules)
    )
    tariff = replace(site.installation.tariff, rules=rules)
    rates = Rates.at(tariff, DEFAULT_REGION.id, site.clock.now())
    stored = [rates.charge_month({StorageClass.STANDARD: size * GIB}) for size in range(4)]
    assert [show_amount(each) for each in stored] == [0, 0, PRICE, 2 * PRICE]
    assert rates.charge_paid({StorageClass.ARCHIVE: GIB}) == PRICE, "no price of its own"
