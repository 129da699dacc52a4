"""EXTENTS.json: what is taken, what is refused, and that the refusal names the entry."""

import pytest

from lamina.blockio.extents import BadExtentListError, Extent, ExtentKind, format_extents, parse_extents


def test_a_document_is_read_in_any_order_with_overlaps_joined():
    document = b"""[{"offset": 8192, "length": 4096, "zero": true},
                    {"length": 4096, "offset": 0, "zero": false},
                    {"offset": 2048, "length": 4096, "zero": false}, {"offset": 5, "length": 0, "zero": true}
                   ]"""
    assert parse_extents(document) == (Extent(0, 6144), Extent(8192, 4096, ExtentKind.ZERO))


def test_a_document_is_written_as_it_is_read():
    extents = (Extent(0, 512), Extent(4096, 512, ExtentKind.ZERO))
    document = format_extents(extents)
    assert document == b'[{"offset":0,"length":512,"zero":false},{"offset":4096,"length":512,"zero":true}]'
    assert parse_extents(document) == extents


@pytest.mark.parametrize(
    "entry",
    [
        '{"offset": -1, "length": 1, "zero": false}',
        '{"offset": 0, "length": -1, "zero": false}',
        '{"offset": 0.5, "length": 1, "zero": false}',
        '{"offset": true, "length": 1, "zero": false}',
        '{"offset": "0", "length": 1, "zero": false}',
        '{"offset": 0, "length": 1, "zero": 0}',
        '{"offset": 0, "length": 1}',
        '{"offset": 0, "length": 1, "zero": false, "dirty": true}',
        '{"offset": 9223372036854775808, "length": 1, "zero": false}',
        '{"offset": 9223372036854775807, "length": 1, "zero": false}',
        "[0, 1, false]",
        "null",
    ],
)
def test_a_malformed_entry_is_refused_by_its_number(entry):
    with pytest.raises(BadExtentListError, match=r"\$\[1\]|entry 1"):
        parse_extents(f'[{{"offset": 0, "length": 1, "zero": true}}, {entry}]')


@pytest.mark.parametrize(
    "document",
    [b"", b"{}", b"[", b"null", b"\xff\xfe[]", b"[" * 100_000],
    ids=["empty", "object", "cut", "null", "not-utf8", "deep"],
)
def test_what_is_no_list_is_refused(document):
    with pytest.raises(BadExtentListError, match="cannot be used"):
        parse_extents(document)
