import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.api.codes import ApiError
from lamina.api.schema import decode, param, to_tree
from lamina.api.wire import Parameters, encode_json, encode_xml, parse_pairs, parse_text_list

characters = st.characters(codec="utf-8", exclude_characters="\0")
text = st.text(characters)
names = st.text(characters, min_size=1)


@given(st.dictionaries(names, text), st.sampled_from([quote, quote_plus]))
def test_what_any_client_encodes_is_decoded(pairs, style):
    raw = urlencode(pairs, quote_via=style)
    assert dict(parse_pairs(raw.encode(), "query")) == pairs


@given(text, text)
def test_zero_characters_are_refused_wherever_they_are(before, behind):
    # PostgreSQL takes none in a text: what gets this far would end as an internal error
    value = f"{before}\0{behind}"
    for pair in ({"Name": value}, {value: "x"}):
        with pytest.raises(ApiError):
            parse_pairs(urlencode(pair).encode(), "query")
    with pytest.raises(ApiError):
        parse_text_list(json.dumps([before, value]), "Ids")


@given(st.binary(max_size=300))
def test_bytes_are_decoded_or_refused(raw):
    try:
        pairs = parse_pairs(raw, "query")
    except ApiError:
        return
    assert len({name for name, _ in pairs}) == len(pairs)
    assert not any("\0" in each for pair in pairs for each in pair)


@given(st.lists(text))
def test_a_json_array_of_texts_is_read_as_json_reads_it(items):
    assert parse_text_list(json.dumps(items), "Ids") == tuple(items)
    assert parse_text_list(json.dumps(items, ensure_ascii=False, indent=1), "Ids") == tuple(items)


@given(st.lists(st.text("abc-_.:é0", min_size=1)))
def test_a_python_list_is_read_as_python_prints_it(items):
    assert parse_text_list(str(items), "Ids") == tuple(items)


@given(text | st.text("[]'\"u,\\ -0123456789abc", max_size=30))
def test_any_text_is_a_list_or_refused(given_text):
    try:
        items = parse_text_list(given_text, "Ids")
    except ApiError:
        return
    assert all(isinstance(item, str) for item in items)


@given(st.permutations(range(1, 30)), st.sets(st.integers(1, 29)))
def test_numbered_lists_keep_their_order_whatever_the_order_on_the_wire(order, kept):
    parameters = Parameters.of((f"Id.{n}", f"v{n}") for n in order if n in kept)
    assert parameters.list_indexes("id") == sorted(kept)


trees = st.recursive(
    text | st.integers(-(2**53), 2**53) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ABC"), inner, max_size=3),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from("ABC"), trees))
def test_any_tree_is_well_formed_in_both_formats(tree):
    assert json.loads(encode_json(tree)) == tree
    root = ET.fromstring(encode_xml("Root", tree))
    assert root.tag == "Root"
    for name, value in tree.items():
        if isinstance(value, int):
            assert root.find(name).text == str(value).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    key: str = param(default="", empty_counts=True)
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: str
    flag: bool = False
    ids: tuple[str, ...] | None = param(default=None, form="json")
    inner: tuple[Inner, ...] = ()
    single: Inner | None = None


inners = st.builds(Inner, key=text, number=st.none() | st.integers(-(10**17), 10**17))
outers = st.builds(
    Outer,
    name=names,
    flag=st.booleans(),
    ids=st.none() | st.lists(text).map(tuple),
    inner=st.lists(inners, max_size=12).map(tuple),
    single=st.none() | inners,
)


def flatten(value):
    yield "Name", value.name
    yield "Flag", str(value.flag)
    if value.ids is not None:
        yield "Ids", json.dumps(value.ids)
    for number, each in enumerate(value.inner, 1):
        yield f"Inner.{number}.Key", each.key
        if each.number is not None:
            yield f"Inner.{number}.Number", str(each.number)
    if value.single is not None:
        yield "Single.Key", value.single.key
        if value.single.number is not None:
            yield "Single.Number", str(value.single.number)


@given(outers)
def test_a_request_survives_the_wire(request):
    raw = urlencode(list(flatten(request))).encode()
    assert decode(Outer, Parameters.of(parse_pairs(raw, "query"))) == request


@given(outers)
def test_an_answer_becomes_a_tree_that_both_formats_take(answer):
    tree = to_tree(answer)
    assert tree["Name"] == answer.name
    assert json.loads(encode_json(tree)) == tree
    ET.fromstring(encode_xml("Answer", tree))
