"""A directory store under a system-call tracer, under kill -9, under races of processes, and on a full disk."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from lamina.engine.objects.directory import DirectoryStore

TRACED = "openat,write,mkdir,mkdirat,link,linkat,rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync"
OPEN = "import sys; from pathlib import Path; from lamina.engine.objects.directory import DirectoryStore\n"


def start(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", OPEN + script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> str:
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    return output


@pytest.fixture
def trace(tmp_path: Path) -> Callable[[str], list[str]]:
    """Run code on a store in the folder `objects`, and give its system calls, with paths below that folder."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "true"], capture_output=True, check=False).returncode:
        pytest.skip("tracing is not permitted here")

    def run(code: str) -> list[str]:
        root, output = tmp_path / "objects", tmp_path / "calls"
        script = f"store = DirectoryStore(Path({str(root)!r}))\nopen('/dev/null').close()\n{code}"
        command = ["strace", "-f", "-y", "-qq", "-e", f"trace={TRACED}", "-o", output]
        subprocess.run([*command, sys.executable, "-c", OPEN + script], check=True, timeout=60)
        lines = output.read_text().splitlines()
        first = max(number for number, line in enumerate(lines) if '"/dev/null"' in line)
        calls = [
            re.sub(r"^\d+ +", "", line).replace(f"{root}/", "").replace(f"{root}", "ROOT")
            for line in lines[first + 1 :]
        ]
        return [call for call in calls if not call.startswith("+++")]

    (tmp_path / "objects").mkdir()
    return run


def order(calls: list[str], *patterns: str) -> list[int]:
    """Where each of these calls is, each looked for behind the one before; fails unless all succeeded."""
    found = [-1]
    for pattern in patterns:
        matches = [
            n for n, call in enumerate(calls) if n > found[-1] and re.search(pattern + r".* = \d", call)
        ]
        assert matches, f"no {pattern} after call {found[-1]} of:\n" + "\n".join(calls)
        found.append(matches[0])
    return found[1:]


@pytest.mark.parametrize(
    ("method", "naming"),
    [
        ("put", r'rename(at2?)?\(.*"\.tmp/\w+", \d+<a/b>, "c"'),
        ("put_new", r'linkat\(.*"\.tmp/\w+", \d+<a/b>, "c"'),
    ],
    ids=["put", "put_new"],
)
def test_a_put_is_synced_before_and_after_it_gets_its_name(
    trace: Callable[[str], list[str]], method: str, naming: str
) -> None:
    calls = trace(f"store.{method}('a/b/c', bytes(100_000))")
    order(
        calls,
        r'openat\(.*"\.tmp/\w+", .*O_CREAT\|O_EXCL.*0600',
        r"write\(\d+<\.tmp/\w+>.*, 100000\)",
        r"fdatasync\(\d+<\.tmp/\w+>",
        r'mkdir(at)?\(.*"a", 0700',
        r'mkdir(at)?\(.*"a/b", 0700',
        naming,
        r"fsync\(\d+<a/b>",
        r"fsync\(\d+<a>",
        r"fsync\(\d+<ROOT>",
    )
    assert sum("write(" in call for call in calls) == 1


def test_folders_are_synced_up_to_the_root_although_they_exist(trace: Callable[[str], list[str]]) -> None:
    """Another process may have made them and been killed, or not have come to syncing them yet."""
    calls = trace("Path(store.describe(), 'a/b').mkdir(parents=True); store.put('a/b/c', b'1')")
    order(calls, r"rename", r"fsync\(\d+<a/b>", r"fsync\(\d+<a>", r"fsync\(\d+<ROOT>")


def test_the_same_bytes_are_made_durable_although_another_created_them(
    trace: Callable[[str], list[str]],
) -> None:
    calls = trace("Path(store.describe(), 'a').write_bytes(b'1'); store.put_new('a', b'1')")
    assert any("linkat" in call and "EEXIST" in call for call in calls)
    order(calls, r"fdatasync", r"fsync\(\d+<ROOT>")


def test_a_delete_is_synced_also_when_there_is_nothing_to_delete(trace: Callable[[str], list[str]]) -> None:
    calls = trace("store.put('a/b', b'1'); store.put('a/c', b'1'); store.delete('a/b'); store.delete('a/b')")
    deletes = order(calls, r'unlink(at)?\(\d+<a>, "b"', r"fsync\(\d+<a>")
    again = calls[deletes[-1] + 1 :]
    assert any("unlink" in call and "ENOENT" in call for call in again)
    order(again, r"fsync\(\d+<a>")


def test_a_new_root_is_durable_with_the_folders_above_it(trace: Callable[[str], list[str]]) -> None:
    calls = trace("DirectoryStore.create(Path(store.describe(), 'x/y'))")
    order(calls, r'mkdir(at)?\(.*"x"', r"fsync\(\d+<ROOT>", r'mkdir(at)?\(.*"x/y"', r"fsync\(\d+<x>")


WRITER = """
store = DirectoryStore(Path(sys.argv[1]))
print("ready", flush=True)
for turn in range(100_000):
    name, size = f"{sys.argv[2]}/{turn % 7}/{turn}", (turn * 7919) % 300_000
    (store.put if turn % 3 else store.put_new)(name, name.encode().ljust(size, b"."))
    store.put("shared", f"{turn % 10}".encode() * 100_000)
    print(name, flush=True)
    if turn % 5 == 4:
        store.delete(name)
        print("-" + name, flush=True)
"""


def test_killed_writers_leave_only_whole_objects_and_lose_none(tmp_path: Path) -> None:
    chance = Random(20260101)
    acknowledged: set[str] = set()
    uncertain: set[str] = set()
    for round_ in range(8):
        writers = [start(WRITER, tmp_path, f"w{round_}-{number}") for number in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.005, 0.2))
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            lines = writer.communicate(timeout=60)[0].split("\n")[:-1]  # a line cut off was not acknowledged
            deleted = {line[1:] for line in lines if line.startswith("-")}
            acknowledged |= {line for line in lines if not line.startswith("-")} - deleted
            uncertain |= set(lines[-1:])  # its deletion may have been under way
    store = DirectoryStore(tmp_path)
    names = {row.key for row in store.list("")} - {"shared"}
    assert len(acknowledged) > 50
    assert acknowledged - uncertain <= names
    for name in names:
        turn = int(name.rpartition("/")[2])
        assert store.get(name) == name.encode().ljust((turn * 7919) % 300_000, b".")
    shared = store.get("shared")
    assert len(shared) == 100_000
    assert len(set(shared)) == 1
    assert list((tmp_path / ".tmp").iterdir()) == []


RACER = """
store = DirectoryStore(Path(sys.argv[1]))
for number in range(100):
    try:
        store.put_new(f"race/{number}", sys.argv[2].encode() * 1000)
        print(number)
    except Exception as error:
        assert type(error).__name__ == "ObjectExistsError", error
"""


def test_of_racing_processes_exactly_one_creates_each_object(tmp_path: Path) -> None:
    racers = [start(RACER, tmp_path, name) for name in "abcd"]
    won = [finish(racer).split() for racer in racers]
    assert sorted(int(number) for numbers in won for number in numbers) == list(range(100))
    store = DirectoryStore(tmp_path)
    for name, numbers in zip("abcd", won, strict=True):
        assert all(store.get(f"race/{number}") == name.encode() * 1000 for number in numbers)


NEIGHBOUR = """
store = DirectoryStore(Path(sys.argv[1]))
for turn in range(300):
    store.put(f"deep/er/{sys.argv[2]}", b"%d" % turn)
    assert store.get(f"deep/er/{sys.argv[2]}") == b"%d" % turn
    store.delete(f"deep/er/{sys.argv[2]}")
"""


def test_processes_come_and_go_in_one_folder(tmp_path: Path) -> None:
    for process in [start(NEIGHBOUR, tmp_path, number) for number in range(3)]:
        finish(process)
    assert list(DirectoryStore(tmp_path).list("")) == []


FULL = """
from lamina.failures import Fault
store = DirectoryStore(Path(sys.argv[1]))
limit = int(sys.argv[2])
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for method in (store.put, store.put_new):
    try:
        method("a/large", bytes(4 << 20))
        raise SystemExit("it was stored")
    except Fault as fault:
        assert not fault.retryable
        print(fault)
store.put("a/small", bytes(1000))
"""


def expect_no_trace_of_the_large_object(root: Path, small: bytes) -> None:
    store = DirectoryStore(root)
    assert [row.key for row in store.list("")] == ["a/small"]
    assert store.get("a/small") == small
    assert list((root / ".tmp").iterdir()) == []


def test_an_object_over_the_limit_of_file_sizes_leaves_no_trace(tmp_path: Path) -> None:
    output = finish(start(FULL, tmp_path, 1 << 20))
    assert output.count("File too large; raise the limit") == 2
    expect_no_trace_of_the_large_object(tmp_path, bytes(1000))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=2m"):
        pytest.skip(f"cannot mount here: {os.strerror(ctypes.get_errno())}")
    try:
        yield folder
    finally:
        assert libc.umount(os.fsencode(folder)) == 0  # fails if anything was left open


def test_a_full_disk_keeps_its_old_objects_and_no_trace_of_the_new_one(small_disk: Path) -> None:
    DirectoryStore(small_disk).put("a/large", b"old")
    output = finish(start(FULL, small_disk, 0))
    assert output.count("No space left on device; free some space") == 2
    assert DirectoryStore(small_disk).get("a/large") == b"old"
    DirectoryStore(small_disk).delete("a/large")
    expect_no_trace_of_the_large_object(small_disk, bytes(1000))


def test_an_unmounted_disk_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=2m"):
        pytest.skip(f"cannot mount here: {os.strerror(ctypes.get_errno())}")
    store = DirectoryStore(folder)
    store.put("a", b"1")
    assert libc.umount(os.fsencode(folder)) == 0
    with pytest.raises(Exception, match="mount its disk"):
        list(store.list(""))
    with pytest.raises(Exception, match="mount its disk"):
        store.put("a", b"2")
    assert list(folder.iterdir()) == []
