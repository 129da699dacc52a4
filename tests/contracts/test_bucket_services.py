"""Both bucket services run the same suite."""

from pathlib import Path

import pytest

from lamina.clock import SystemClock
from lamina.control.buckets.bucket_service import BucketService
from lamina.control.buckets.directory import DirectoryBuckets
from lamina.control.buckets.links import LinkSigner
from tests.contracts.bucket_service import BucketServiceContract
from tests.contracts.s3_buckets import S3BucketsContract
from tests.servers.seaweedfs import SeaweedServer


class TestDirectoryBuckets(BucketServiceContract):
    @pytest.fixture
    def service(self, tmp_path: Path) -> BucketService:
        return DirectoryBuckets(tmp_path / "buckets", LinkSigner(bytes(32), SystemClock()))


class TestS3Buckets(S3BucketsContract):
    @pytest.fixture
    def server(self, seaweedfs: SeaweedServer) -> SeaweedServer:
        return seaweedfs
