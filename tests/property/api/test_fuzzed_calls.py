"""Whatever is sent, the answer is a clean one: 200 or 4xx, with a request id, and never an internal error."""

from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.api.registry import load_actions
from lamina.api.schema import read_fields
from lamina.api.server import HttpRequest
from tests.factories.api import REGION

text = st.text(st.characters(codec="utf-8"), max_size=40)
latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)
fragments = st.sampled_from(
    [
        "ACS3-HMAC-SHA256 ",
        "Credential=",
        "SignedHeaders=",
        "Signature=",
        ",",
        ";",
        "host",
        "testid",
        "0" * 64,
        " ",
    ]
)
HOSTILE = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "9" * 18,
        "9" * 400,
        "٣",
        "1e9",
        "true",
        "[]",
        "['a']",
        "[1]",
        '["',
        "\x00",
        "a" * 300,
        "\ud7ff\U0010ffff",
    ]
)


def assert_clean(reply):
    assert reply.status == 200 or 400 <= reply.status < 500, reply
    assert dict(reply.headers)["x-acs-request-id"]
    assert b"RequestId" in reply.body


@given(
    st.sampled_from(["GET", "POST", "PUT"]), st.binary(max_size=200), st.binary(max_size=200), st.booleans()
)
def test_unsigned_bytes(installation, method, query, body, is_form):
    kind = "application/x-www-form-urlencoded" if is_form else "application/json"
    headers = {"host": ("h",), "content-type": (kind,)}
    request = HttpRequest(method=method, path="/", query=query, headers=headers, body=body)
    assert_clean(installation.pipeline.answer(request))


@given(
    st.lists(fragments | latin, max_size=8).map("".join),
    st.dictionaries(
        st.sampled_from(
            ["x-acs-date", "x-acs-content-sha256", "x-acs-signature-nonce", "x-acs-action", "host"]
        ),
        st.lists(latin, min_size=1, max_size=2).map(tuple),
    ),
)
def test_any_authorization(installation, authorization, headers):
    headers = {**headers, "authorization": (authorization,)}
    request = HttpRequest(method="POST", path="/", query=b"", headers=headers, body=b"")
    reply = installation.pipeline.answer(request)
    assert_clean(reply)
    assert reply.status == 400


COMMON = [
    "Action",
    "AccessKeyId",
    "SignatureMethod",
    "SignatureNonce",
    "Timestamp",
    "Signature",
    "Format",
    "Version",
]


@given(st.dictionaries(st.sampled_from(COMMON), text | HOSTILE))
def test_any_old_style_signature(installation, pairs):
    query = urlencode({name: value.encode("utf-8", "replace") for name, value in pairs.items()}).encode()
    reply = installation.pipeline.answer(
        HttpRequest(method="GET", path="/", query=query, headers={"host": ("h",)}, body=b"")
    )
    assert_clean(reply)
    assert reply.status == 400


def names_of(action):
    for spec in read_fields(action.request):
        yield spec.wire
        if spec.is_list:
            yield f"{spec.wire}.1"
            yield f"{spec.wire}.2.Key"
            yield f"{spec.wire}.2.Value"
            yield f"{spec.wire}.99999999"


@st.composite
def calls(draw):
    action = draw(st.sampled_from(sorted(load_actions().values(), key=lambda each: each.name)))
    names = st.sampled_from(sorted({*names_of(action), "RegionId"}))
    pairs = draw(st.dictionaries(names, text | HOSTILE, max_size=8))
    if draw(st.booleans()):
        pairs["RegionId"] = REGION
    return action.name, pairs, draw(st.binary(max_size=20))


@settings(max_examples=400)
@given(calls())
def test_signed_calls_with_any_values(caller, call):
    action, pairs, body = call
    query = urlencode({name: value.encode("utf-8", "replace") for name, value in pairs.items()})
    answer = caller.send(action, query, body)
    assert_clean(answer.reply)
    if answer.status != 200:
        assert answer.json["Code"]
        assert answer.json["Code"] != "OperationDenied", "a refusal without a line in the table"


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
    | st.text("abcdefghijABCDEFGHIJ0123456789-_=", max_size=80)
)
def test_any_token(caller, token):
    answer = caller.send("DescribeDisks", urlencode({"RegionId": REGION, "NextToken": token}))
    assert answer.status == 200 if token == "" else answer.code == "InvalidParameter.NextToken"


@given(st.integers(0, 60), st.integers(0, 255))
def test_a_token_with_one_byte_changed(caller, position, value):
    for _ in range(11 - caller.send("DescribeDisks", f"RegionId={REGION}").json["TotalCount"]):
        caller.send("CreateDisk", f"RegionId={REGION}&ZoneId={REGION}-a&Size=20")
    query = {"RegionId": REGION, "MaxResults": "10"}
    token = caller.send("DescribeDisks", urlencode(query)).json["NextToken"]
    position %= len(token)
    changed = token[:position] + chr(value) + token[position + 1 :]
    answer = caller.send("DescribeDisks", urlencode({**query, "NextToken": changed}))
    assert_clean(answer.reply)
    assert (answer.status == 200) == (changed == token)
