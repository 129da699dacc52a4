"""A real service in its own process, and the official clients of both generations against it."""

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from aliyunsdkcore.client import AcsClient

from lamina.cli.client import EcsClient, Profile
from lamina.cli.disk.connection import connect_disk
from lamina.clock import SystemClock
from lamina.control.accounts.access_keys import add_access_key
from lamina.control.accounts.create import create_account
from lamina.control.installation import open_metadata
from tests.servers.databases import choose_kinds

REGION = "cn-hangzhou"
ZONE = "cn-hangzhou-h"
LAMINA = Path(sys.executable).with_name("lamina")
WAIT_SECONDS = 30


def pytest_configure(config):
    # The official SDKs of both generations use what Python has outdated; their code is not ours to change.
    for line in (
        "ignore::DeprecationWarning:aliyunsdkcore.*",
        "ignore::SyntaxWarning:aliyunsdkcore.*",
        "ignore::DeprecationWarning:Tea.*",
        "ignore::DeprecationWarning:darabonba.*",
        "ignore::DeprecationWarning:alibabacloud.*",
    ):
        config.addinivalue_line("filterwarnings", line)


@dataclass
class Service:
    """The service under test."""

    data_dir: Path
    endpoint: str
    log: Path

    @property
    def host(self):
        return self.endpoint.removeprefix("http://")

    def add_account(self):
        clock = SystemClock()
        with open_metadata(self.data_dir) as (database, vault), database.transaction() as session:
            account = create_account(session, clock, name=f"account-{uuid.uuid4().hex[:8]}")
            key = add_access_key(session, vault, clock, account.id)
        return Account(self, key.account_id, key.id, key.secret)


@dataclass
class Account:
    """One account, and clients that sign with its key."""

    service: Service
    account_id: str
    access_key_id: str
    secret: str
    _client: EcsClient | None = None

    def lamina(self):
        if self._client is None:
            profile = Profile(
                endpoint=self.service.endpoint,
                access_key_id=self.access_key_id,
                access_key_secret=self.secret,
                region_id=REGION,
            )
            self._client = EcsClient(profile)
        return self._client

    def close(self):
        if self._client is not None:
            self._client.close()

    def new_sdk(self, **options):
        given = {
            "access_key_id": self.access_key_id,
            "access_key_secret": self.secret,
            "endpoint": self.service.host,
            "protocol": "http",
            "region_id": REGION,
        }
        return Client(Config(**{**given, **options}))

    def old_sdk(self):
        return AcsClient(self.access_key_id, self.secret, REGION)

    def old_call(self, name, *, method=None, accept="JSON", **values):
        """One action through the older SDK; the answer's bytes."""
        module = __import__(f"aliyunsdkecs.request.v20140526.{name}Request", fromlist=["x"])
        request = getattr(module, f"{name}Request")()
        for key, value in values.items():
            getattr(request, f"set_{key}")(value)
        request.set_endpoint(self.service.host)
        request.set_protocol_type("http")
        request.set_accept_format(accept)
        if method:
            request.set_method(method)
        return self.old_sdk().do_action_with_exception(request)

    def old(self, name, **values):
        return json.loads(self.old_call(name, **values))

    def environment(self):
        return {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            "LAMINA_ENDPOINT": self.service.endpoint,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.secret,
            "ALIBABA_CLOUD_REGION_ID": REGION,
        }

    def run(self, *arguments, check=True):
        """The command line, in a process of its own."""
        done = subprocess.run(
            [LAMINA, *map(str, arguments)],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def make_disk(self, data=b"", *, size_gib=1, **extra):
        """A disk that is Available and holds `data` at its start."""
        client = self.lamina()
        answer = client.call(
            "ImportDisk", {"RegionId": REGION, "ZoneId": ZONE, "SizeInBytes": size_gib << 30, **extra}
        )
        self.wait_disk(answer["DiskId"])
        if data:
            self.write(answer["DiskId"], data)
        return answer["DiskId"]

    def write(self, disk_id, data, offset=0):
        with connect_disk(self.lamina(), disk_id) as connection:
            for at in range(0, len(data), 4 << 20):
                connection.write(offset + at, data[at : at + (4 << 20)])
            connection.flush()

    def read(self, disk_id, length, offset=0):
        with connect_disk(self.lamina(), disk_id) as connection:
            return b"".join(
                connection.read(offset + at, min(4 << 20, length - at)) for at in range(0, length, 4 << 20)
            )

    def describe(self, noun, resource_id):
        found = self.lamina().call(
            f"Describe{noun}s", {"RegionId": REGION, f"{noun}Ids": json.dumps([resource_id])}
        )
        return next(iter(found[f"{noun}s"][noun]), None)

    def wait_disk(self, disk_id):
        return wait_until(lambda: self.describe("Disk", disk_id), lambda disk: disk["Status"] == "Available")

    def wait_snapshot(self, snapshot_id):
        return wait_until(
            lambda: self.describe("Snapshot", snapshot_id), lambda found: found["Status"] == "accomplished"
        )

    def make_snapshot(self, disk_id, **extra):
        answer = self.lamina().call("CreateSnapshot", {"DiskId": disk_id, **extra})
        self.wait_snapshot(answer["SnapshotId"])
        return answer["SnapshotId"]


def wait_until(look, is_done):
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = look()
        if is_done(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.fixture(scope="session")
def services(request, tmp_path_factory):
    """The service on a kind of database; each is started when the first test asks for it, and shared by all."""
    running = {}
    # asked for here, and not when it is needed, so that it outlives the service
    server = request.getfixturevalue("postgresql") if "postgresql" in choose_kinds(request.config) else None
    with ExitStack() as stack:

        def find(kind):
            if kind not in running:
                is_embedded = kind == "sqlite"
                options = () if is_embedded else ("--database", stack.enter_context(server.database()))
                folder = tmp_path_factory.mktemp("service")
                running[kind] = stack.enter_context(serving(folder, *options))
            return running[kind]

        yield find


@pytest.fixture(scope="session")
def service(request, services):
    return services(getattr(request, "param", choose_kinds(request.config)[0]))


@contextmanager
def serving(folder, *options):
    log = folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [LAMINA, "serve", "--data", folder / "data", "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        yield Service(folder / "data", _read_endpoint(process, log), log)
    finally:
        process.terminate()
        code = process.wait(20)
        process.stdout.close()
    assert code == 0, log.read_text()[-2000:]
    assert "Traceback" not in log.read_text()


def _read_endpoint(process, log):
    for raw in process.stdout:
        line = raw.decode().strip()
        if "answers at" in line:
            return line.rsplit(" ", 1)[1]
    raise AssertionError(log.read_text())


@pytest.fixture
def account(service):
    made = service.add_account()
    yield made
    made.close()


@pytest.fixture
def stranger(service):
    made = service.add_account()
    yield made
    made.close()
