"""What only a directory store promises. The rest is in the contract suite."""

import errno
import fcntl
import os
import stat
import threading
import tracemalloc
from pathlib import Path

import pytest

from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.objects.store import ObjectExistsError, ObjectMissingError
from lamina.failures import Fault, Refusal
from lamina.units import MIB


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path) -> DirectoryStore:
    return DirectoryStore.create(root)


def leftovers(root: Path) -> list[str]:
    return names(root / ".tmp") if (root / ".tmp").exists() else []


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_key_is_the_path(root: Path, store: DirectoryStore) -> None:
    store.put("a/b/c", b"data")
    assert (root / "a" / "b" / "c").read_bytes() == b"data"
    assert leftovers(root) == []


def test_only_the_owner_may_look(root: Path, store: DirectoryStore) -> None:
    before = os.umask(0)
    try:
        store.put("a/b/c", b"1")
        store.put_new("a/d", b"2")
    finally:
        os.umask(before)
    modes = {
        path.relative_to(root.parent).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in root.rglob("*")
    }
    assert modes == {
        "objects/.tmp": 0o700,
        "objects/a": 0o700,
        "objects/a/b": 0o700,
        "objects/a/b/c": 0o600,
        "objects/a/d": 0o600,
    }
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_empty_folders_go_with_their_last_object(root: Path, store: DirectoryStore) -> None:
    store.put("a/b/c/one", b"1")
    store.put("a/b/two", b"2")
    store.delete("a/b/c/one")
    assert sorted(path.name for path in root.rglob("*")) == [".tmp", "a", "b", "two"]
    store.delete("a/b/two")
    assert names(root) == [".tmp"]


def test_opening_makes_nothing(tmp_path: Path) -> None:
    assert list(DirectoryStore(tmp_path).list("")) == []
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["missing", "missing/below", "file", "file/below", "dead link"])
def test_only_a_directory_can_be_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dead link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Refusal, match=r"does not exist; create it|is not a directory; name one"):
        DirectoryStore(tmp_path / name)


def test_the_root_may_be_a_link(tmp_path: Path, root: Path, store: DirectoryStore) -> None:
    (tmp_path / "link").symlink_to(root)
    store.put("a", b"1")
    assert DirectoryStore(tmp_path / "link").get("a") == b"1"


def test_what_is_not_ours_is_not_listed(root: Path, store: DirectoryStore) -> None:
    store.put("a/b", b"1")
    (root / "lost+found").mkdir()
    (root / "lost+found" / "x").write_text("")
    (root / "README").write_text("")
    (root / "a" / ".hidden").write_text("")
    (root / "a" / "link").symlink_to("b")
    (root / "a" / "loop").symlink_to("..")
    os.mkfifo(root / "a" / "pipe")
    (root / "empty").mkdir()
    assert [row.key for row in store.list("")] == ["a/b"]


def test_a_pipe_is_no_object(root: Path, store: DirectoryStore) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(ObjectMissingError):
        store.get("pipe")


def test_a_link_is_not_followed(root: Path, store: DirectoryStore) -> None:
    (root / "link").symlink_to("/etc/hostname")
    with pytest.raises(Fault, match="remove the symbolic link") as caught:
        store.get("link")
    assert not caught.value.retryable


@pytest.mark.parametrize("method", ["put", "put_new"])
@pytest.mark.parametrize(("there", "wanted"), [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b")])
def test_a_key_cannot_be_the_folder_of_another(
    root: Path, store: DirectoryStore, method: str, there: str, wanted: str
) -> None:
    store.put(there, b"1")
    with pytest.raises(Fault, match=r"remove the f(ile|older) that stands where") as caught:
        getattr(store, method)(wanted, b"2")
    assert not caught.value.retryable
    assert isinstance(caught.value.__cause__, OSError)
    assert [row.key for row in store.list("")] == [there]
    assert leftovers(root) == []


def test_messages_name_the_path_and_the_remedy(root: Path, store: DirectoryStore) -> None:
    store.put("a", b"1")
    with pytest.raises(Fault) as caught:
        store.put("a/b", b"2")
    assert str(caught.value) == (
        f"cannot write {root}/a/b: Not a directory; remove the file that stands where a folder belongs"
    )


def test_a_put_does_not_copy_its_buffer(store: DirectoryStore) -> None:
    buffer = bytearray(32 * MIB)
    tracemalloc.start()
    try:
        store.put("a", buffer)
        store.put_new("b", memoryview(buffer))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MIB


def test_a_range_of_a_large_object_reads_no_more_than_asked(store: DirectoryStore) -> None:
    store.put("a", bytes(16 * MIB))
    tracemalloc.start()
    try:
        store.get_range("a", MIB, 1000)
        store.get_range("a", 16 * MIB - 10, 10**12)
        store.get_tail("a", 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MIB


def test_no_descriptor_is_left_open(root: Path, store: DirectoryStore) -> None:
    def use() -> None:
        store.put("a/b", b"1")
        store.put("a/c", b"1")
        store.put_new("a/b", b"1")
        store.get("a/b")
        store.get_range("a/b", 5, 5)
        store.get_tail("a/b", 5)
        next(store.list(""))  # and leave the rest
        for call in (
            lambda: store.put_new("a/b", b"2"),
            lambda: store.put("a/b/c", b"2"),
            lambda: store.put("a", b"2"),
            lambda: store.get("a/x"),
            lambda: store.get("a"),
        ):
            with pytest.raises((Fault, Refusal)):
                call()
        store.delete("a/b")
        store.delete("a/b")
        store.delete("a")
        DirectoryStore(root)

    use()
    before = list(Path("/proc/self/fd").iterdir())
    for _ in range(20):
        use()
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)


def test_what_a_dead_writer_left_is_removed_when_the_store_is_opened(
    root: Path, store: DirectoryStore
) -> None:
    store.put("a", b"1")
    (root / ".tmp" / "0123456789abcdef").write_bytes(b"half an obj")
    (root / ".tmp" / "linked").hardlink_to(root / "a")  # died between link and unlink
    (root / ".tmp" / "folder").mkdir()
    DirectoryStore(root)
    assert leftovers(root) == ["folder"]
    assert store.get("a") == b"1"


def test_what_a_living_writer_has_is_left_alone(root: Path, store: DirectoryStore) -> None:
    store.put("a", b"1")
    with (root / ".tmp" / "0123456789abcdef").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        DirectoryStore(root)
        assert leftovers(root) == ["0123456789abcdef"]
    DirectoryStore(root)
    assert leftovers(root) == []


def test_opening_stores_all_the_time_does_no_harm_to_writers(root: Path, store: DirectoryStore) -> None:
    stop = threading.Event()

    def keep_opening() -> None:
        while not stop.is_set():
            DirectoryStore(root)

    opener = threading.Thread(target=keep_opening)
    opener.start()
    try:
        for number in range(300):
            store.put_new(f"a/{number}", b"x" * number)
            assert store.get(f"a/{number}") == b"x" * number
    finally:
        stop.set()
        opener.join()


def test_a_directory_in_which_nothing_may_be_written_can_be_read(root: Path, store: DirectoryStore) -> None:
    store.put("a/b", b"1")
    (root / ".tmp").rmdir()
    reader = DirectoryStore(root)
    assert reader.get("a/b") == b"1"
    assert [row.key for row in reader.list("")] == ["a/b"]
    assert not (root / ".tmp").exists()


@pytest.mark.parametrize("instead", ["nothing", "an empty folder", "a file"])
def test_a_directory_that_went_away_is_a_fault_and_not_an_empty_store(
    root: Path, store: DirectoryStore, instead: str
) -> None:
    """As when a disk is unmounted: a listing without rows would look as if all objects were lost."""
    store.put("a/b", b"1")
    root.rename(root.parent / "elsewhere")
    if instead == "an empty folder":
        root.mkdir()
    elif instead == "a file":
        root.write_text("")
    for call in (
        lambda: list(store.list("")),
        lambda: list(store.list("a/")),
        lambda: store.get("a/b"),
        lambda: store.get_range("a/b", 0, 1),
        lambda: store.get_tail("a/b", 1),
        lambda: store.put("a/b", b"2"),
        lambda: store.put_new("c", b"2"),
        lambda: store.delete("a/b"),
    ):
        with pytest.raises(Fault, match="is not the directory that was opened any more") as caught:
            call()
        assert not isinstance(caught.value, ObjectMissingError)
        assert not caught.value.retryable
    if instead == "an empty folder":
        assert names(root) == []


@pytest.mark.parametrize(
    ("number", "retryable", "advice"),
    [
        (errno.EIO, True, "check the disk, then try again"),
        (errno.EMFILE, True, "try again"),
        (errno.ENOSPC, False, "free some space"),
        (errno.EDQUOT, False, "raise the quota"),
        (errno.EROFS, False, "mount its file system for writing"),
        (errno.EACCES, False, "give this user access"),
    ],
)
@pytest.mark.parametrize("call", ["write", "fdatasync", "rename", "fsync"])
def test_a_failing_system_call_becomes_a_fault_and_leaves_no_litter(
    root: Path,
    store: DirectoryStore,
    monkeypatch: pytest.MonkeyPatch,
    *,
    call: str,
    number: int,
    retryable: bool,
    advice: str,
) -> None:
    store.put("a", b"old")

    def fail(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(Fault, match=advice) as caught:
        store.put("a", b"new")
    monkeypatch.undo()
    assert caught.value.retryable is retryable
    assert f"cannot write {root}/a: {os.strerror(number)}" in str(caught.value)
    assert store.get("a") == (b"new" if call == "fsync" else b"old")
    assert leftovers(root) == []


def test_bytes_that_a_system_call_leaves_over_are_written_and_read(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, pread = os.write, os.pread
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    monkeypatch.setattr(os, "pread", lambda descriptor, length, at: pread(descriptor, min(length, 5), at))
    data = bytes(range(256))
    store.put("a", data)
    store.put_new("a", data)
    assert store.get("a") == data
    assert store.get_range("a", 3, 100) == data[3:103]
    assert store.get_range("a", 250, 100) == data[250:]
    assert store.get_tail("a", 100) == (data[-100:], 256)


def test_a_file_system_without_hard_links_is_refused(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*args: object, **options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")  # what vfat answers

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(Refusal, match="has no hard links"):
        store.put_new("a", b"1")
    monkeypatch.undo()
    assert list(store.list("")) == []
    assert leftovers(root) == []


def test_a_folder_that_always_vanishes_ends_in_a_fault(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def vanish(source: object, name: str, *, dst_dir_fd: int) -> None:
        (root / "a").rmdir()
        rename(source, name, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", vanish)
    with pytest.raises(Fault, match="removed 100 times") as caught:
        store.put("a/b", b"1")
    assert caught.value.retryable
    assert leftovers(root) == []


def test_an_object_that_is_deleted_while_it_is_compared_is_created_after_all(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", b"other")
    link = os.link
    answers = iter([FileExistsError(errno.EEXIST, "File exists")])

    def link_late(*args: object, **options: object) -> None:
        (root / "a").unlink(missing_ok=True)
        for error in answers:
            raise error
        link(*args, **options)

    monkeypatch.setattr(os, "link", link_late)
    store.put_new("a", b"ours")
    assert store.get("a") == b"ours"


def test_the_loser_of_a_race_is_told_so_although_the_winner_came_by_put(store: DirectoryStore) -> None:
    store.put("a", b"winner")
    with pytest.raises(ObjectExistsError, match="exists already, with other contents"):
        store.put_new("a", b"loser")
