import base64
import dataclasses
import hmac
import json
import logging
import re
from urllib.parse import urlencode

import pytest

from lamina.api.server import HttpRequest
from lamina.api.signature import rfc3986
from lamina.control.accounts.access_keys import disable_access_key
from lamina.telemetry import JsonLines
from tests.factories.api import REGION, ZONE, Answer

UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


def header(answer, name):
    return dict(answer.reply.headers).get(name)


def send_rpc(caller, action, *, method="GET", in_body=False, headers=None, **parameters):
    """A call as the older clients sign it."""
    pairs = {
        "Action": action,
        "Version": "2014-05-26",
        "AccessKeyId": caller.key.id,
        "Timestamp": f"{caller.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": str(caller.nonces()),
        **parameters,
    }
    joined = "&".join(f"{rfc3986(k)}={rfc3986(v)}" for k, v in sorted(pairs.items()))
    text = f"{method}&%2F&{rfc3986(joined)}"
    mac = hmac.new((caller.key.secret + "&").encode(), text.encode(), "sha1").digest()
    encoded = urlencode({**pairs, "Signature": base64.b64encode(mac).decode()}).encode()
    return Answer(
        caller.pipeline.answer(
            HttpRequest(
                method=method,
                path="/",
                query=b"" if in_body else encoded,
                headers={"host": ("h",), **{name: (value,) for name, value in (headers or {}).items()}},
                body=encoded if in_body else b"",
            )
        )
    )


def test_every_answer_has_its_request_id_twice(caller):
    for answer in (caller.call("DescribeRegions"), caller.call("Nonsense")):
        assert UUID.fullmatch(answer.json["RequestId"])
        assert header(answer, "x-acs-request-id") == answer.json["RequestId"]


def test_new_clients_get_json(caller):
    answer = caller.call("DescribeRegions")
    assert (answer.status, header(answer, "content-type")) == (200, "application/json;charset=utf-8")
    assert answer.json["Regions"]["Region"][0] == {
        "RegionId": REGION,
        "LocalName": "Hangzhou",
        "RegionEndpoint": "ecs.example",
        "Status": "available",
    }


def test_old_clients_get_xml_unless_they_ask_for_json(caller):
    answer = send_rpc(caller, "DescribeRegions")
    assert header(answer, "content-type") == "text/xml;charset=utf-8"
    assert b"<DescribeRegionsResponse><RequestId>" in answer.reply.body
    assert b"<Regions><Region><RegionId>cn-hangzhou</RegionId>" in answer.reply.body
    assert send_rpc(caller, "DescribeRegions", Format="json").json["Regions"]


def test_an_error_in_xml_has_its_own_root(caller):
    answer = send_rpc(caller, "Nonsense")
    assert answer.status == 403
    assert re.search(
        rb"<Error><RequestId>.*</RequestId><HostId>h</HostId><Code>InvalidAction</Code>", answer.reply.body
    )


def test_parameters_may_come_in_a_form_body(caller):
    form = "application/x-www-form-urlencoded; charset=UTF-8"
    answer = send_rpc(
        caller,
        "DescribeDisks",
        method="POST",
        in_body=True,
        headers={"content-type": form},
        Format="JSON",
        RegionId=REGION,
    )
    assert (answer.status, answer.json["TotalCount"]) == (200, 0)


def test_nobody_on_the_way_makes_parameters_of_a_body(caller):
    body = b"DiskName=nobody"  # what a disk may hold
    first = caller.call("CreateDisk", RegionId=REGION, ZoneId=ZONE, Size=20)
    assert caller.send("DescribeDisks", f"RegionId={REGION}", body).json["TotalCount"] == 1
    form = {"content-type": "application/x-www-form-urlencoded"}
    signed = caller.send("DescribeDisks", f"RegionId={REGION}", body, **form)
    assert (first.status, signed.json["TotalCount"]) == (200, 0)
    forged = caller.send("DescribeDisks", f"RegionId={REGION}", body, unsigned=form)
    assert (forged.status, forged.code) == (400, "IncompleteSignature")


@pytest.mark.parametrize("name", ["Action", "Version"])
def test_a_header_that_is_not_signed_says_nothing(caller, name):
    honest = send_rpc(caller, "DescribeDisks", Format="JSON", RegionId=REGION, **{name: ""})
    forged = send_rpc(
        caller,
        "DescribeDisks",
        headers={f"x-acs-{name.lower()}": {"Action": "DescribeDisks", "Version": "2014-05-26"}[name]},
        Format="JSON",
        RegionId=REGION,
        **{name: ""},
    )
    assert honest.code == forged.code == "MissingParameter"


def test_an_error_says_what_the_vendor_says(caller):
    answer = caller.call("DescribeZones", RegionId="cn-nowhere")
    assert answer.status == 404
    assert answer.json.keys() == {"RequestId", "HostId", "Code", "Message"}
    assert answer.json["Code"] == "InvalidRegionId.NotFound"
    assert "cn-nowhere" in answer.json["Message"]


def test_names_of_actions_match_in_any_case(caller):
    assert caller.call("describeREGIONS").status == 200


def test_unknown_parameters_are_ignored(caller):
    assert caller.call("DescribeRegions", on="DescribeRegions", OwnerId="").status == 200


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"method": "PUT"}, 403, "UnsupportedHTTPMethod"),
        ({"method": "DELETE"}, 403, "UnsupportedHTTPMethod"),
        ({"path": "/elsewhere"}, 404, "InvalidPath"),
        ({"query": b"a=" + b"x" * 70_000}, 413, "RequestTooLarge"),
        ({"body_problem": "large"}, 413, "RequestTooLarge"),
        ({"body_problem": "slow"}, 408, "RequestTimeout"),
        ({"query": b"Format=JSON&a=%zz"}, 400, "InvalidParameter"),
        ({"query": b"Format=JSON"}, 400, "IncompleteSignature"),
        ({"headers": {"authorization": ("x",)}}, 400, "IncompleteSignature"),
    ],
)
def test_calls_that_are_none_get_a_clean_refusal(installation, changes, status, code):
    plain = {"method": "GET", "path": "/", "query": b"", "headers": {"host": ("h",)}, "body": b""}
    answer = Answer(installation.pipeline.answer(HttpRequest(**{**plain, **changes})))
    assert answer.status == status
    assert code.encode() in answer.reply.body


def test_another_version_is_refused(caller):
    answer = caller.send("DescribeRegions", "", **{"x-acs-version": "2015-01-01"})
    assert (answer.status, answer.code) == (400, "InvalidVersion")


def test_a_call_is_accepted_once(caller):
    first = caller.send("DescribeRegions", "", **{"x-acs-signature-nonce": "again"})
    second = caller.send("DescribeRegions", "", **{"x-acs-signature-nonce": "again"})
    assert (first.status, second.status, second.code) == (200, 400, "SignatureNonceUsed")


def test_a_wrong_signature_does_not_use_up_a_nonce(installation, caller):
    forged = type(caller)(
        caller.pipeline,
        dataclasses.replace(caller.key, secret="guess"),
        caller.clock,
        caller.nonces,
    )
    assert (
        forged.send("DescribeRegions", "", **{"x-acs-signature-nonce": "n"}).code == "SignatureDoesNotMatch"
    )
    assert caller.send("DescribeRegions", "", **{"x-acs-signature-nonce": "n"}).status == 200


def test_a_call_signed_long_ago_is_refused(caller):
    answer = caller.send("DescribeRegions", "", **{"x-acs-date": "2026-03-01T11:44:59Z"})
    assert (answer.status, answer.code) == (400, "IllegalTimestamp")


def test_an_unknown_key_is_refused(installation, caller):
    caller.key = dataclasses.replace(caller.key, id="LTAInobody", secret="s")
    answer = caller.call("DescribeRegions")
    assert (answer.status, answer.code) == (400, "InvalidAccessKeyId.NotFound")


def test_a_disabled_key_is_refused_at_once(installation, caller):
    with installation.services.database.transaction() as session:
        disable_access_key(session, caller.key.id)
    answer = caller.call("DescribeRegions")
    assert (answer.status, answer.code) == (403, "Forbidden.AccessKeyDisabled")


def test_a_bug_leaks_nothing_but_the_request_id(caller, monkeypatch, caplog):
    secret = "the table of passwords"
    monkeypatch.setattr(caller.pipeline._services.limiter, "spend", lambda *_: 1 / len(secret[:0]))
    answer = caller.call("DescribeRegions")
    assert (answer.status, answer.code) == (500, "InternalError")
    assert "division" not in answer.json["Message"]
    [line] = [record for record in caplog.records if record.exc_info]
    assert "ZeroDivisionError" in JsonLines().format(line)
    assert answer.json["RequestId"] in JsonLines().format(line)


def test_a_failing_database_is_a_503_that_tells_no_details(installation, caller, tmp_path):
    installation.services.database._engine.dispose()
    (tmp_path / "lamina.sqlite").write_bytes(b"")
    for extra in tmp_path.glob("lamina.sqlite-*"):
        extra.unlink()
    answer = caller.call("DescribeRegions")
    assert (answer.status, answer.code) == (503, "ServiceUnavailable")
    assert "table" not in answer.json["Message"]


def test_every_call_leaves_one_audit_line_without_secrets(caller, caplog):
    caplog.set_level(logging.INFO, logger="lamina.audit")
    answer = caller.call("DeleteDisk", DiskId="d-nothing", Signature="s3cr3t")
    [record] = [record for record in caplog.records if record.name == "lamina.audit"]
    line = json.loads(JsonLines().format(record))
    assert {
        name: line[name] for name in ("action", "resource", "outcome", "status", "request_id", "account_id")
    } == {
        "action": "DeleteDisk",
        "resource": "d-nothing",
        "outcome": "ok",
        "status": 200,
        "request_id": answer.json["RequestId"],
        "account_id": caller.key.account_id,
    }
    text = JsonLines().format(record)
    assert caller.key.secret not in text
    assert "s3cr3t" not in text


def test_a_refused_call_is_audited_with_its_code(caller, caplog):
    caplog.set_level(logging.INFO, logger="lamina.audit")
    caller.call("DescribeZones", RegionId="cn-nowhere")
    [record] = [record for record in caplog.records if record.name == "lamina.audit"]
    assert json.loads(JsonLines().format(record))["outcome"] == "InvalidRegionId.NotFound"


def test_a_dry_run_checks_everything_and_changes_nothing(caller):
    answer = caller.call("DescribeDisks", RegionId=REGION, DryRun="true")
    assert (answer.status, answer.code) == (400, "DryRunOperation")
    assert answer.json["Message"] == "Request validation has been passed with DryRun flag set."
    assert caller.call("DescribeDisks", RegionId="cn-nowhere", DryRun="true").code == "InvalidRegion.NotFound"


def create(caller, **extra):
    return caller.call("CreateDisk", **{"RegionId": REGION, "ZoneId": ZONE, "Size": 20, **extra})


def test_the_same_client_token_makes_one_disk(caller):
    first, second = create(caller, ClientToken="t"), create(caller, ClientToken="t")
    assert first.json["DiskId"] == second.json["DiskId"]
    assert first.json["RequestId"] != second.json["RequestId"]
    assert caller.call("DescribeDisks", RegionId=REGION).json["TotalCount"] == 1


def test_a_client_token_counts_for_one_account_and_action(installation, caller):
    first = create(caller, ClientToken="t").json["DiskId"]
    other = installation.add_caller("other")
    assert create(other, ClientToken="t").json["DiskId"] != first
    assert (
        caller.call("ImportDisk", RegionId=REGION, ZoneId=ZONE, SizeInBytes=1, ClientToken="t").json["DiskId"]
        != first
    )


def test_a_client_token_with_other_parameters_is_refused(caller):
    create(caller, ClientToken="t")
    assert create(caller, ClientToken="t", DiskName="other").code == "IdempotentParameterMismatch"


def test_defaults_and_spelling_are_no_other_parameters(caller):
    first = create(caller, ClientToken="t")
    again = create(caller, clienttoken="t", BurstingEnabled="False", DiskCategory="CLOUD", OwnerId="1")
    assert again.json["DiskId"] == first.json["DiskId"]


def test_a_refused_call_does_not_use_up_its_token(caller):
    assert create(caller, ClientToken="t", Size=1).status == 400
    assert create(caller, ClientToken="t").status == 200


def test_a_token_is_forgotten_after_a_day(installation, caller):
    first = create(caller, ClientToken="t").json["DiskId"]
    installation.clock.instant = installation.clock.instant.replace(day=3)
    assert create(caller, ClientToken="t").json["DiskId"] != first
