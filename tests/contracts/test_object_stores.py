"""Every object store and every wrapper runs the same suite."""

import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lamina.clock import ManualClock, SystemClock
from lamina.engine.objects.delayed import DelayedStore
from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.objects.faulty import FaultyStore
from lamina.engine.objects.location import open_store
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.metered import MeteredStore
from lamina.engine.objects.retrying import RetryingStore
from lamina.engine.objects.s3 import S3Address, S3Store
from lamina.engine.objects.store import ObjectStore
from lamina.settings import Settings
from tests.contracts.object_store import ObjectStoreContract
from tests.servers.seaweedfs import SeaweedServer


class TestMemoryStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryStore()


class TestDirectoryStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return DirectoryStore.create(tmp_path / "objects")


class TestS3Store(ObjectStoreContract):
    race_rounds = 2  # SeaweedFS takes more than a second to settle six conditional puts of one key

    @pytest.fixture
    def store(self, seaweedfs: SeaweedServer) -> ObjectStore:
        return S3Store(
            S3Address(
                bucket=seaweedfs.bucket,
                prefix=f"contract/{secrets.token_hex(8)}",
                endpoint=seaweedfs.endpoint,
                region="us-east-1",
                access_key_id=seaweedfs.access_key_id,
                secret_access_key=seaweedfs.secret_access_key,
            )
        )


class TestS3StoreByLocation(ObjectStoreContract):
    race_rounds = 1

    @pytest.fixture
    def store(self, seaweedfs: SeaweedServer) -> ObjectStore:
        settings = Settings(
            s3_endpoint=seaweedfs.endpoint,
            s3_access_key_id=seaweedfs.access_key_id,
            s3_secret_access_key=seaweedfs.secret_access_key,
        )
        return open_store(f"s3://{seaweedfs.bucket}/Contract/{secrets.token_hex(8)}/", settings)


class TestRetryingStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return RetryingStore(MemoryStore(), clock=SystemClock())


class TestMeteredStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MeteredStore(MemoryStore(), clock=SystemClock())


class TestFaultyStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return FaultyStore(MemoryStore())


class TestDelayedStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        return DelayedStore(MemoryStore(), clock=clock, seconds_per_request=0.02, bytes_per_second=1e7)


class TestAllWrappersAroundADirectory(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        clock = SystemClock()
        slow = DelayedStore(
            DirectoryStore.create(tmp_path / "objects"),
            clock=clock,
            seconds_per_request=0,
            bytes_per_second=float("inf"),
        )
        return RetryingStore(MeteredStore(FaultyStore(slow), clock=clock), clock=clock)
