"""A file system that is really full: the bucket says so, keeps what it has, and takes more when there is room."""

import subprocess
from datetime import UTC, datetime

import pytest

from lamina.clock import ManualClock
from lamina.control.buckets.directory import DirectoryBuckets
from lamina.control.buckets.errors import BucketForbiddenError, BucketFullError
from lamina.control.buckets.links import LinkSigner
from lamina.units import MIB
from tests import needs

pytestmark = needs.ROOT


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def service(place):
    made = DirectoryBuckets(
        place / "buckets", LinkSigner(bytes(32), ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    )
    made.create("bucket")
    return made


def write(service, key, size):
    with service.writing("bucket", key) as stream:
        stream.write(bytes([1]) * size)


def names(service):
    return [each.key for each in service.list("bucket", prefix="", after="", limit=10)]


def test_a_full_disk_leaves_nothing_of_what_did_not_fit(service, place, tmp_path):
    write(service, "kept", 2 * MIB)
    with pytest.raises(BucketFullError, match="No space left"):
        write(service, "large", 3 * MIB)
    (tmp_path / "elsewhere").write_bytes(bytes([1]) * (3 * MIB))
    with pytest.raises(BucketFullError):
        service.put("bucket", "large", tmp_path / "elsewhere")
    assert names(service) == ["kept"]
    assert list((place / "buckets" / "bucket" / "new").iterdir()) == []
    write(service, "small", MIB)
    service.delete("bucket", "kept")
    service.put("bucket", "large", tmp_path / "elsewhere")
    assert names(service) == ["large", "small"]


def test_a_read_only_disk_still_gives(service, place):
    write(service, "key", 10)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    with service.reading("bucket", "key") as stream:
        assert stream.read() == bytes([1]) * 10
    with pytest.raises(BucketForbiddenError, match="Read-only"):
        write(service, "more", 1)
    with pytest.raises(BucketForbiddenError):
        service.delete("bucket", "key")
    assert names(service) == ["key"]
