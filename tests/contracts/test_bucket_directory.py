"""What the contract cannot ask of every service: the files of a directory of buckets."""

import errno
import os
import resource
import signal
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from lamina.clock import ManualClock
from lamina.control.buckets import files
from lamina.control.buckets.bucket_service import LinkMethod
from lamina.control.buckets.directory import DirectoryBuckets
from lamina.control.buckets.errors import (
    BucketForbiddenError,
    BucketFullError,
    BucketNameTakenError,
    BucketNotEmptyError,
    BucketNotFoundError,
    LinkSignatureError,
    ObjectKeyError,
    ObjectNotFoundError,
)
from lamina.control.buckets.links import LinkSigner
from lamina.failures import Fault
from lamina.units import MIB

BUCKET = "bucket"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "buckets"


@pytest.fixture
def service(root):
    made = DirectoryBuckets(root, LinkSigner(bytes(32), ManualClock(datetime(2026, 1, 1, tzinfo=UTC))))
    made.create(BUCKET)
    return made


def names(service, **options):
    given = {"prefix": "", "after": "", "limit": 100, **options}
    return [found.key for found in service.list(BUCKET, **given)]


def leftovers(root):
    return list((root / BUCKET / "new").iterdir())


def write(service, key, content):
    with service.writing(BUCKET, key) as stream:
        stream.write(content)


def put(service, tmp_path, key, content):
    path = tmp_path / "source"
    path.write_bytes(content)
    service.put(BUCKET, key, path)


def test_a_put_file_shares_its_blocks(service, root, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    path.chmod(0o644)
    service.put(BUCKET, "a/b", path)
    placed = root / BUCKET / "objects" / "a" / "b"
    assert placed.stat().st_ino == path.stat().st_ino
    assert placed.stat().st_mode & 0o777 == 0o600
    service.put(BUCKET, "a/b", path)  # after an interruption, the same again
    assert leftovers(root) == []


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_a_file_that_cannot_be_shared_is_copied_without_its_holes(service, root, tmp_path, monkeypatch, code):
    def refuse(*_arguments, **_options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "link", refuse)
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.seek(8 * MIB)
        file.write(b"data" * 1000)
        file.truncate(64 * MIB)
    service.put(BUCKET, "key", path)
    placed = root / BUCKET / "objects" / "key"
    assert placed.stat().st_size == 64 * MIB
    assert placed.stat().st_blocks * 512 < MIB
    with service.reading(BUCKET, "key", 8 * MIB) as stream:
        assert stream.read(4004) == b"data" * 1000 + bytes(4)
    assert path.exists()


def test_a_source_that_is_not_there_is_no_missing_object(service, tmp_path):
    with pytest.raises(Fault, match="cannot be put"):
        service.put(BUCKET, "key", tmp_path / "nothing")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(Fault, match="cannot be put"):
        service.put(BUCKET, "key", tmp_path / "link")


def test_what_a_dead_writer_left_is_never_listed_and_goes_with_the_next_write(service, root):
    child = os.fork()
    if child == 0:
        with service.writing(BUCKET, "key") as stream:
            stream.write(bytes(2 * MIB))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(leftovers(root)) == 1
    assert names(service) == []
    write(service, "key", b"whole")
    assert leftovers(root) == []
    assert names(service) == ["key"]


def test_a_living_writer_is_not_swept_away(service, root):
    with service.writing(BUCKET, "slow") as slow:
        slow.write(bytes(2 * MIB))
        write(service, "quick", b"x")
        assert len(leftovers(root)) == 1
    assert names(service) == ["quick", "slow"]


def test_a_file_that_may_not_grow_is_no_room_and_leaves_nothing(service, root, tmp_path, monkeypatch):
    write(service, "key", b"old")
    with limited(MIB), pytest.raises(BucketFullError, match="has no room"):
        write(service, "key", bytes(3 * MIB))
    monkeypatch.setattr(files.os, "link", _no_link)
    (tmp_path / "source").write_bytes(b"x" * (3 * MIB))
    with limited(MIB), pytest.raises(BucketFullError):
        service.put(BUCKET, "key", tmp_path / "source")
    assert leftovers(root) == []
    with service.reading(BUCKET, "key") as stream:
        assert stream.read() == b"old"


def test_what_the_system_does_not_allow_is_forbidden(service, root):
    write(service, "key", b"x")
    with unprivileged(root):
        with pytest.raises(BucketForbiddenError, match="Permission denied"):
            service.stat(BUCKET, "key")
        with pytest.raises(BucketForbiddenError):
            write(service, "new", b"x")
    assert names(service) == ["key"]


def test_an_object_is_no_folder_and_a_folder_no_object(service, tmp_path):
    write(service, "a/b", b"x")
    for key in ("a", "a/b/c"):
        with pytest.raises(ObjectKeyError):
            write(service, key, b"y")
        with pytest.raises(ObjectKeyError):
            put(service, tmp_path, key, b"y")
        with pytest.raises(ObjectNotFoundError):
            service.stat(BUCKET, key)
        service.delete(BUCKET, key)
    assert names(service) == ["a/b"]


def test_folders_go_with_their_last_object(service, root):
    write(service, "a/b/c", b"x")
    write(service, "a/d", b"x")
    service.delete(BUCKET, "a/b/c")
    assert not (root / BUCKET / "objects" / "a" / "b").exists()
    service.delete(BUCKET, "a/d")
    assert list((root / BUCKET / "objects").iterdir()) == []


def test_objects_come_and_go_at_once_in_one_folder(service):
    failures = []

    def come_and_go(number):
        try:
            for _ in range(60):
                write(service, f"same/folder/{number}", b"x")
                service.delete(BUCKET, f"same/folder/{number}")
        except Exception as failure:  # noqa: BLE001 - whatever it is, the test tells
            failures.append(failure)

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert names(service) == []


def test_only_plain_files_with_good_names_are_objects(service, root, tmp_path):
    top = root / BUCKET / "objects"
    (tmp_path / "secret").write_text("secret")
    (top / "link").symlink_to(tmp_path / "secret")
    (top / "folder").symlink_to(tmp_path)
    os.mkfifo(top / "pipe")
    (top / os.fsdecode(b"no-\xff-text")).write_bytes(b"x")
    (top / "placed by hand").write_bytes(b"x")
    assert names(service) == ["placed by hand"]
    for key in ("link", "pipe", "folder"):
        with pytest.raises(ObjectNotFoundError):
            service.stat(BUCKET, key)


def test_a_reader_keeps_its_version(service):
    write(service, "key", b"old" * MIB)
    with service.reading(BUCKET, "key") as stream:
        assert stream.read(3) == b"old"
        write(service, "key", b"new" * MIB)
        assert stream.read() == b"old" * (MIB - 1)


def test_an_interrupted_making_is_completed_and_is_no_bucket_before(service, root):
    (root / "half").mkdir()
    (root / "half" / "objects").mkdir()
    assert not service.exists("half")
    with pytest.raises(BucketNotFoundError):
        service.stat("half", "key")
    service.create("half")
    assert service.exists("half")


def test_an_interrupted_removing_is_completed(service, root):
    (root / BUCKET / "objects").rmdir()
    service.remove(BUCKET)
    assert not (root / BUCKET).exists()


def test_a_bucket_with_foreign_files_stays(service, root):
    (root / BUCKET / "objects" / "a").mkdir()
    (root / BUCKET / "objects" / "a" / "link").symlink_to("nowhere")
    with pytest.raises(BucketNotEmptyError):
        service.remove(BUCKET)
    assert service.exists(BUCKET)


def test_a_link_to_a_bucket_that_was_deleted_does_not_open_its_successor(service):
    link = service.link(BUCKET, "key", LinkMethod.GET, timedelta(hours=1))
    query = dict(pair.split("=", 1) for pair in link.partition("?")[2].split("&"))
    assert service.read_link(LinkMethod.GET, BUCKET, "key", query).key == "key"
    service.remove(BUCKET)
    with pytest.raises(LinkSignatureError):
        service.read_link(LinkMethod.GET, BUCKET, "key", query)
    service.create(BUCKET)
    with pytest.raises(LinkSignatureError):
        service.read_link(LinkMethod.GET, BUCKET, "key", query)


@contextmanager
def limited(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _no_link(*_arguments, **_options):
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


@contextmanager
def unprivileged(root):
    """As somebody who has no access to the folder."""
    if os.geteuid() == 0:
        os.seteuid(65_534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        root.chmod(0)
        try:
            yield
        finally:
            root.chmod(0o700)


@pytest.mark.parametrize("name", ["snapshots", "notes"])
def test_what_is_no_bucket_is_not_made_one(service, root, name):
    (root / "snapshots" / "packs").mkdir(parents=True)
    (root / "notes").write_text("of the operator")
    with pytest.raises(BucketNameTakenError):
        service.create(name)
    assert [each.name for each in (root / "snapshots").iterdir()] == ["packs"]
    assert not service.exists(name)
    service.create(BUCKET)  # it is one
