"""What every bucket service must do, whatever it is made of. A test class gives `service` and `bucket`."""

import os
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from lamina.control.buckets.bucket_service import BucketService, LinkMethod
from lamina.control.buckets.errors import (
    BucketNameError,
    BucketNotEmptyError,
    BucketNotFoundError,
    ObjectKeyError,
    ObjectNotFoundError,
)

HOSTILE_KEYS = [
    "",
    "/etc/passwd",
    "../outside",
    "a/../../outside",
    "a/..",
    "./a",
    "a//b",
    "a/",
    "a\0b",
    "a\nb",
    "a\\b",
    "\ud800",
    "x" * 256,
    "/".join(["x" * 250] * 5),
]
GOOD_KEYS = [
    "a",
    "a b/c d",
    "exports/m-0123_system.qcow2",
    "üñí/\u6f22\u5b57/\U0001f600",
    "..a/...",
    ".hidden",
    "50%/100%41+&?#=;",
    "'quoted' \"twice\" <x> {y} [z] |~^`@!$()*,:",
    "x" * 255,
    "/".join(["y" * 200] * 5),
]


class BucketServiceContract:
    @pytest.fixture
    def bucket(self, service: BucketService) -> str:
        name = make_name()
        service.create(name)
        return name

    def test_a_file_made_in_its_scratch_becomes_an_object_and_no_bucket(self, service, bucket, tmp_path):
        top = service.scratch()
        folder = tmp_path / "task" if top is None else top / "task"
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"content")
        assert service.list(bucket, prefix="", after="", limit=10) == []
        service.put(bucket, "key", folder / "file")
        (folder / "file").unlink(missing_ok=True)
        folder.rmdir()
        assert read(service, bucket, "key") == b"content"

    def test_a_bucket_is_made_once_and_removed_once(self, service):
        name = make_name()
        assert not service.exists(name)
        service.create(name)
        service.create(name)
        assert service.exists(name)
        service.remove(name)
        service.remove(name)
        assert not service.exists(name)

    def test_a_bucket_with_objects_stays(self, service, bucket):
        write(service, bucket, "deep/in/a/folder", b"x")
        with pytest.raises(BucketNotEmptyError):
            service.remove(bucket)
        assert read(service, bucket, "deep/in/a/folder") == b"x"
        service.delete(bucket, "deep/in/a/folder")
        service.remove(bucket)
        assert not service.exists(bucket)

    @pytest.mark.parametrize("name", ["", "ab", "..", "a/b", "UPPER", "-ab", "ab-", "a" * 64, "a.b", "a\0b"])
    def test_what_is_no_name_of_a_bucket_is_refused(self, service, name):
        for act in (service.create, service.remove, service.exists):
            with pytest.raises(BucketNameError):
                act(name)
        with pytest.raises(BucketNameError):
            service.stat(name, "key")

    def test_what_is_not_there_is_told(self, service, bucket, tmp_path):
        with pytest.raises(ObjectNotFoundError):
            service.stat(bucket, "a/b")
        with pytest.raises(ObjectNotFoundError), service.reading(bucket, "a/b"):
            pass
        service.delete(bucket, "a/b")
        lost = make_name()
        (tmp_path / "file").write_bytes(b"x")
        with pytest.raises(BucketNotFoundError):
            service.stat(lost, "a")
        with pytest.raises(BucketNotFoundError), service.reading(lost, "a"):
            pass
        with pytest.raises(BucketNotFoundError):
            service.list(lost, prefix="", after="", limit=1)
        with pytest.raises(BucketNotFoundError):
            service.put(lost, "a", tmp_path / "file")
        with pytest.raises(BucketNotFoundError):
            service.link(lost, "a", LinkMethod.GET, timedelta(minutes=1))
        with pytest.raises(BucketNotFoundError), service.writing(lost, "a") as stream:
            stream.write(b"x")
        service.delete(lost, "a")

    @pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: ascii(key[:20]))
    def test_a_hostile_key_is_refused(self, service, bucket, tmp_path, key):
        (tmp_path / "file").write_bytes(b"x")
        with pytest.raises(ObjectKeyError):
            service.put(bucket, key, tmp_path / "file")
        with pytest.raises(ObjectKeyError), service.writing(bucket, key):
            pass
        with pytest.raises(ObjectKeyError):
            service.stat(bucket, key)
        with pytest.raises(ObjectKeyError):
            service.delete(bucket, key)
        with pytest.raises(ObjectKeyError):
            service.link(bucket, key, LinkMethod.PUT, timedelta(minutes=1))
        assert service.list(bucket, prefix="", after="", limit=10) == []

    @pytest.mark.parametrize("key", GOOD_KEYS, ids=lambda key: ascii(key[:20]))
    def test_any_other_key_is_kept_as_it_is(self, service, bucket, key):
        write(service, bucket, key, b"content")
        [found] = service.list(bucket, prefix="", after="", limit=10)
        assert (found.key, found.size_bytes) == (key, 7)
        assert service.stat(bucket, key) == found
        assert read(service, bucket, key) == b"content"
        service.delete(bucket, key)
        assert service.list(bucket, prefix="", after="", limit=10) == []

    @pytest.mark.parametrize("size", [0, 1, 1 << 20, (8 << 20) + 1, 17 << 20])
    def test_a_file_is_put_as_it_is(self, service, bucket, tmp_path, size):
        content = os.urandom(size)
        path = tmp_path / "file"
        path.write_bytes(content)
        before = datetime.now(UTC) - timedelta(seconds=5)
        service.put(bucket, "exports/file", path)
        path.unlink(missing_ok=True)
        found = service.stat(bucket, "exports/file")
        assert found.size_bytes == size
        assert before <= found.modified_at <= datetime.now(UTC) + timedelta(seconds=5)
        assert read(service, bucket, "exports/file") == content

    def test_a_put_may_come_again(self, service, bucket, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"same")
        service.put(bucket, "key", path)
        path.write_bytes(b"same")
        service.put(bucket, "key", path)
        assert read(service, bucket, "key") == b"same"

    def test_what_is_put_replaces_what_was_there(self, service, bucket, tmp_path):
        write(service, bucket, "key", b"old and long")
        before = service.stat(bucket, "key")
        (tmp_path / "file").write_bytes(b"new")
        service.put(bucket, "key", tmp_path / "file")
        assert read(service, bucket, "key") == b"new"
        assert service.stat(bucket, "key").etag != before.etag

    def test_a_stream_is_an_object_when_it_ended_well(self, service, bucket):
        with service.writing(bucket, "key") as stream:
            for number in range(100):
                stream.write(bytes([number]) * 1000)
            assert service.list(bucket, prefix="", after="", limit=10) == []
        assert read(service, bucket, "key") == b"".join(bytes([number]) * 1000 for number in range(100))

    def test_a_stream_that_ended_badly_is_nothing(self, service, bucket):
        write(service, bucket, "old", b"old")
        for key in ("old", "new"):
            with pytest.raises(KeyError):
                write_half(service, bucket, key, 4_000_000)
        assert [found.key for found in service.list(bucket, prefix="", after="", limit=10)] == ["old"]
        assert read(service, bucket, "old") == b"old"

    def test_reading_begins_anywhere(self, service, bucket):
        content = os.urandom(9 << 20)
        write(service, bucket, "key", content)
        for offset in (0, 1, 8 << 20, len(content) - 1, len(content), len(content) + 5):
            with service.reading(bucket, "key", offset) as stream:
                assert stream.read(100_000) == content[offset : offset + 100_000]
        with service.reading(bucket, "key", 3) as stream:
            assert stream.read() == content[3:]

    def test_lists_are_in_order_and_in_slices(self, service, bucket):
        keys = ["a", "a-b", "a.b", "a0", "b/1", "b/2/3", "b-1", "b.1", "c", "é"]
        for key in keys:
            write(service, bucket, key, key.encode())
        in_order = sorted(keys, key=str.encode)
        assert names(service.list(bucket, prefix="", after="", limit=100)) == in_order
        for limit in (1, 3):
            found: list[str] = []
            while part := names(
                service.list(bucket, prefix="", after=found[-1] if found else "", limit=limit)
            ):
                assert len(part) <= limit
                found += part
            assert found == in_order
        assert names(service.list(bucket, prefix="b", after="", limit=100)) == ["b-1", "b.1", "b/1", "b/2/3"]
        assert names(service.list(bucket, prefix="b/", after="b/1", limit=100)) == ["b/2/3"]
        assert names(service.list(bucket, prefix="b/2", after="b/0", limit=100)) == ["b/2/3"]
        assert names(service.list(bucket, prefix="", after="b/15", limit=2)) == ["b/2/3", "c"]
        assert names(service.list(bucket, prefix="nothing", after="", limit=100)) == []

    def test_buckets_are_apart(self, service, bucket):
        other = make_name()
        service.create(other)
        write(service, bucket, "key", b"mine")
        assert service.list(other, prefix="", after="", limit=10) == []
        with pytest.raises(ObjectNotFoundError):
            service.stat(other, "key")
        service.delete(other, "key")
        assert read(service, bucket, "key") == b"mine"


def make_name() -> str:
    return f"bucket-{secrets.token_hex(8)}"


def write(service: BucketService, bucket: str, key: str, content: bytes) -> None:
    with service.writing(bucket, key) as stream:
        stream.write(content)


def write_half(service: BucketService, bucket: str, key: str, size: int) -> None:
    with service.writing(bucket, key) as stream:
        stream.write(bytes(size))
        raise KeyError


def read(service: BucketService, bucket: str, key: str) -> bytes:
    with service.reading(bucket, key) as stream:
        return stream.read()


def names(found) -> list[str]:
    return [each.key for each in found]
