"""Buckets and signed links against a served instance; snapshots have nothing to do with them."""

import json
import os
import re
import secrets
import subprocess
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import alibabacloud_ecs20140526.models as m
import pytest

from lamina.cli.client import CallRefusedError
from lamina.clock import SystemClock
from lamina.control.accounts.access_keys import NewKey, add_access_key
from lamina.control.accounts.states import KeyRole
from lamina.control.installation import open_metadata
from tests.conformance.conftest import REGION, Account, wait_until

IN_REGION = {"RegionId": REGION}


def call(account, action, **parameters):
    return account.lamina().call(action, {**IN_REGION, **parameters})


def make_bucket(account):
    name = f"bucket-{secrets.token_hex(8)}"
    call(account, "CreateBucket", BucketName=name)
    return name


def make_link(account, bucket, key, **options):
    return call(account, "CreateBucketLink", BucketName=bucket, ObjectKey=key, **options)["Link"]


def list_keys(account, bucket, **options):
    found = call(account, "ListBucketObjects", BucketName=bucket, **options)
    return [each["ObjectKey"] for each in found["Objects"]["Object"]]


def send(method, link, body=None, **headers):
    """One request; the answer's status, headers and body."""
    parts = urlsplit(link)
    connection = HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request(
            method,
            f"{parts.path}?{parts.query}",
            body,
            {name.replace("_", "-"): value for name, value in headers.items()},
        )
        reply = connection.getresponse()
        return reply.status, dict(reply.headers.items()), reply.read()
    finally:
        connection.close()


def curl(*arguments, check=True):
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(
        ["curl", "-sS", *map(str, arguments)],
        check=check,
        capture_output=True,
        timeout=60,
        env=environment,
    )


def put(account, bucket, key, content):
    assert send("PUT", make_link(account, bucket, key, Method="PUT"), content)[0] == 200


@pytest.fixture
def bucket(account):
    return make_bucket(account)


def test_b01_e01_snapshots_need_no_bucket_and_put_nothing_into_one(account):
    sdk = account.new_sdk()
    disk = account.make_disk(b"data" * 1000)

    def snapshot():
        made = sdk.create_snapshot(m.CreateSnapshotRequest(disk_id=disk)).body.snapshot_id
        account.wait_snapshot(made)

    snapshot()
    assert call(account, "ListBuckets")["Buckets"]["Bucket"] == []
    bucket = make_bucket(account)
    snapshot()
    assert [each["BucketName"] for each in call(account, "ListBuckets")["Buckets"]["Bucket"]] == [bucket]
    assert list_keys(account, bucket) == []
    fields = m.CreateSnapshotRequest().__dict__
    assert not [name for name in fields if "bucket" in name or "oss" in name]


def test_a_file_goes_up_and_comes_down_with_curl(account, bucket, tmp_path):
    content = os.urandom(3 << 20)
    (tmp_path / "up").write_bytes(content)
    key = "exports/my disk (ü) 100%.qcow2"
    curl("--fail", "-T", tmp_path / "up", make_link(account, bucket, key, Method="PUT"))
    [found] = call(account, "ListBucketObjects", BucketName=bucket)["Objects"]["Object"]
    assert (found["ObjectKey"], found["Size"]) == (key, len(content))
    link = make_link(account, bucket, key)
    curl("--fail", "-o", tmp_path / "down", link)
    assert (tmp_path / "down").read_bytes() == content
    head = curl("--fail", "-I", link).stdout.decode().lower()
    assert f"content-length: {len(content)}" in head
    assert f'etag: "{found["ETag"]}"' in head


def test_curl_resumes_a_download(account, bucket, tmp_path):
    content = os.urandom(2 << 20)
    put(account, bucket, "key", content)
    (tmp_path / "down").write_bytes(content[: 1 << 20])
    curl("--fail", "-C", "-", "-o", tmp_path / "down", make_link(account, bucket, "key"))
    assert (tmp_path / "down").read_bytes() == content
    part = curl("--fail", "-r", "5-9", make_link(account, bucket, "key")).stdout
    assert part == content[5:10]


def test_curl_gets_and_keeps_the_name_of_the_file(account, bucket, tmp_path):
    put(account, bucket, "exports/disk.raw", b"content")
    headers = send("GET", make_link(account, bucket, "exports/disk.raw"))[1]
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''disk.raw"
    assert headers["x-content-type-options"] == "nosniff"


def test_ranges_and_conditions(account, bucket):
    put(account, bucket, "key", b"0123456789")
    link = make_link(account, bucket, "key")
    status, headers, body = send("GET", link, Range="bytes=2-4")
    assert (status, headers["content-range"], body) == (206, "bytes 2-4/10", b"234")
    etag = headers["etag"]
    assert send("GET", link, Range="bytes=-3")[2] == b"789"
    assert send("GET", link, Range="bytes=2-4", If_Range=etag)[0] == 206
    assert send("GET", link, Range="bytes=2-4", If_Range='"other"')[::2] == (200, b"0123456789")
    assert send("GET", link, If_Match='"other"')[0] == 412
    status, headers, body = send("GET", link, Range="bytes=10-")
    assert (status, headers["content-range"]) == (416, "bytes */10")
    assert ET.fromstring(body).findtext("Code") == "InvalidRange"
    status, headers, body = send("HEAD", link, Range="bytes=1-")
    assert (status, headers["content-length"], body) == (206, "9", b"")


def test_wrong_and_expired_links_are_refused_in_the_words_of_oss(account, bucket):
    put(account, bucket, "key", b"secret")
    link = make_link(account, bucket, "key")
    for wrong in (
        link.replace("/key?", "/other?"),
        link.replace(bucket, "bucket-that-is-not-there"),
        link.replace("Expires=", "Expires=9"),
        link + "x",
        link + "&Expires=1",
        link.partition("?")[0],
        link.replace("/key?", "/%ff?"),
        link.replace("/key?", "/..%2f..%2froot.key?"),
        link.replace(f"/{bucket}/key", "/"),
    ):
        status, headers, body = send("GET", wrong)
        assert (status, ET.fromstring(body).findtext("Code")) == (403, "SignatureDoesNotMatch"), wrong
        assert ET.fromstring(body).findtext("RequestId") == headers["x-oss-request-id"]
        assert b"secret" not in body
    assert send("PUT", link, b"x")[0] == 403
    assert send("POST", link, b"x")[0] == 405
    assert send("DELETE", link)[0] == 405
    short = make_link(account, bucket, "key", ExpiresInSeconds=1)
    time.sleep(1.1)
    status, _, body = send("GET", short)
    assert (status, ET.fromstring(body).findtext("Code")) == (403, "AccessDenied")


def test_a_link_to_put_does_not_get_and_takes_no_more_than_it_says(account, bucket):
    link = make_link(account, bucket, "key", Method="PUT", MaxSize=1000)
    assert send("GET", link)[0] == 403
    status, _, body = send("PUT", link, bytes(1001))
    assert (status, ET.fromstring(body).findtext("Code")) == (400, "EntityTooLarge")
    assert send("PUT", link.replace("MaxSize=1000", "MaxSize=2000"), bytes(1001))[0] == 403
    chunks = (bytes(600) for _ in range(2))  # no Content-Length
    status, _, body = send("PUT", link, chunks)
    assert (status, ET.fromstring(body).findtext("Code")) == (400, "EntityTooLarge")
    assert list_keys(account, bucket) == []
    assert send("PUT", link, bytes(1000))[0] == 200
    assert list_keys(account, bucket) == ["key"]


def test_an_upload_that_breaks_off_leaves_nothing(account, service, bucket):
    parts = urlsplit(make_link(account, bucket, "key", Method="PUT"))
    connection = HTTPConnection(parts.netloc, timeout=20)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}")
    connection.putheader("content-length", str(8 << 20))
    connection.endheaders(bytes(4 << 20))
    connection.close()
    deadline = time.monotonic() + 10
    new = service.data_dir / "buckets" / REGION / bucket / "new"
    while any(new.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert list_keys(account, bucket) == []


def test_a_part_of_a_file_is_not_taken_for_the_object(account, bucket, tmp_path):
    link = make_link(account, bucket, "key", Method="PUT")
    (tmp_path / "file").write_bytes(b"0123456789")
    assert curl("--upload-file", tmp_path / "file", link).stdout == b""
    answer = curl("--continue-at", 5, "--upload-file", tmp_path / "file", link).stdout
    assert b"InvalidRequest" in answer
    assert send("GET", make_link(account, bucket, "key"))[2] == b"0123456789"


def test_a_download_that_the_client_gives_up_ends_at_once(account, service, bucket):
    put(account, bucket, "large", bytes(64 << 20))
    parts = urlsplit(make_link(account, bucket, "large"))
    connection = HTTPConnection(parts.netloc, timeout=20)
    connection.request("GET", f"{parts.path}?{parts.query}")
    reply = connection.getresponse()
    reply.read(1000)
    reply.close()
    connection.close()

    def find_end():
        lines = [line for line in service.log.read_text().splitlines() if "GetBucketObject" in line]
        return next((line for line in map(json.loads, lines) if bucket in line["resource"]), None)

    end = wait_until(find_end, bool)
    assert end["outcome"] == "ClientDisconnect"
    assert (end["action"], end["status"]) == ("GetBucketObject", 200)
    assert end["moved_bytes"] < 32 << 20


def test_an_object_replaces_another_one_only_as_a_whole(account, bucket):
    put(account, bucket, "key", b"old")
    link = make_link(account, bucket, "key")
    put(account, bucket, "key", b"new and longer")
    assert send("GET", link)[2] == b"new and longer"


def test_buckets_of_other_accounts_are_not_there(account, stranger, bucket):
    put(account, bucket, "key", b"x")
    assert call(stranger, "ListBuckets")["Buckets"]["Bucket"] == []
    unknown = f"bucket-{'0' * 16}"
    for action, parameters in (
        ("ListBucketObjects", {}),
        ("DeleteBucketObject", {"ObjectKey": "key"}),
        ("CreateBucketLink", {"ObjectKey": "key"}),
        ("CreateBucketLink", {"ObjectKey": "key", "Method": "PUT"}),
        ("DeleteBucket", {}),
    ):
        told = []
        for name in (bucket, unknown):
            with pytest.raises(CallRefusedError) as caught:
                call(stranger, action, BucketName=name, **parameters)
            told.append((caught.value.code, str(caught.value).split("RequestId")[0].replace(name, "")))
        assert told[0] == told[1]
        assert told[0][0] == "InvalidBucketName.NotFound"
    with pytest.raises(CallRefusedError) as caught:
        call(stranger, "CreateBucket", BucketName=bucket)
    assert caught.value.code == "BucketAlreadyExists"
    assert account.account_id not in str(caught.value)
    assert list_keys(account, bucket) == ["key"]


def add_key(account, role):
    with open_metadata(account.service.data_dir) as (database, vault), database.transaction() as session:
        key = add_access_key(session, vault, SystemClock(), account.account_id, NewKey(role=role))
    return Account(account.service, account.account_id, key.id, key.secret)


def test_roles_have_least_privilege(account, bucket):
    put(account, bucket, "key", b"x")
    reader, operator = add_key(account, KeyRole.READ_ONLY), add_key(account, KeyRole.OPERATOR)
    try:
        assert list_keys(reader, bucket) == ["key"]
        assert send("GET", make_link(reader, bucket, "key"))[2] == b"x"
        put(operator, bucket, "other", b"y")
        make_bucket(operator)
        for key, action, parameters in (
            (reader, "CreateBucketLink", {"ObjectKey": "key", "Method": "PUT"}),
            (reader, "CreateBucket", {}),
            (reader, "DeleteBucketObject", {"ObjectKey": "key"}),
            (operator, "DeleteBucketObject", {"ObjectKey": "key"}),
            (operator, "DeleteBucket", {}),
        ):
            with pytest.raises(CallRefusedError) as caught:
                call(key, action, BucketName=bucket, **parameters)
            assert caught.value.code == "Forbidden.RAM"
    finally:
        reader.close()
        operator.close()
    assert list_keys(account, bucket) == ["key", "other"]


def test_objects_are_listed_in_pages_and_deleted(account, bucket):
    keys = [f"folder/{number:02}" for number in range(5)] + ["other"]
    for key in keys:
        put(account, bucket, key, key.encode())
    assert list_keys(account, bucket, Prefix="folder/") == keys[:5]
    found, token = [], None
    while token != "":
        page = call(account, "ListBucketObjects", BucketName=bucket, MaxResults=4, NextToken=token)
        found += [each["ObjectKey"] for each in page["Objects"]["Object"]]
        token = page["NextToken"]
    assert found == keys
    with pytest.raises(CallRefusedError) as caught:
        call(account, "DeleteBucket", BucketName=bucket)
    assert caught.value.code == "BucketNotEmpty"
    for key in keys:
        call(account, "DeleteBucketObject", BucketName=bucket, ObjectKey=key)
        call(account, "DeleteBucketObject", BucketName=bucket, ObjectKey=key)
    call(account, "DeleteBucket", BucketName=bucket)
    assert call(account, "ListBuckets")["TotalCount"] == 0


@pytest.mark.parametrize("key", ["../../../root.key", "/etc/passwd", "a/../../b", "a//b", "x" * 300])
def test_hostile_keys_do_not_leave_the_bucket(account, bucket, key):
    for action, more in (("CreateBucketLink", {"Method": "PUT"}), ("DeleteBucketObject", {})):
        with pytest.raises(CallRefusedError) as caught:
            call(account, action, BucketName=bucket, ObjectKey=key, **more)
        assert caught.value.code == "InvalidObjectKey.Malformed"


def test_links_are_audited_and_logged_without_their_signature(account, service, bucket):
    link = make_link(account, bucket, "key", Method="PUT")
    assert send("PUT", link, b"content")[0] == 200
    assert send("GET", link)[0] == 403
    signature = re.search(r"Signature=([\w-]+)", link)[1]
    time.sleep(0.5)  # the audit log is written five times a second
    done = account.run("audit", "list", "--data", service.data_dir, "--account", account.account_id, "--json")
    calls = {each["action"]: each for each in json.loads(done.stdout)}
    assert calls["PutBucketObject"]["resource"] == f"{bucket}/key"
    assert calls["PutBucketObject"]["status"] == 200
    assert "CreateBucketLink" in calls
    log = service.log.read_text()
    assert "PutBucketObject" in log
    for text in (log, done.stdout):
        assert signature not in text
