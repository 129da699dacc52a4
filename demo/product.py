"""The product, used from outside only: the command `lamina`, the official SDK of the ECS API, and NBD sockets."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_LAMINA: Final = Path(sys.executable).with_name("lamina")
_WORK_SECONDS: Final = 900.0
_POLL_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 20.0
DAMAGED: Final = 3
"""The exit code of `lamina` when it met bytes that are not what they should be."""


class DemoFailedError(Exception):
    """Something was not as it must be."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended.

    Attributes:
        code: its exit code.
        output: what it wrote to standard output.
        messages: what it wrote to standard error.
    """

    code: int
    output: str
    messages: str


class Service:
    """A running service and its first account.

    Attributes:
        directory: the data directory.
        profile: the file with the endpoint and the access key.
        endpoint: where it answers, as host and port.
        region_id: its region.
        account_id: the first account.
        pid: its process.
    """

    def __init__(self, directory: Path, pid: int) -> None:
        self.directory = directory
        self.pid = pid
        self.profile = directory / "credentials.json"
        facts = json.loads(self.profile.read_text())
        self.endpoint = facts["endpoint"].removeprefix("http://")
        self.region_id = facts["region_id"]
        self.account_id = facts["account_id"]
        self._sdk = Client(
            Config(
                access_key_id=facts["access_key_id"],
                access_key_secret=facts["access_key_secret"],
                endpoint=self.endpoint,
                protocol="http",
                region_id=self.region_id,
            )
        )

    @property
    def store(self) -> Path:
        """The account's repository."""
        return self.directory / "store" / self.region_id / self.account_id

    @property
    def stored_bytes(self) -> int:
        """The size of all objects in the account's repository."""
        return sum(path.stat().st_size for path in self.store.rglob("*") if path.is_file())

    def write_key(self, path: Path) -> None:
        """Write the key of the account's repository, as docs/operations.md tells operators to do it."""
        kdf = HKDF(
            algorithm=SHA256(), length=32, salt=None, info=f"lamina/1/repository/{self.account_id}".encode()
        )
        path.write_bytes(kdf.derive((self.directory / "root.key").read_bytes()))

    def import_disk(self, image: Path) -> str:
        """Make a disk with the bytes of `image`; returns its id."""
        done = lamina(
            "disk", "import", str(image), "--name", "web-data", "--profile", str(self.profile), "--json"
        )
        return str(json.loads(done.output)["DiskId"])

    def create_snapshot(self, disk_id: str, name: str, watch: Callable[[int], None]) -> Any:  # noqa: ANN401 - the SDK's model
        """Take a snapshot and wait for it; `watch` is told the percentage."""
        request = models.CreateSnapshotRequest(disk_id=disk_id, snapshot_name=name)
        snapshot_id = self._sdk.create_snapshot(request).body.snapshot_id
        wanted = models.DescribeSnapshotsRequest(
            region_id=self.region_id, snapshot_ids=json.dumps([snapshot_id])
        )

        def look() -> Any:  # noqa: ANN401 - the SDK's model
            [snapshot] = self._sdk.describe_snapshots(wanted).body.snapshots.snapshot
            watch(int(snapshot.progress.rstrip("%")))
            return None if snapshot.status == "progressing" else snapshot

        snapshot = _wait(look, f"snapshot {snapshot_id}")
        if snapshot.status != "accomplished":
            raise DemoFailedError(f"snapshot {snapshot_id} is {snapshot.status}")
        return snapshot

    def reset_disk(self, disk_id: str, snapshot_id: str) -> None:
        """Roll a disk back and wait until it can be used again."""
        self._sdk.reset_disk(models.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id))
        wanted = models.DescribeDisksRequest(region_id=self.region_id, disk_ids=json.dumps([disk_id]))
        _wait(
            lambda: self._sdk.describe_disks(wanted).body.disks.disk[0].status == "Available" or None,
            f"the rollback of {disk_id}",
        )

    @contextmanager
    def connected(self, disk_id: str, socket: Path) -> Iterator[str]:
        """Serve a disk over NBD for reading and writing; gives the URI."""
        command = (
            "disk",
            "connect",
            disk_id,
            "--socket",
            str(socket),
            "--profile",
            str(self.profile),
            "--json",
        )
        with _serving(*command) as uri:
            yield uri

    @contextmanager
    def serving_snapshot(self, snapshot_id: str, key: Path, socket: Path) -> Iterator[str]:
        """Serve a snapshot over NBD, straight from the object store; gives the URI."""
        place = ("--socket", str(socket), "--key-file", str(key), "--json")
        with _serving("repo", "serve", str(self.store), snapshot_id, *place) as uri:
            yield uri

    def verify(self, key: Path) -> Done:
        """Read and authenticate everything in the account's repository."""
        return run_lamina("repo", "verify", str(self.store), "--full", "--key-file", str(key), "--json")


@contextmanager
def running(directory: Path, log: Path, *, keep: bool) -> Iterator[Service]:
    """Start the service on a free port of the loopback interface.

    At the end it is stopped, unless it is to be kept and all went well.
    """
    with log.open("wb") as messages:
        command = [_LAMINA, "serve", "--data", directory, "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=messages, text=True, start_new_session=True
        )
    is_kept = False
    try:
        if not any("answers at" in line for line in _lines(process)):
            raise DemoFailedError(f"the service did not start:\n{log.read_text()[-2000:]}")
        yield Service(directory, process.pid)
        is_kept = keep
    finally:
        if not is_kept:
            _stop(process)


def lamina(*arguments: str) -> Done:
    """Run `lamina` with these arguments; it must succeed."""
    done = run_lamina(*arguments)
    if done.code:
        raise DemoFailedError(f"lamina {' '.join(arguments)} ended with {done.code}: {done.messages.strip()}")
    return done


def run_lamina(*arguments: str) -> Done:
    """Run `lamina` with these arguments, whatever comes of it."""
    done = subprocess.run(
        [_LAMINA, *arguments], capture_output=True, text=True, check=False, timeout=_WORK_SECONDS
    )
    return Done(done.returncode, done.stdout, done.stderr)


def hash_disk(uri: str) -> str:
    """SHA-256 of all bytes that an NBD server gives, read by nbdcopy, a client that is not ours."""
    command = ["nbdcopy", "--synchronous", "--request-size=4194304", uri, "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        digest = sha256()
        while piece := process.stdout.read(1 << 20):
            digest.update(piece)
    if process.returncode:
        raise DemoFailedError(f"nbdcopy ended with {process.returncode}")
    return digest.hexdigest()


@contextmanager
def _serving(*arguments: str) -> Iterator[str]:
    """Run a command of `lamina` that serves NBD until it is stopped; it must end well. Gives the URI."""
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(
            [_LAMINA, *arguments], stdout=subprocess.PIPE, stderr=messages, text=True, start_new_session=True
        )
        document = ""
        try:
            for line in _lines(process):
                document += line
                if line.startswith("}"):
                    yield str(json.loads(document)["uri"])
                    break
        finally:
            _stop(process)
        messages.seek(0)
        if process.returncode or not document.endswith("}\n"):
            what = " ".join(arguments[:2])
            raise DemoFailedError(f"lamina {what} ended with {process.returncode}: {messages.read()[-2000:]}")


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    return iter(process.stdout)


def _stop(process: "subprocess.Popen[str]") -> None:
    """Ask a process to end, and make sure that it does."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(look: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - whatever is looked for
    """Look until there is something."""
    deadline = time.monotonic() + _WORK_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(_POLL_SECONDS)
    raise DemoFailedError(f"{what} took more than {_WORK_SECONDS:.0f} s")
