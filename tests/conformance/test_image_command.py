"""`lamina image`, as a person uses it."""

import json
import os

import pytest

from tests.conformance.test_buckets import list_keys, make_bucket

CONTENT = os.urandom(200_000)


@pytest.fixture
def bucket(account):
    return make_bucket(account)


@pytest.fixture
def snapshot(account):
    return account.make_snapshot(account.make_disk(CONTENT, DiskType="system"))


def test_an_image_makes_the_whole_way_and_back(account, bucket, snapshot, tmp_path):
    image = account.run("image", "create", "--snapshot", snapshot, "--name", "first", "--wait").stdout.strip()
    done = account.run("image", "export", image, bucket, "--format", "qcow2", "--prefix", "p", "--wait")
    (key,) = list_keys(account, bucket)
    assert done.stdout.strip() in key
    assert f"{bucket}/{key}" in done.stderr
    account.run("bucket", "get", f"{bucket}/{key}", tmp_path / "disk.qcow2")
    account.run("bucket", "put", tmp_path / "disk.qcow2", f"{bucket}/again.qcow2")
    again = account.run(
        "image", "import", f"{bucket}/again.qcow2", "--name", "second", "--wait"
    ).stdout.strip()
    listed = account.run("image", "list", "--mine").stdout
    assert listed.split()[:3] == ["ID", "NAME", "STATUS"]
    assert image in listed
    assert again in listed
    found = json.loads(account.run("image", "list", "--mine", "--json").stdout)
    assert [(each["ImageName"], each["Status"]) for each in found] == [
        ("second", "Available"),
        ("first", "Available"),
    ]
    account.run("image", "delete", image)
    account.run("image", "delete", again)
    assert json.loads(account.run("image", "list", "--mine", "--json").stdout) == []


@pytest.mark.parametrize("others", [(), ("good.raw",)])
def test_a_failed_import_ends_with_its_reason(account, bucket, tmp_path, others):
    (tmp_path / "bad.qcow2").write_bytes(b"no image" * 99)
    (tmp_path / "good.raw").write_bytes(b"image" * 99)
    files = [*others, "bad.qcow2"]
    for file in files:
        account.run("bucket", "put", tmp_path / file, f"{bucket}/")
    done = account.run("image", "import", *(f"{bucket}/{file}" for file in files), "--wait", check=False)
    assert done.returncode == 2
    assert "version 2 or 3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create",), "either --snapshot, or --instance"),
        (("import", "no-slash"), "write BUCKET/KEY"),
        (("export", "m-unknown", "bucket"), "there is no image m-unknown"),
    ],
)
def test_what_cannot_be_done_is_told(account, arguments, message):
    done = account.run("image", *arguments, check=False)
    assert done.returncode == 2
    assert message in done.stderr
