import pytest

from lamina.api.codes import ApiError
from lamina.api.wire import (
    Parameters,
    encode_json,
    encode_xml,
    merge_pairs,
    parse_pairs,
    parse_text_list,
)


def test_both_styles_of_encoding_mean_the_same():
    assert parse_pairs(b"a=x+y%2B&b=%C3%A9*", "q") == parse_pairs(b"a=x%20y%2b&b=%C3%A9%2A", "q")


def test_empty_parts_and_missing_equal_signs_are_tolerated():
    assert parse_pairs(b"&a&b=&", "q") == (("a", ""), ("b", ""))


@pytest.mark.parametrize(
    "raw", [b"a=%zz", b"a=%", b"a=%f", b"a=%ff", b"a=1&a=2", b"&".join(b"p%d" % n for n in range(2001))]
)
def test_what_cannot_be_decoded_is_refused(raw):
    with pytest.raises(ApiError) as refused:
        parse_pairs(raw, "q")
    assert refused.value.code.status == 400


def test_the_form_body_wins_over_the_query_string():
    assert dict(merge_pairs((("a", "1"), ("b", "1")), (("a", "2"),))) == {"a": "2", "b": "1"}


def test_names_match_in_any_case_and_the_documented_spelling_wins():
    parameters = Parameters.of([("RegionId", "automatic"), ("regionId", "asked")])
    assert parameters.get("regionId") == "asked"
    assert parameters.get("RegionId") == "automatic"
    assert parameters.get("REGIONID") == "automatic"
    assert parameters.get("Region") is None


def test_list_entries_are_ordered_by_number_and_may_have_gaps():
    parameters = Parameters.of(
        [("Tag.10.Key", "c"), ("tag.9.key", "b"), ("Tag.2.Key", "a"), ("Tag.x.Key", "-")]
    )
    assert parameters.list_indexes("Tag") == [2, 9, 10]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("[]", ()),
        ('["s-1","s-2"]', ("s-1", "s-2")),
        (" [ 's-1' , 's-2' ] ", ("s-1", "s-2")),
        ("[u's-1']", ("s-1",)),
        ("[1, 3]", ("1", "3")),
        ('["a\\"b,]", "é\\u00e9"]', ('a"b,]', "éé")),
    ],
)
def test_lists_are_read_as_clients_write_them(text, items):
    assert parse_text_list(text, "DiskIds") == items


@pytest.mark.parametrize(
    "text",
    ["", "s-1", "[", "]", "[s-1]", '["a"', '["a",]', '["a" "b"]', "[,]", '["\\x"]', '[["a"]]', "[1.5]"],
)
def test_lists_that_are_none_are_refused(text):
    with pytest.raises(ApiError, match="DiskIds"):
        parse_text_list(text, "DiskIds")


TREE = {
    "RequestId": "R",
    "Snapshots": {"Snapshot": [{"Name": "<&é\x00>", "Encrypted": True, "Size": 4}, {}]},
    "None": {"N": []},
}


def test_a_tree_as_json():
    assert encode_json({"a": [1, True, "é"]}) == '{"a":[1,true,"é"]}'.encode()


def test_a_tree_as_xml():
    assert encode_xml("DescribeResponse", TREE).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><DescribeResponse><RequestId>R</RequestId><Snapshots><Snapshot>'
        "<Name>&lt;&amp;é\ufffd&gt;</Name><Encrypted>true</Encrypted><Size>4</Size></Snapshot><Snapshot></Snapshot>"
        "</Snapshots><None></None></DescribeResponse>"
    )
