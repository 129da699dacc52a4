"""`lamina bucket`, as a person uses it, also over a line that breaks."""

import fcntl
import json
import os
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from lamina.cli.bucket_transfer import ObjectAddress, get_file, put_file
from lamina.cli.client import EcsClient, Profile
from lamina.clock import SystemClock
from lamina.failures import Fault, Refusal
from lamina.transfer.progress import Progress
from tests.conformance.conftest import REGION
from tests.conformance.test_buckets import curl, list_keys, make_bucket, put

MIB = 1 << 20


class HastyClock(SystemClock):
    """Pauses between attempts are not waited for."""

    def sleep(self, seconds):
        pass


HASTE = HastyClock()


@pytest.fixture
def bucket(account):
    return make_bucket(account)


def test_a_file_makes_the_whole_way_and_back(account, tmp_path):
    name = f"bucket-{os.urandom(6).hex()}"
    content = os.urandom(3 * MIB)
    (tmp_path / "disk.raw").write_bytes(content)
    account.run("bucket", "create", name)
    assert name in account.run("bucket", "list").stdout
    account.run("bucket", "put", tmp_path / "disk.raw", f"{name}/exports/")
    listed = account.run("bucket", "ls", f"{name}/exp").stdout
    assert listed.split()[:3] == ["KEY", "SIZE", "MODIFIED"]
    assert "exports/disk.raw" in listed
    assert "3.00 MiB" in listed
    account.run("bucket", "get", f"{name}/exports/disk.raw", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    link = account.run("bucket", "link", f"{name}/exports/disk.raw").stdout.strip()
    assert curl("--fail", link).stdout == content
    account.run("bucket", "rm", f"{name}/exports/disk.raw")
    account.run("bucket", "delete", name)
    assert json.loads(account.run("bucket", "list", "--json").stdout) == []


def test_json_is_for_programs(account, bucket, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    made = json.loads(account.run("bucket", "put", tmp_path / "file", f"{bucket}/a", "--json").stdout)
    assert (made["ObjectKey"], made["Size"]) == ("a", 7)
    [found] = json.loads(account.run("bucket", "ls", bucket, "--json").stdout)
    assert found == made
    got = json.loads(account.run("bucket", "get", f"{bucket}/a", tmp_path / "b", "--json").stdout)
    assert got == {"file": str(tmp_path / "b"), "size_bytes": 7}
    link = json.loads(
        account.run("bucket", "link", f"{bucket}/new", "--put", "--max-size", 3, "--json").stdout
    )
    assert curl("-X", "PUT", "-d", "four", link["Link"]).stdout.count(b"EntityTooLarge") == 1
    curl("--fail", "-X", "PUT", "-d", "abc", link["Link"])
    assert list_keys(account, bucket) == ["a", "new"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("get", "{bucket}/nothing", "{folder}/x"), "has no object nothing"),
        (("get", "{bucket}/key", "{folder}/there"), "--force"),
        (("get", "{bucket}/key", "{folder}/no/such/folder"), "cannot be written"),
        (("get", "{bucket}"), "BUCKET/KEY"),
        (("ls", "bucket-of-nobody"), "there is no bucket"),
        (("delete", "{bucket}"), "has objects"),
        (("create", "Bad_Name"), "lower-case"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_in_one_line(account, bucket, tmp_path, arguments, words):
    put(account, bucket, "key", b"x")
    (tmp_path / "there").write_bytes(b"mine")
    given = [each.format(bucket=bucket, folder=tmp_path) for each in arguments]
    done = account.run("bucket", *given, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Signature" not in done.stderr
    assert (tmp_path / "there").read_bytes() == b"mine"


def test_a_download_goes_on_over_a_line_that_breaks(account, bucket, tmp_path):
    content = os.urandom(5 * MIB)
    put(account, bucket, "key", content)
    with broken_line(account.service.host, cut_after=2 * MIB) as line, client_on(account, line) as client:
        progress = Progress()
        get_file(client, ObjectAddress(bucket=bucket, key="key"), tmp_path / "file", progress, HASTE)
    assert (tmp_path / "file").read_bytes() == content
    assert progress.read().done_bytes == len(content)
    assert len(line.answers) >= 3, "the line never broke"
    assert max(line.answers) < 3 * MIB
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_download_is_taken_up_by_the_next_command(account, bucket, tmp_path):
    content = os.urandom(3 * MIB)
    put(account, bucket, "key", content)
    with broken_line(account.service.host, cut_after=MIB) as line, client_on(account, line) as client:
        line.is_dead_after = 1
        with pytest.raises(Fault):
            get_file(client, ObjectAddress(bucket=bucket, key="key"), tmp_path / "file", Progress(), HASTE)
    [part] = tmp_path.iterdir()
    had = part.stat().st_size
    assert 0 < had < len(content)
    with broken_line(account.service.host, cut_after=100 * MIB) as line, client_on(account, line) as client:
        get_file(client, ObjectAddress(bucket=bucket, key="key"), tmp_path / "file", Progress())
    assert (tmp_path / "file").read_bytes() == content
    assert max(line.answers) < len(content) - had + MIB // 2


def test_a_file_is_got_by_one_command_at_a_time(account, bucket, tmp_path):
    content = os.urandom(3 * MIB)
    put(account, bucket, "key", content)
    with broken_line(account.service.host, cut_after=MIB) as line, client_on(account, line) as client:
        line.is_dead_after = 1
        with pytest.raises(Fault):
            get_file(client, ObjectAddress(bucket=bucket, key="key"), tmp_path / "file", Progress(), HASTE)
    [part] = tmp_path.iterdir()
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = account.run("bucket", "get", f"{bucket}/key", tmp_path / "file", check=False)
    assert (done.returncode, "another command" in done.stderr) == (2, True)
    account.run("bucket", "get", f"{bucket}/key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content


def test_parts_of_another_version_are_not_mixed_in(account, bucket, tmp_path):
    put(account, bucket, "key", b"old" * MIB)
    with broken_line(account.service.host, cut_after=MIB) as line, client_on(account, line) as client:
        line.is_dead_after = 1
        with pytest.raises(Fault):
            get_file(client, ObjectAddress(bucket=bucket, key="key"), tmp_path / "file", Progress(), HASTE)
    put(account, bucket, "key", b"new" * MIB)
    get_file(account.lamina(), ObjectAddress(bucket=bucket, key="key"), tmp_path / "file", Progress())
    assert (tmp_path / "file").read_bytes() == b"new" * MIB


def test_an_empty_file_goes_and_comes(account, bucket, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    address = ObjectAddress(bucket=bucket, key="empty")
    put_file(account.lamina(), address, tmp_path / "empty", Progress())
    get_file(account.lamina(), address, tmp_path / "back", Progress())
    assert (tmp_path / "back").read_bytes() == b""


def test_an_upload_that_the_service_refuses_says_why(account, bucket, tmp_path):
    (tmp_path / "file").write_bytes(bytes(8 * MIB))
    put(account, bucket, "folder/key", b"x")
    with pytest.raises(Refusal, match="folder"):
        put_file(account.lamina(), ObjectAddress(bucket=bucket, key="folder"), tmp_path / "file", Progress())
    assert list_keys(account, bucket) == ["folder/key"]


class Line:
    """A way to the service on which each answer ends after so many bytes.

    Attributes:
        answers: how much came back on each connection.
        is_dead_after: from how many large answers on nothing is let through any more; None for never.
    """

    def __init__(self, host, cut_after):
        name, _, port = host.partition(":")
        self._service = (name, int(port))
        self._cut_after = cut_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answers = []
        self.is_dead_after = None
        self._cuts = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self):
        self._listener.close()

    def _listen(self):
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.is_dead_after is not None and self._cuts >= self.is_dead_after:
                    near.close()
                    continue
                far = socket.create_connection(self._service)
                threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
                threading.Thread(
                    target=self._pump, args=(far, near), kwargs={"cut": True}, daemon=True
                ).start()

    def _pump(self, source, target, *, cut=False):
        seen = 0
        with suppress(OSError):
            while data := source.recv(65536):
                seen += len(data)
                target.sendall(data)
                if cut and seen >= self._cut_after:
                    self._cuts += 1
                    break
        if cut:
            self.answers.append(seen)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def broken_line(host, *, cut_after):
    line = Line(host, cut_after)
    try:
        yield line
    finally:
        line.close()


@contextmanager
def client_on(account, line):
    profile = Profile(
        endpoint=line.endpoint,
        access_key_id=account.access_key_id,
        access_key_secret=account.secret,
        region_id=REGION,
    )
    with EcsClient(profile, HASTE) as client:
        yield client
