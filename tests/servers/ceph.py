"""A real Ceph cluster for tests, with its S3 gateway (RGW): one daemon of each kind on loopback, data in memory.

It takes 20 s, 700 MiB of memory and 300 MB of Debian packages. So tests that need it are collected only with `--ceph`,
which `make test-ceph` gives. The daemons end with the test process, in whatever way that ends (prctl(2),
PR_SET_PDEATHSIG, by setpriv(1)).
"""

import http.client
import json
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_OPTION: Final = "--ceph"
ACCESS_KEY_ID: Final = "lamina-test"
SECRET_ACCESS_KEY: Final = "not-a-secret-since-it-is-in-the-source"
BUCKET: Final = "packs"
_PROGRAMS: Final = ("ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool")
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 10.0
_HTTP_OK: Final = 200
# Ceph's cluster of one, without which nothing is ever `active+clean`; beast's answers to small requests wait 40 ms
# for Nagle's algorithm if they are not told otherwise.
_CONFIGURATION: Final = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
pid file = {folder}/$name.pid
log file = {folder}/$name.log
crash dir = {folder}
setuser =
setgroup =
mon data = {folder}/mon
mon data avail crit = 1
mon data avail warn = 2
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
auth allow insecure global id reclaim = false
mgr data = {folder}/mgr
mgr initial modules =
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
rgw data = {folder}/rgw
rgw dns name =
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{rgw} tcp_nodelay=1
"""
_KEYS: Final = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "mgr.x": {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
    "osd.0": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
    "client.rgw": {"mon": "allow rwx", "osd": "allow rwx", "mgr": "allow rw"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CephServer:
    """Where the gateway answers and whom it lets in; `bucket` exists."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    bucket: str


def add_option(parser: pytest.Parser) -> None:
    """Add the option without which nothing of Ceph is started."""
    parser.addoption(_OPTION, action="store_true", help="also run the tests that start a Ceph cluster")


def is_asked_for(config: pytest.Config) -> bool:
    """Whether tests may start a Ceph cluster."""
    return bool(config.getoption(_OPTION))


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephServer]:
    """A running RGW; tests keep apart by buckets or prefixes of their own."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.fail(f"not installed: {', '.join(missing)}; run scripts/ensure-programs ceph")
    with ExitStack() as stack:
        yield _Cluster(tmp_path_factory.mktemp("ceph"), stack).start()


class _Cluster:
    """One monitor, manager, OSD and gateway; stopped by the stack, in the opposite order."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._configuration = folder / "ceph.conf"
        self._deadline = time.monotonic() + _START_SECONDS

    def start(self) -> CephServer:
        mon_v2, mon_v1, rgw = _choose_ports(3)
        fsid = str(uuid.uuid4())
        self._configuration.write_text(
            _CONFIGURATION.format(folder=self._folder, fsid=fsid, mon_v2=mon_v2, mon_v1=mon_v1, rgw=rgw)
        )
        for name in ("mon", "mgr", "osd", "rgw"):
            (self._folder / name).mkdir()
        self._make_keys()
        self._start_monitor(fsid, f"[v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]")
        self._start_daemon("ceph-mgr", "-i", "x")
        self._start_osd()
        self._start_daemon("radosgw", "-n", "client.rgw")
        self._run("radosgw-admin", "user", "create", "--uid=tests", "--display-name=tests",
                  f"--access-key={ACCESS_KEY_ID}", f"--secret-key={SECRET_ACCESS_KEY}")  # fmt: skip
        self._wait_for("the gateway", lambda: _answers(rgw))
        server = CephServer(
            endpoint=f"http://127.0.0.1:{rgw}",
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            bucket=BUCKET,
        )
        _make_bucket(server)
        return server

    def _make_keys(self) -> None:
        keyring = self._folder / "keyring"
        self._run("ceph-authtool", "--create-keyring", keyring)
        for name, rights in _KEYS.items():
            caps = [word for of, right in rights.items() for word in ("--cap", of, right)]
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)

    def _start_monitor(self, fsid: str, addresses: str) -> None:
        monmap = self._folder / "monmap"
        self._run("monmaptool", "--create", "--addv", "a", addresses, "--fsid", fsid, monmap)
        keyring = self._folder / "keyring"
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._start_daemon("ceph-mon", "-i", "a")

    def _start_osd(self) -> None:
        identity = str(uuid.uuid4())
        key = self._run("ceph-authtool", self._folder / "keyring", "-n", "osd.0", "--print-key").strip()
        secrets = self._folder / "osd.json"
        secrets.write_text(json.dumps({"cephx_secret": key}))
        self._run("ceph", "osd", "new", identity, "-i", secrets)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        self._start_daemon("ceph-osd", "-i", "0")
        self._wait_for("the OSD", lambda: "1 up" in self._run("ceph", "osd", "stat"))

    def _start_daemon(self, program: str, *arguments: str) -> None:
        with (self._folder / f"{program}.out").open("wb") as output:
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, "-f", "-c", str(self._configuration), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._stack.callback(_stop, daemon)

    def _run(self, program: str, *arguments: str | Path) -> str:
        """What a program of Ceph's prints; it waits for the cluster if it needs it."""
        command = [program, *map(str, arguments), "-c", str(self._configuration)]
        if program in ("ceph-authtool", "monmaptool"):
            command = command[:-2]
        left = max(1.0, self._deadline - time.monotonic())
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=left, check=False)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{' '.join(command)} did not end; {self._tell()}")
        if done.returncode != 0:
            pytest.fail(f"{' '.join(command)} failed: {done.stderr[-2000:]}; {self._tell()}")
        return done.stdout

    def _wait_for(self, what: str, is_there: Callable[[], bool]) -> None:
        while not is_there():
            if time.monotonic() > self._deadline:
                pytest.fail(f"{what} did not come up within {_START_SECONDS:.0f} s; {self._tell()}")
            time.sleep(0.1)

    def _tell(self) -> str:
        outputs = {path.name: path.read_text(errors="replace")[-500:] for path in self._folder.glob("*.out")}
        return f"the daemons wrote {outputs}"


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == _HTTP_OK
    except OSError:
        return False
    finally:
        connection.close()


def _make_bucket(server: CephServer) -> None:
    from lamina.clock import SystemClock  # noqa: PLC0415 - only where a cluster is started
    from lamina.control.buckets.s3_requests import S3Requests  # noqa: PLC0415
    from lamina.engine.objects.s3 import S3Address  # noqa: PLC0415

    address = S3Address(
        bucket=server.bucket,
        prefix="",
        endpoint=server.endpoint,
        region="us-east-1",
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
    )
    S3Requests(address, SystemClock()).create()


def _choose_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


def _stop(daemon: "subprocess.Popen[bytes]") -> None:
    daemon.terminate()
    try:
        daemon.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
