"""Buckets and object stores in Ceph, which does some things in its own way: only with `--ceph`."""

import secrets

import pytest

from lamina.clock import SystemClock
from lamina.engine.objects.retrying import RetryingStore
from lamina.engine.objects.s3 import S3Address, S3Store
from lamina.engine.objects.store import ObjectStore
from tests.contracts.object_store import ObjectStoreContract
from tests.contracts.s3_buckets import S3BucketsContract
from tests.servers.ceph import CephServer


class TestCephBuckets(S3BucketsContract):
    @pytest.fixture
    def server(self, ceph: CephServer) -> CephServer:
        return ceph


class TestCephStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, ceph: CephServer) -> ObjectStore:
        address = S3Address(
            bucket=ceph.bucket,
            prefix=f"contract/{secrets.token_hex(8)}",
            endpoint=ceph.endpoint,
            region="us-east-1",
            access_key_id=ceph.access_key_id,
            secret_access_key=ceph.secret_access_key,
        )
        # as the service opens it: RGW 16 answers 500 to some reads of an object that is being replaced
        return RetryingStore(S3Store(address), clock=SystemClock())
