"""The list of what has a tag is that of everything, without the rest: whoever tagged it, and whenever."""

import random
from dataclasses import dataclass
from datetime import timedelta

import pytest

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.queries import DiskFilter, list_disks
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.paging import Slice
from lamina.control.resources.tag import tag_resources, untag_resources
from lamina.control.snapshots.queries import SnapshotFilter, list_snapshots
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotCategory, SnapshotKind, SnapshotState
from tests.factories.installation import START, ZONE

COUNT = 60
TAG = {"team": "blue"}


@dataclass(frozen=True)
class Kind:
    """A kind of resource whose lists are long."""

    name: str
    make: object
    list_page: object


def make_snapshot(scope, row_id, created_at, *, is_gone):
    return SnapshotRecord(
        id=row_id,
        account_id=scope.account_id,
        region_id=scope.region_id,
        kind=SnapshotKind.USER,
        category=SnapshotCategory.STANDARD,
        state=SnapshotState.DELETING if is_gone else SnapshotState.ACCOMPLISHED,
        disk_id="d-1",
        disk_size_gib=1,
        disk_role=DiskRole.DATA,
        created_at=created_at,
        modified_at=created_at,
    )


def make_disk(scope, row_id, created_at, *, is_gone):
    return DiskRecord(
        id=row_id,
        account_id=scope.account_id,
        region_id=scope.region_id,
        zone_id=ZONE,
        role=DiskRole.DATA,
        category=DiskCategory.CLOUD_ESSD,
        size_gib=20,
        state=DiskState.DELETING if is_gone else DiskState.AVAILABLE,
        was_attached=True,
        created_at=created_at,
    )


def list_tagged_snapshots(scope, tags, part):
    page = list_snapshots(scope, SnapshotFilter(tags=tags), part)
    return [view.snapshot.id for view in page.items], page


def list_tagged_disks(scope, tags, part):
    page = list_disks(scope, DiskFilter(tags=tags), part)
    return [view.disk.id for view in page.items], page


SNAPSHOTS = Kind("snapshot", make_snapshot, list_tagged_snapshots)
DISKS = Kind("disk", make_disk, list_tagged_disks)


@pytest.fixture(params=[SNAPSHOTS, DISKS], ids=lambda kind: kind.name)
def kind(request):
    return request.param


@pytest.fixture
def expected(site, kind):
    """Some resources, of which several share an instant; the ids of those with the tag, newest first.

    Tags are put in random order, changed and taken away; some that carry it are going away, some are of others.
    """
    chance = random.Random(11)
    rows, tagged = {}, set()
    with site.scope() as scope:
        for at in chance.sample(range(COUNT), COUNT):
            row_id = f"x-{at:03}"
            created_at = START + timedelta(seconds=chance.randrange(COUNT // 3))
            row = kind.make(scope, row_id, created_at, is_gone=False)
            scope.session.add(row)
            rows[row_id] = row
        scope.session.flush()
        for row_id in chance.sample(sorted(rows), COUNT):
            draw = chance.random()
            if draw < 0.7:
                site.clock.advance(timedelta(hours=1))
                tag_resources(scope, kind.name, [row_id], {"team": "red", "env": "test"})
            if 0.3 < draw < 0.9:
                tag_resources(scope, kind.name, [row_id], TAG)
                tagged.add(row_id)
            if 0.5 < draw < 0.6:
                untag_resources(scope, kind.name, [row_id], ["team"])
                tagged.discard(row_id)
        for row_id in chance.sample(sorted(tagged), 5):
            rows[row_id].state = type(rows[row_id].state).DELETING
            tagged.discard(row_id)
    other = site.as_another_account()
    with other.scope() as scope:
        scope.session.add(kind.make(scope, "x-other", START, is_gone=False))
        scope.session.flush()
        tag_resources(scope, kind.name, ["x-other"], TAG)
    assert len(tagged) > COUNT // 4
    return sorted(tagged, key=lambda row_id: (rows[row_id].created_at, row_id), reverse=True)


@pytest.mark.parametrize("tags", [TAG, {"team": "blue", "nobody": None}], ids=["one tag", "no match"])
def test_pages_by_number_have_the_tagged_in_order_and_count_them(site, kind, expected, tags):
    wanted = expected if tags == TAG else []
    with site.scope() as scope:
        for offset in range(0, len(expected) + 8, 4):
            ids, page = kind.list_page(scope, tags, Slice(limit=4, offset=offset))
            assert (ids, page.total_count) == (wanted[offset : offset + 4], len(wanted))
            assert (page.next_key is not None) == (offset + 4 < len(wanted))


def test_pages_by_token_have_each_of_the_tagged_once(site, kind, expected):
    found, part = [], Slice(limit=3)
    with site.scope() as scope:
        while True:
            ids, page = kind.list_page(scope, TAG, part)
            found += ids
            assert page.total_count == len(expected)
            if page.next_key is None:
                break
            part = Slice(limit=3, after=page.next_key)
    assert found == expected


def test_a_far_page_is_found_along_the_tags(site, kind, expected, monkeypatch):
    monkeypatch.setattr("lamina.control.paging.FAR", 5)
    with site.scope() as scope:
        for offset in (5, 9, 7, len(expected) - 1, len(expected), len(expected) + 5):
            ids, page = kind.list_page(scope, TAG, Slice(limit=4, offset=offset))
            assert (ids, page.total_count) == (expected[offset : offset + 4], len(expected))


@pytest.fixture
def remembering(monkeypatch):
    """Every list is a long one, and what is known of it lasts."""
    monkeypatch.setattr("lamina.control.paging.FAR", 5)
    monkeypatch.setattr("lamina.control.long_lists._LONG", 0)
    monkeypatch.setattr("lamina.control.long_lists._LASTING", 10**9)


@pytest.mark.parametrize("seed", range(4))
def test_a_far_page_is_found_from_every_place_that_is_known(site, kind, expected, remembering, seed):
    offsets = random.Random(seed).choices(range(5, len(expected) + 3), k=20)
    with site.scope() as scope:
        for offset in offsets:
            ids, page = kind.list_page(scope, TAG, Slice(limit=4, offset=offset))
            assert (ids, page.total_count) == (expected[offset : offset + 4], len(expected))


def test_the_last_page_stays_the_end_of_a_list_that_grows(site, kind, expected, remembering):
    last = len(expected) - 3
    with site.scope() as scope:
        kind.list_page(scope, TAG, Slice(limit=4))  # counts it
        for number in range(5):
            row_id = f"x-new-{number}"
            scope.session.add(kind.make(scope, row_id, START + timedelta(days=1), is_gone=False))
            scope.session.flush()
            tag_resources(scope, kind.name, [row_id], TAG)
        ids, page = kind.list_page(scope, TAG, Slice(limit=4, offset=last))
        assert (ids, page.total_count) == (expected[last:], len(expected))
