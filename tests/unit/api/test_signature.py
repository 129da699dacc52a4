"""The vectors were sent by the official clients and by the vendor's own page; every byte of them is checked."""

import dataclasses
import hashlib

import pytest
from blake3 import blake3

from lamina.api.codes import ApiError
from lamina.api.signature import (
    BLAKE3_HEADER,
    BLAKE3_PAYLOAD,
    SignedCall,
    read_claim,
    rfc3986,
    sign_acs3,
)
from lamina.api.wire import parse_pairs

SECRET = "testsecret"
ACS3_QUERY = (
    b"ClientToken=tok-1&Description=&DiskId=d-bp1x&InstantAccess=False&RetentionDays=30"
    b"&SnapshotName=na+me%2F%C3%A9%2B%2A~&Tag.1.Key=k1&Tag.1.Value=v+1&Tag.2.Key=k2&Tag.2.Value="
)
ACS3_NAMES = (
    "accept;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;"
    "x-acs-signature-nonce;x-acs-version"
)
ACS3_SIGNATURE = "f2b88f40367290aedf0e6813cca043ce0cff16dc7670721b757c20580a486ad5"
ACS3_HEADERS = {
    "host": ("127.0.0.1:18931",),
    "x-acs-version": ("2014-05-26",),
    "x-acs-action": ("CreateSnapshot",),
    "user-agent": ("AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2",),
    "x-acs-date": ("2026-11-22T13:25:27Z",),
    "x-acs-signature-nonce": ("44d91cea325540934e55cbb55e32a34a",),
    "accept": ("application/json",),
    "x-acs-content-sha256": (hashlib.sha256(b"").hexdigest(),),
    "x-acs-credentials-provider": ("static_ak",),
    "authorization": (
        f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={ACS3_NAMES},Signature={ACS3_SIGNATURE}",
    ),
}
RPC_QUERY = (
    b"DiskId=d-bp1x&SnapshotName=na%20me%2F%C3%A9%2B%2A~&ClientToken=tok-1&RetentionDays=30"
    b"&InstantAccess=False&Tag.1.Value=v%201&Tag.1.Key=k1&Tag.2.Value=&Tag.2.Key=k2&Version=2014-05-26"
    b"&Action=CreateSnapshot&Format=JSON&RegionId=cn-hangzhou&Timestamp=2026-11-22T13%3A26%3A43Z"
    b"&SignatureMethod=HMAC-SHA1&SignatureType=&SignatureVersion=1.0"
    b"&SignatureNonce=2e5f9209d8cfd87a7301602d3713eaad&AccessKeyId=testid"
    b"&Signature=nQrLJkaEEvuc3rFBeRc1SSvEPBk%3D"
)
RPC_STRING = (
    "POST&%2F&AccessKeyId%3Dtestid%26Action%3DCreateSnapshot%26ClientToken%3Dtok-1%26DiskId%3Dd-bp1x"
    "%26Format%3DJSON%26InstantAccess%3DFalse%26RegionId%3Dcn-hangzhou%26RetentionDays%3D30"
    "%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D2e5f9209d8cfd87a7301602d3713eaad%26SignatureType%3D"
    "%26SignatureVersion%3D1.0%26SnapshotName%3Dna%2520me%252F%25C3%25A9%252B%252A~%26Tag.1.Key%3Dk1"
    "%26Tag.1.Value%3Dv%25201%26Tag.2.Key%3Dk2%26Tag.2.Value%3D%26Timestamp%3D2026-11-22T13%253A26%253A43Z"
    "%26Version%3D2014-05-26"
)


def make_call(query=b"", headers=None, body=b"", form=b"", method="POST"):
    return SignedCall(
        method=method,
        path="/",
        query=parse_pairs(query, "query string"),
        form=parse_pairs(form, "form body"),
        headers=headers or {},
        body=body or form,
    )


def acs3(**changes):
    headers = {**ACS3_HEADERS, **changes.pop("headers", {})}
    return make_call(**{"query": ACS3_QUERY, **changes}, headers=headers)


def test_the_recorded_acs3_call_is_accepted():
    claim = read_claim(acs3())
    claim.verify(SECRET)
    assert (claim.access_key_id, claim.nonce) == ("testid", "44d91cea325540934e55cbb55e32a34a")
    assert claim.strings_to_sign[0] == (
        "ACS3-HMAC-SHA256\n474a03099cdcc0a27429aaa14dec77dbd3ad7793b0e689c4024fa0d90a0962ac"
    )


def test_the_recorded_rpc_call_is_accepted():
    claim = read_claim(make_call(RPC_QUERY))
    claim.verify(SECRET)
    assert claim.strings_to_sign == (RPC_STRING,)


def test_the_same_rpc_call_is_accepted_from_a_form_body():
    read_claim(make_call(form=RPC_QUERY)).verify(SECRET)


def test_the_vendors_published_vector_is_accepted():
    query = (
        b"Timestamp=2016-02-23T12:46:24Z&Format=XML&AccessKeyId=testid&Action=DescribeRegions"
        b"&SignatureMethod=HMAC-SHA1&SignatureNonce=3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf&Version=2014-05-26"
        b"&SignatureVersion=1.0&Signature=OLeaidS1JvxuMvnyHOwuJ%2BuX5qY%3D"
    )
    read_claim(make_call(query, method="GET")).verify(SECRET)


def test_old_clients_that_also_send_the_new_headers_are_read_as_rpc():
    headers = {"x-acs-action": ("CreateSnapshot",), "x-acs-version": ("2014-05-26",)}
    read_claim(make_call(RPC_QUERY, headers)).verify(SECRET)


@pytest.mark.parametrize(
    "call",
    [
        acs3(query=ACS3_QUERY.replace(b"30", b"31")),
        acs3(query=ACS3_QUERY + b"&Force=true"),
        acs3(method="GET"),
        acs3(headers={"x-acs-action": ("DeleteSnapshot",)}),
        acs3(headers={"host": ("127.0.0.1:1",)}),
        make_call(RPC_QUERY.replace(b"d-bp1x", b"d-bp1y")),
        make_call(RPC_QUERY, method="GET"),
        make_call(RPC_QUERY, form=b"Force=true"),
    ],
)
def test_any_change_of_a_signed_call_is_refused(call):
    with pytest.raises(ApiError) as refused:
        read_claim(call).verify(SECRET)
    assert refused.value.code.text == "SignatureDoesNotMatch"


def test_the_wrong_secret_is_refused_with_the_text_that_old_clients_compare():
    with pytest.raises(ApiError) as refused:
        read_claim(make_call(RPC_QUERY)).verify("other")
    assert str(refused.value).split(":")[1] == RPC_STRING
    assert "server string to sign is:" in str(refused.value)


def test_a_body_that_is_not_the_signed_one_is_refused():
    with pytest.raises(ApiError) as refused:
        read_claim(acs3(body=b"surplus"))
    assert refused.value.code.text == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic dGVzdA==",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 Credential=testid",
        "ACS3-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=" + "0" * 64,
        f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={ACS3_NAMES},Signature={ACS3_SIGNATURE[:-1]}",
        f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={ACS3_NAMES},Signature={ACS3_SIGNATURE}x",
        f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host,Signature={ACS3_SIGNATURE}",
        f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={ACS3_NAMES};x-none,Signature={ACS3_SIGNATURE}",
        f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={ACS3_NAMES.upper()},Signature={ACS3_SIGNATURE}",
        f"ACS3-RSA-SHA256 Credential=testid,SignedHeaders={ACS3_NAMES},Signature={ACS3_SIGNATURE}",
    ],
)
def test_a_malformed_authorization_is_an_incomplete_signature(authorization):
    with pytest.raises(ApiError) as refused:
        read_claim(acs3(headers={"authorization": (authorization,)}))
    assert refused.value.code.text == "IncompleteSignature"


@pytest.mark.parametrize(
    "name",
    ["host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"],
)
def test_each_header_that_steers_the_call_must_be_signed(name):
    names = ";".join(part for part in ACS3_NAMES.split(";") if part != name)
    line = f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={names},Signature={ACS3_SIGNATURE}"
    with pytest.raises(ApiError, match=name):
        read_claim(acs3(headers={"authorization": (line,)}))


@pytest.mark.parametrize("name", ["AccessKeyId", "SignatureMethod", "SignatureNonce", "Timestamp"])
def test_a_missing_rpc_parameter_is_named(name):
    kept = b"&".join(part for part in RPC_QUERY.split(b"&") if not part.startswith(name.encode() + b"="))
    with pytest.raises(ApiError, match=name) as refused:
        read_claim(make_call(kept))
    assert refused.value.code.text == "MissingParameter"


def test_an_unsigned_call_is_refused():
    with pytest.raises(ApiError) as refused:
        read_claim(make_call(b"Action=DescribeRegions"))
    assert refused.value.code.text == "IncompleteSignature"


@pytest.mark.parametrize(
    "date", ["2026-11-22 13:25:27", "2026-11-22T13:25Z", "2026-02-30T00:00:00Z", "now", ""]
)
def test_a_date_that_is_none_is_an_illegal_timestamp(date):
    with pytest.raises(ApiError) as refused:
        read_claim(acs3(headers={"x-acs-date": (date,)}))
    assert refused.value.code.text == "IllegalTimestamp"


def signed_with_blake3(body, digest, *, is_header_signed=True):
    headers = {name: values for name, values in ACS3_HEADERS.items() if name != "authorization"}
    headers["x-acs-content-sha256"] = (BLAKE3_PAYLOAD,)
    headers[BLAKE3_HEADER] = (digest,)
    names = [name for name in headers if is_header_signed or name != BLAKE3_HEADER]
    call = make_call(ACS3_QUERY, headers, body=body)
    listed, signature = sign_acs3(call, names, SECRET)
    line = f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={listed},Signature={signature}"
    return dataclasses.replace(call, headers={**headers, "authorization": (line,)})


def test_a_body_bound_by_blake3_is_accepted():
    body = b"\x01" * 5000
    read_claim(signed_with_blake3(body, blake3(body).hexdigest())).verify(SECRET)


def test_a_body_that_blake3_does_not_bind_is_refused():
    with pytest.raises(ApiError, match="does not belong"):
        read_claim(signed_with_blake3(b"one", blake3(b"two").hexdigest()))


def test_the_blake3_digest_must_itself_be_signed():
    with pytest.raises(ApiError, match="must be signed"):
        read_claim(signed_with_blake3(b"one", blake3(b"one").hexdigest(), is_header_signed=False))


def test_an_unsigned_payload_is_never_accepted():
    with pytest.raises(ApiError):
        read_claim(acs3(headers={"x-acs-content-sha256": ("UNSIGNED-PAYLOAD",)}))


def test_names_that_the_python_client_leaves_unencoded_are_accepted_both_ways():
    call = make_call(b"a%20b=1", {k: v for k, v in ACS3_HEADERS.items() if k != "authorization"})
    listed, signature = sign_acs3(call, call.headers, SECRET)
    line = f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={listed},Signature={signature}"
    claim = read_claim(dataclasses.replace(call, headers={**call.headers, "authorization": (line,)}))
    claim.verify(SECRET)
    assert len(claim.strings_to_sign) == 2


def test_percent_encoding_is_that_of_rfc_3986():
    assert rfc3986("a b*~/é+") == "a%20b%2A~%2F%C3%A9%2B"
