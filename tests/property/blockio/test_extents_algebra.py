"""The algebra of extents agrees with a bitmap that holds one letter per byte."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lamina.blockio.extents import (
    Extent,
    ExtentKind,
    align_outwards,
    clip,
    format_extents,
    merge_extents,
    normalise,
    parse_extents,
    subtract,
    unite,
)

SPAN = 96
CAUTION = {None: 0, ExtentKind.HOLE: 1, ExtentKind.ZERO: 2, ExtentKind.DATA: 3}

extents = st.builds(Extent, st.integers(0, SPAN - 1), st.integers(1, 24), st.sampled_from(ExtentKind)).filter(
    lambda extent: extent.end <= SPAN
)
messy_lists = st.lists(extents, max_size=14)
normal_lists = messy_lists.map(normalise)


def paint(extents, span=SPAN):
    """A bitmap: what each byte holds; the more cautious kind wins."""
    cells = [None] * span
    for extent in extents:
        for index in range(extent.offset, min(extent.end, span)):
            cells[index] = max(cells[index], extent.kind, key=CAUTION.get)
    return cells


def assert_normal(extents):
    for left, right in pairwise(extents):
        assert left.end < right.offset or (left.end == right.offset and left.kind is not right.kind)
    assert all(extent.length > 0 for extent in extents)


@given(messy_lists)
def test_normalise_keeps_coverage_and_prefers_the_cautious_kind(messy):
    result = normalise(messy)
    assert_normal(result)
    assert paint(result) == paint(messy)


@given(normal_lists, st.integers(1, 7))
def test_merge_undoes_splitting(normal, step):
    pieces = [
        Extent(start, min(step, extent.end - start), extent.kind)
        for extent in normal
        for start in range(extent.offset, extent.end, step)
    ]
    assert tuple(merge_extents(pieces)) == normal


@given(normal_lists, st.integers(0, SPAN), st.integers(0, SPAN))
def test_clip_keeps_the_window_only(normal, offset, length):
    result = tuple(clip(normal, offset, length))
    assert_normal(result)
    expected = [cell if offset <= i < offset + length else None for i, cell in enumerate(paint(normal))]
    assert paint(result) == expected


@given(normal_lists, normal_lists)
def test_subtract_removes_exactly_what_the_second_covers(first, second):
    result = tuple(subtract(first, second))
    assert_normal(result)
    expected = [a if b is None else None for a, b in zip(paint(first), paint(second), strict=True)]
    assert paint(result) == expected


@given(normal_lists, normal_lists)
def test_unite_is_the_cautious_maximum(first, second):
    result = unite(first, second)
    assert_normal(result)
    pairs = zip(paint(first), paint(second), strict=True)
    assert paint(result) == [max(pair, key=CAUTION.get) for pair in pairs]


@given(messy_lists, st.integers(1, 20), st.integers(1, SPAN))
def test_aligning_outwards_judges_whole_blocks(messy, block, size):
    result = align_outwards(messy, block, size)
    assert_normal(result)
    cells, aligned = paint(messy, size), paint(result, size)
    for start in range(0, size, block):
        kinds = set(cells[start : start + block])
        expected = (
            None
            if kinds == {None}
            else ExtentKind.DATA
            if kinds & {None, ExtentKind.DATA}
            else ExtentKind.HOLE
            if kinds == {ExtentKind.HOLE}
            else ExtentKind.ZERO
        )
        assert set(aligned[start : start + block]) == {expected}
    assert all(extent.end <= size for extent in result)


@given(messy_lists)
def test_the_document_survives_a_round_trip_with_holes_told_as_zero(messy):
    told = [
        Extent(e.offset, e.length, ExtentKind.DATA if e.kind is ExtentKind.DATA else ExtentKind.ZERO)
        for e in messy
    ]
    assert parse_extents(format_extents(messy)) == normalise(told)
