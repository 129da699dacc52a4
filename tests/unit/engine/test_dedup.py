"""The local index: a cache that may be damaged, shared, or out of date, and never answers wrongly."""

import sqlite3

import pytest

from lamina.engine.dedup import BlockIndexCache
from lamina.engine.format import BlockId, Location, PackId
from lamina.engine.packs.footer import FooterRow

PACKS = [PackId(bytes([number]) * 16, number) for number in range(4)]


def rows(first, count=5):
    return [
        FooterRow(number.to_bytes(32, "big"), 48 + number * 100, 100)
        for number in range(first, first + count)
    ]


def ids(some):
    return [BlockId(row.identity) for row in some]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "blocks.sqlite"


@pytest.fixture
def index(path):
    index = BlockIndexCache(path)
    yield index
    index.close()


def test_it_answers_what_was_recorded(index):
    index.record(PACKS[0], rows(0))
    found = index.find([*ids(rows(0)), BlockId(b"x" * 32)])
    assert found == {BlockId(row.identity): Location(PACKS[0], row.offset, row.length) for row in rows(0)}


def test_packs_that_were_not_seen_in_this_session_are_not_answered(index, path):
    index.record(PACKS[0], rows(0))
    index.record(PACKS[1], rows(10))
    later = BlockIndexCache(path)
    assert later.find(ids(rows(0))) == {}
    assert later.allow([PACKS[1], PACKS[2]]) == [PACKS[2]]
    assert later.find(ids(rows(0))) == {}
    assert len(later.find(ids(rows(10)))) == 5
    later.close()


def test_packs_that_are_gone_are_forgotten(index):
    index.record(PACKS[0], rows(0))
    index.record(PACKS[1], rows(10))
    index.forget_all_but([PACKS[1]])
    assert index.find(ids(rows(0))) == {}
    assert len(index.find(ids(rows(10)))) == 5
    assert index.allow([PACKS[0]]) == [PACKS[0]]


def test_a_number_is_never_given_to_another_pack(index, path):
    """A second process drops a pack and adds another one; the first had allowed the old pack's number."""
    index.record(PACKS[0], rows(0))
    other = BlockIndexCache(path)
    other.forget_all_but([])
    other.record(PACKS[1], rows(20))
    assert index.find(ids(rows(20))) == {}
    other.close()


def test_a_row_that_was_changed_is_not_answered(index, path):
    index.record(PACKS[0], rows(0))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE blocks SET offset = offset + 1 WHERE block_id = ?", (rows(0)[0].identity,))
    assert len(index.find(ids(rows(0)))) == 4


@pytest.mark.parametrize("harm", ["garbage", "another version", "cut short"])
def test_a_damaged_cache_is_made_anew(path, harm):
    index = BlockIndexCache(path)
    index.record(PACKS[0], rows(0))
    index.close()
    if harm == "garbage":
        path.write_bytes(b"not a database " * 500)
    elif harm == "another version":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        path.write_bytes(path.read_bytes()[:3000])
    for extra in path.parent.glob("*-wal"):
        extra.unlink()
    index = BlockIndexCache(path)
    assert index.allow([PACKS[0]]) == [PACKS[0]]
    index.record(PACKS[0], rows(0))
    assert len(index.find(ids(rows(0)))) == 5
    index.close()


def test_without_a_path_it_is_private_to_the_session():
    index = BlockIndexCache(None)
    index.record(PACKS[0], rows(0, 1000))
    assert len(index.find(ids(rows(0, 1000)))) == 1000
    index.close()
