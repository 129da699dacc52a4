"""What buckets of an S3 service must do beyond the contract of all; links are followed by a plain client."""

import http.client
from datetime import timedelta
from typing import Protocol
from urllib.parse import urlsplit

import obstore
import pytest

from lamina.clock import SystemClock
from lamina.control.buckets.bucket_service import BucketService, LinkMethod
from lamina.control.buckets.errors import (
    BucketForbiddenError,
    BucketNotFoundError,
    LinkLimitUnsupportedError,
)
from lamina.control.buckets.s3 import S3Buckets
from lamina.control.buckets.s3_requests import S3Requests
from lamina.engine.objects.s3 import S3Address, make_client
from lamina.failures import Fault
from tests.contracts.bucket_service import BucketServiceContract, make_name, read, write, write_half

MINUTE = timedelta(minutes=1)


class S3Server(Protocol):
    """A running service."""

    @property
    def endpoint(self) -> str: ...
    @property
    def access_key_id(self) -> str: ...
    @property
    def secret_access_key(self) -> str: ...


def find_address(server: S3Server, bucket: str, **changes: object) -> S3Address:
    given: dict[str, object] = {
        "bucket": bucket,
        "prefix": "",
        "endpoint": server.endpoint,
        "region": "us-east-1",
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
    }
    return S3Address(**{**given, **changes})


class S3BucketsContract(BucketServiceContract):
    """A test class gives `server`."""

    @pytest.fixture
    def service(self, server: S3Server) -> BucketService:
        return S3Buckets(lambda bucket: find_address(server, bucket), SystemClock())

    def test_anybody_reads_and_writes_through_links(self, service, bucket):
        key = "folder/a key with ü & more.qcow2"
        link = service.link(bucket, key, LinkMethod.PUT, MINUTE)
        assert follow("PUT", link, b"hello")[0] == 200
        assert read(service, bucket, key) == b"hello"
        status, body = follow("GET", service.link(bucket, key, LinkMethod.GET, MINUTE))
        assert (status, body) == (200, b"hello")
        assert follow("PUT", service.link(bucket, key, LinkMethod.GET, MINUTE), b"x")[0] == 403
        assert follow("GET", service.link(bucket, "folder/b", LinkMethod.GET, MINUTE))[0] == 404
        stolen = urlsplit(link)._replace(path=f"/{bucket}/other").geturl()
        assert follow("PUT", stolen, b"x")[0] == 403

    def test_a_link_opens_the_next_bucket_of_the_name_and_the_service_says_so(self, service, bucket):
        link = service.link(bucket, "key", LinkMethod.GET, MINUTE)
        service.remove(bucket)
        service.create(bucket)
        write(service, bucket, "key", b"another's")
        assert follow("GET", link) == (200, b"another's")
        assert service.links_outlive_buckets

    def test_a_limit_that_the_service_cannot_keep_is_refused(self, service, bucket):
        with pytest.raises(LinkLimitUnsupportedError):
            service.link(bucket, "key", LinkMethod.PUT, MINUTE, max_bytes=1)

    def test_a_link_is_signed_as_obstore_signs_it(self, service, bucket, server):
        client = make_client(find_address(server, bucket))
        for _ in range(5):  # the two may fall into different seconds
            ours = service.link(bucket, "a/b ü%+.x", LinkMethod.GET, MINUTE)
            theirs = obstore.sign(client, "GET", "a/b ü%+.x", MINUTE)
            if ours == theirs:
                return
        assert sort_query(ours) == sort_query(theirs)

    def test_parts_of_an_interrupted_upload_go_with_the_next_one(self, service, bucket, server):
        address = find_address(server, bucket)
        requests = S3Requests(address, SystemClock())
        upload = obstore.open_writer(make_client(address), "key", buffer_size=5 << 20, max_concurrency=1)
        upload.write(bytes(11 << 20))
        del upload  # the process died
        assert count_uploads(requests) == 1
        assert service.list(bucket, prefix="", after="", limit=10) == []
        write(service, bucket, "other", b"x")
        assert count_uploads(requests) == 1
        write(service, bucket, "key", b"x")
        assert count_uploads(requests) == 0
        assert read(service, bucket, "key") == b"x"

    def test_an_upload_whose_key_begins_like_another_one_goes_on_beside_it(
        self, service, bucket, monkeypatch
    ):
        monkeypatch.setattr("lamina.control.buckets.s3._STREAM_PART_BYTES", 5 << 20)
        content = bytes(range(256)) * (24 << 10)
        with service.writing(bucket, "disk.raw.old") as stream:
            stream.write(content)
            write(service, bucket, "disk.raw", b"x")
        assert read(service, bucket, "disk.raw.old") == content
        assert read(service, bucket, "disk.raw") == b"x"

    def test_a_failed_stream_leaves_no_parts(self, service, bucket, server, monkeypatch):
        monkeypatch.setattr("lamina.control.buckets.s3._STREAM_PART_BYTES", 5 << 20)
        with pytest.raises(KeyError):
            write_half(service, bucket, "key", 16 << 20)
        assert count_uploads(S3Requests(find_address(server, bucket), SystemClock())) == 0
        assert service.list(bucket, prefix="", after="", limit=10) == []

    def test_a_long_stream_is_sent_in_parts(self, service, bucket, monkeypatch):
        monkeypatch.setattr("lamina.control.buckets.s3._STREAM_PART_BYTES", 5 << 20)
        content = bytes(range(256)) * (12 << 12)
        write(service, bucket, "key", content)
        assert read(service, bucket, "key") == content

    def test_a_replaced_object_is_noticed_by_its_reader(self, service, bucket):
        write(service, bucket, "key", bytes(20 << 20))
        with service.reading(bucket, "key") as stream:
            assert stream.read(10) == bytes(10)
            write(service, bucket, "key", b"\1" * (20 << 20))
            with pytest.raises(Fault, match="replaced"):
                stream.read()

    def test_wrong_credentials_are_told(self, bucket, server, tmp_path):
        (tmp_path / "file").write_bytes(b"x")
        stranger = S3Buckets(
            lambda name: find_address(server, name, secret_access_key="wrong"), SystemClock()
        )
        with pytest.raises(BucketForbiddenError):
            stranger.create(make_name())
        with pytest.raises(BucketForbiddenError):
            stranger.exists(bucket)
        with pytest.raises(BucketForbiddenError):
            stranger.put(bucket, "key", tmp_path / "file")
        with pytest.raises(BucketForbiddenError):
            stranger.list(bucket, prefix="", after="", limit=1)

    def test_a_service_that_is_gone_is_a_fault_that_may_pass(self, server):
        gone = S3Buckets(
            lambda name: find_address(server, name, endpoint="http://127.0.0.1:1"), SystemClock()
        )
        for act in (lambda: gone.create("bucket"), lambda: gone.stat("bucket", "key")):
            with pytest.raises(Fault) as caught:
                act()
            assert caught.value.retryable
            assert "not-a-secret" not in str(caught.value)

    def test_a_bucket_that_is_gone_cannot_be_linked_to(self, service):
        with pytest.raises(BucketNotFoundError):
            service.link(make_name(), "key", LinkMethod.GET, MINUTE)


def follow(method: str, link: str, body: bytes | None = None) -> tuple[int, bytes]:
    parts = urlsplit(link)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def sort_query(link: str) -> tuple[str, list[str]]:
    path, _, query = link.partition("?")
    return path, sorted(query.split("&"))


def count_uploads(requests: S3Requests) -> int:
    _, body = follow("GET", requests.sign("GET", "", MINUTE, {"uploads": ""}))
    return body.count(b"<UploadId>")
