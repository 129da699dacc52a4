"""The client against a server that answers what the test says."""

import json

import pytest
from blake3 import blake3

from lamina.api.signature import BLAKE3_HEADER, SignedCall, read_claim
from lamina.api.wire import parse_pairs
from lamina.cli.client import CallRefusedError, EcsClient, Profile, ServiceFaultError, read_profile
from lamina.clock import ManualClock
from lamina.failures import Corruption, Refusal
from lamina.settings import Settings
from tests.factories.api import START


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def client(stage, clock):
    profile = Profile(
        endpoint=stage.endpoint, access_key_id="id", access_key_secret="secret", region_id="cn-x"
    )
    with EcsClient(profile, clock) as made:
        yield made


def fail(status, code):
    return status, {}, json.dumps({"Code": code, "Message": "because", "RequestId": "R-1"}).encode()


OK = (200, {}, b'{"RequestId": "R-0"}')


def test_what_it_signs_is_accepted_by_the_verifier(stage, client):
    stage.answers.append(OK)
    client.call(
        "CreateDisk",
        {"Size": 1, "Tag": [{"Key": "a b", "Value": "é*"}], "Encrypted": False, "X": None},
        b"body",
    )
    [(path, headers, body)] = stage.requests
    pairs = parse_pairs(path.partition("?")[2].encode(), "query")
    assert pairs == (("Size", "1"), ("Tag.1.Key", "a b"), ("Tag.1.Value", "é*"), ("Encrypted", "false"))
    call = SignedCall(
        method="POST",
        path="/",
        query=pairs,
        form=(),
        headers={name: (value,) for name, value in headers.items()},
        body=body,
    )
    read_claim(call).verify("secret")


def test_connections_are_kept(stage, client):
    stage.answers += [OK, OK]
    client.call("DescribeRegions")
    first = client._local.connection.sock
    client.call("DescribeRegions")
    assert client._local.connection.sock is first


def test_a_connection_that_was_idle_for_long_is_made_anew(stage, client, clock):
    stage.answers += [OK, OK]
    client.call("DescribeRegions")
    first = client._local.connection.sock
    clock.sleep(21)
    client.call("DescribeRegions")
    assert client._local.connection.sock is not first


@pytest.mark.parametrize(("status", "code"), [(503, "ServiceUnavailable"), (400, "Throttling")])
def test_a_busy_service_is_asked_again(stage, client, clock, status, code):
    stage.answers += [fail(status, code), fail(status, code), OK]
    client.call("CreateDisk", {"ClientToken": "t"})
    assert len(stage.requests) == 3
    assert len({headers["x-acs-signature-nonce"] for _, headers, _ in stage.requests}) == 3
    assert clock.monotonic() == pytest.approx(0.6)


def test_what_would_make_a_second_thing_is_not_repeated_when_nobody_knows_whether_it_was_done(stage, client):
    stage.answers.append(fail(503, "ServiceUnavailable"))
    with pytest.raises(ServiceFaultError, match="ServiceUnavailable"):
        client.call("CreateDisk")
    stage.answers += [fail(400, "Throttling"), OK]  # said before anything is done
    client.call("CreateDisk")
    assert len(stage.requests) == 3


def test_a_service_that_stays_busy_is_a_fault(stage, client):
    stage.answers += [fail(503, "ServiceUnavailable")] * 5
    with pytest.raises(ServiceFaultError, match="ServiceUnavailable, RequestId R-1"):
        client.call("DescribeDisks")
    assert stage.answers == []


@pytest.mark.parametrize(
    ("answer", "failure", "text"),
    [
        (
            fail(404, "InvalidDiskId.NotFound"),
            CallRefusedError,
            "because (InvalidDiskId.NotFound, RequestId R-1)",
        ),
        (fail(500, "InternalError"), ServiceFaultError, "InternalError"),
        (fail(500, "InternalError.DamagedData"), Corruption, "because"),
        ((502, {}, b"<html>proxy</html>"), ServiceFaultError, "none of this service"),
        ((400, {}, b"[]"), ServiceFaultError, "none of this service"),
    ],
)
def test_what_an_answer_means(stage, client, answer, failure, text):
    stage.answers.append(answer)
    with pytest.raises(failure) as raised:
        client.call("DescribeDisks")
    assert text in str(raised.value)
    assert len(stage.requests) == 1


def test_bytes_are_checked(stage, client):
    digest = {BLAKE3_HEADER: blake3(b"data").hexdigest()}
    stage.answers += [(200, digest, b"data"), (200, digest, b"date"), (200, {}, b"data")]
    assert client.read("ReadDiskData", {}) == b"data"
    for _ in range(2):
        with pytest.raises(Corruption, match="not those that were sent"):
            client.read("ReadDiskData", {})


@pytest.mark.parametrize(
    ("action", "parameters", "attempts"),
    [
        ("DescribeDisks", {}, 5),
        ("DeleteDisk", {}, 5),
        ("CreateDisk", {}, 1),
        ("ResetDisk", {}, 1),
        ("CreateDisk", {"ClientToken": "t"}, 5),
    ],
)
def test_what_may_be_sent_twice_is(clock, action, parameters, attempts):
    profile = Profile(endpoint="127.0.0.1:1", access_key_id="id", access_key_secret="s", region_id="cn-x")
    with EcsClient(profile, clock) as client, pytest.raises(ServiceFaultError, match="cannot be reached"):
        client.call(action, parameters)
    assert clock.monotonic() == pytest.approx(3.0 if attempts == 5 else 0)


def test_an_endpoint_that_is_none():
    with pytest.raises(Refusal, match="no endpoint"):
        EcsClient(Profile(endpoint="ftp://x", access_key_id="id", access_key_secret="s", region_id="r"))


def test_a_profile_comes_from_the_file_then_from_the_environment(tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"access_key_id": "file", "access_key_secret": "s", "account_id": 7}))
    settings = Settings(endpoint="http://h:1", access_key_id="environment")
    profile = read_profile(file, settings)
    assert (profile.access_key_id, profile.endpoint, profile.region_id) == (
        "file",
        "http://h:1",
        "cn-hangzhou",
    )
    assert "'s'" not in repr(profile)


@pytest.mark.parametrize("text", ["", "[]", "{", "7"])
def test_a_profile_that_is_none_is_refused(tmp_path, text):
    file = tmp_path / "credentials.json"
    file.write_text(text)
    with pytest.raises(Refusal, match="profile"):
        read_profile(file, Settings())


def test_on_its_host_a_service_needs_no_profile_unless_the_environment_names_another(tmp_path):
    own = {"endpoint": "http://h:1", "access_key_id": "own", "access_key_secret": "s", "region_id": "here"}
    (tmp_path / "credentials.json").write_text(json.dumps(own))
    profile = read_profile(None, Settings(data_dir=tmp_path))
    assert (profile.access_key_id, profile.endpoint, profile.region_id) == ("own", "http://h:1", "here")
    for named in ({"endpoint": "http://h:2"}, {"access_key_id": "e"}, {"access_key_secret": "t"}):
        with pytest.raises(Refusal, match="missing"):
            read_profile(None, Settings(data_dir=tmp_path, **named))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(Refusal, match="missing: endpoint, access_key_id, access_key_secret"):
        read_profile(None, Settings())
    with pytest.raises(Refusal, match="cannot be read"):
        read_profile(tmp_path / "none", Settings())
