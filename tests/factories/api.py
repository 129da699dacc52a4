"""An installation's API in one process: real rows in a real database, no sockets, and a client that signs."""

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, urlencode

from lamina.api.call import Services
from lamina.api.nonces import NonceStore
from lamina.api.rate_limit import RateLimiter
from lamina.api.server import HttpReply, HttpRequest, Pipeline
from lamina.api.signature import ACS3, SignedCall, sign_acs3
from lamina.clock import ManualClock
from lamina.control.accounts.access_keys import AccessKey, NewKey, add_access_key
from lamina.control.accounts.create import create_account
from lamina.control.accounts.states import KeyRole
from lamina.control.audit.journal import AuditJournal
from lamina.control.buckets.opening import Buckets
from lamina.control.disks.volumes import Volumes
from lamina.control.images.built_in import ensure_built_in_image
from lamina.control.keys.key_ring import KeyRing
from lamina.control.preferences import CallRates
from lamina.control.regions.create import NewRegion, create_region
from lamina.control.repositories import Repositories, Secrets
from lamina.control.root_key import RootKey, Vault
from lamina.control.scope import Limits
from lamina.control.tariff.tariff import Tariff
from lamina.database import Database
from lamina.ids import RegionId, ZoneId
from lamina.settings import Settings
from tests.servers.databases import find_test_url

REGION = RegionId("cn-hangzhou")
ZONE = ZoneId("cn-hangzhou-a")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAST = CallRates(per_action=10_000, per_key=10_000)


@dataclass
class Answer:
    """A reply, and its JSON."""

    reply: HttpReply

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def json(self) -> dict:
        return json.loads(self.reply.body)

    @property
    def code(self) -> str:
        return self.json.get("Code", "ok")


@dataclass
class Caller:
    """Signs calls with one key and hands them to the pipeline."""

    pipeline: Pipeline
    key: AccessKey
    clock: ManualClock
    nonces: Callable[[], int]

    def call(self, action: str, body: bytes = b"", **parameters: object) -> Answer:
        return self.send(action, urlencode({k.replace("__", "."): v for k, v in parameters.items()}), body)

    def send(
        self,
        action: str,
        query: str,
        body: bytes = b"",
        *,
        unsigned: Mapping[str, str] = MappingProxyType({}),
        **changes: str,
    ) -> Answer:
        headers = {
            "host": "ecs.example",
            "x-acs-action": action,
            "x-acs-version": "2014-05-26",
            "x-acs-date": f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": f"nonce-{self.nonces()}",
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            **changes,
        }
        signed = SignedCall(
            method="POST",
            path="/",
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            form=(),
            headers={name: (value,) for name, value in headers.items()},
            body=body,
        )
        names, signature = sign_acs3(signed, headers, self.key.secret)
        line = f"{ACS3} Credential={self.key.id},SignedHeaders={names},Signature={signature}"
        request = HttpRequest(
            method="POST",
            path="/",
            query=query.encode(),
            headers={
                **signed.headers,
                "authorization": (line,),
                **{name: (value,) for name, value in unsigned.items()},
            },
            body=body,
        )
        return Answer(self.pipeline.answer(request))


@dataclass
class Installation:
    """One region with one zone, and as many accounts as a test asks for."""

    services: Services
    pipeline: Pipeline
    clock: ManualClock
    counter: "itertools.count[int]"

    def add_caller(self, name: str = "account", *, role: KeyRole = KeyRole.ADMINISTRATOR) -> Caller:
        with self.services.database.transaction() as session:
            account = create_account(session, self.clock, name=name)
            key = add_access_key(session, self.services.vault, self.clock, account.id, NewKey(role=role))
        return Caller(self.pipeline, key, self.clock, lambda: next(self.counter))


def make_installation(folder: Path, *, rates: CallRates = FAST) -> Installation:
    """An empty installation in `folder` whose clock stands still."""
    clock = ManualClock(START)
    database = Database.open(find_test_url(folder))
    root = RootKey(bytes(range(32)))
    volumes = folder / "disks"
    volumes.mkdir()
    keys = KeyRing(folder / "keys", root)
    with database.transaction() as session:
        region = NewRegion(
            id=REGION, local_name="Hangzhou", store="store", time_zone="Asia/Shanghai", zones={ZONE: "Zone A"}
        )
        ensure_built_in_image(session, clock, create_region(session, clock, region))
    services = Services(
        database=database,
        vault=Vault(root),
        volumes=Volumes(volumes, keys),
        buckets=Buckets(database, root, lambda _: Settings(), clock, folder),
        repositories=Repositories(
            database, Secrets(root_key=root, ring=keys), lambda _: Settings(), clock, folder
        ),
        clock=clock,
        wall_clock=clock,
        limits=Limits(),
        region_id=REGION,
        nonces=NonceStore(clock, folder / "nonces"),
        limiter=RateLimiter(clock, rates),
        audit=AuditJournal(database, capacity=10**9),  # no thread: tests that look at it flush it
        tariff=Tariff(),
        paging_key=root.derive("paging"),
    )
    return Installation(services, Pipeline(services), clock, itertools.count())
