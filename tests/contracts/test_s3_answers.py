"""What becomes of the answers of an S3 service: each from a real server on loopback that answers as told."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lamina.engine.objects.s3 import S3Address, S3Store
from lamina.engine.objects.store import CreateOnlyUnsupportedError, ObjectExistsError, ObjectMissingError
from lamina.failures import Fault
from tests.servers.seaweedfs import SeaweedServer

SECRET = "wJalrXUtnFEMI-very-secret"
TOKEN = "session-token-very-secret"


class Service(ThreadingHTTPServer):
    """Answers every request with `status` and an error body, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = 200
        self.code = "SomeCode"
        self.delay_seconds = 0.0
        self.hang_up = False
        self.requests: list[tuple[str, str, dict[str, str], int]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Service

    def answer(self) -> None:
        size = len(self.rfile.read(int(self.headers.get("content-length") or 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, self.path, headers, size))
        time.sleep(self.server.delay_seconds)
        if self.server.hang_up:
            self.close_connection = True
            return
        echo = f"<AWSAccessKeyId>AKIDEXAMPLE</AWSAccessKeyId><Token-0>{headers.get('x-amz-security-token')}</Token-0>"
        body = b""
        if self.server.status >= 300 and self.command != "HEAD":
            body = f"<Error><Code>{self.server.code}</Code><Message>told to</Message>{echo}</Error>".encode()
        self.send_response(self.server.status)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 - the names that the base class calls

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.01,))
        thread.start()
        yield service
        service.shutdown()
        thread.join()


@pytest.fixture
def address(service: Service) -> S3Address:
    return S3Address(
        bucket="bucket",
        prefix="Some/prefix",
        endpoint=service.url,
        region="cn-hangzhou",
        access_key_id="AKIDEXAMPLE",
        secret_access_key=SECRET,
        session_token=TOKEN,
    )


@pytest.fixture
def store(address: S3Address) -> S3Store:
    return S3Store(address)


CALLS = {
    "put": lambda store: store.put("a/b", b"data"),
    "put_new": lambda store: store.put_new("a/b", b"data"),
    "get": lambda store: store.get("a/b"),
    "get_range": lambda store: store.get_range("a/b", 0, 5),
    "get_tail": lambda store: store.get_tail("a/b", 5),
    "list": lambda store: list(store.list("a/")),
    "delete": lambda store: store.delete("a/b"),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@every_call
@pytest.mark.parametrize(
    ("status", "code", "retryable", "advice"),
    [
        (400, "ExpiredToken", False, "check the access key"),
        (400, "RequestTimeout", True, "check the bucket"),
        (400, "InvalidRequest", False, "check the bucket, endpoint and region"),
        (403, "SignatureDoesNotMatch", False, "check the access key, its secret"),
        (403, "RequestTimeTooSkewed", False, "set this machine's clock"),
        (404, "NoSuchBucket", False, "create the bucket"),
        (429, "TooManyRequests", True, "check the bucket"),
        (500, "InternalError", True, "look at the service's own log"),
        (503, "SlowDown", True, "look at the service's own log"),
    ],
)
def test_an_answer_becomes_a_fault_that_says_what_to_do(
    service: Service, store: S3Store, *, call, status: int, code: str, retryable: bool, advice: str
) -> None:
    service.status, service.code = status, code
    with pytest.raises(Fault) as caught:
        call(store)
    fault = caught.value
    assert not isinstance(fault, ObjectMissingError)
    assert fault.retryable is retryable
    assert f"s3://bucket/Some/prefix at {service.url}" in str(fault)
    assert f"the service answered {status} {code}" in str(fault)
    assert advice in str(fault)
    told = [str(error) for error in (fault, fault.__cause__, fault.__context__) if error is not None]
    assert len(told) >= 2
    assert not [text for text in told if SECRET in text or TOKEN in text or "AKIDEXAMPLE" in text]
    assert len(service.requests) <= 3


@pytest.mark.parametrize("call", ["get", "get_range", "get_tail"])
def test_a_missing_key_is_not_a_missing_bucket(service: Service, store: S3Store, call: str) -> None:
    service.status, service.code = 404, "NoSuchKey"
    with pytest.raises(ObjectMissingError) as caught:
        CALLS[call](store)
    assert caught.value.key == "a/b"
    assert TOKEN not in str(caught.value.__cause__)


def test_deleting_a_missing_key_succeeds_also_where_the_service_answers_404(
    service: Service, store: S3Store
) -> None:
    service.status, service.code = 404, "NoSuchKey"
    store.delete("a/b")
    assert [request[0] for request in service.requests] == ["DELETE"]


@pytest.mark.parametrize("code", ["NotImplemented", "SomethingElse"])
def test_a_service_without_conditional_puts_is_refused(service: Service, store: S3Store, code: str) -> None:
    service.status, service.code = 501, code
    with pytest.raises(CreateOnlyUnsupportedError, match="use a service whose PutObject knows If-None-Match"):
        store.put_new("a/b", b"data")
    assert service.requests[0][2]["if-none-match"] == "*"
    with pytest.raises(Fault, match="answered 501") as caught:
        store.put("a/b", b"data")
    assert not caught.value.retryable


@every_call
def test_a_service_that_hangs_up_is_worth_another_try(service: Service, store: S3Store, call) -> None:
    service.hang_up = True
    with pytest.raises(Fault, match=r"no answer \(\w+\); check the endpoint and the network") as caught:
        call(store)
    assert caught.value.retryable


def test_nobody_at_the_endpoint_is_worth_another_try(address: S3Address) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as closed:
        port = closed.server_port
    store = S3Store(replace(address, endpoint=f"http://127.0.0.1:{port}"))
    with pytest.raises(Fault, match=r"no answer \(connect\)") as caught:
        store.get("a")
    assert caught.value.retryable


def test_a_service_that_does_not_answer_in_time_is_given_up(service: Service, address: S3Address) -> None:
    service.delay_seconds = 0.5
    started = time.monotonic()
    with pytest.raises(Fault, match=r"no answer \(timeout\)") as caught:
        S3Store(replace(address, timeout_seconds=0.1)).get("a")
    assert caught.value.retryable
    assert time.monotonic() - started < 5


def test_requests_carry_what_the_service_must_know(service: Service, store: S3Store) -> None:
    store.put("a/b", bytes(100_000))
    (method, path, headers, size) = service.requests[0]
    assert (method, path, size) == ("PUT", "/bucket/Some/prefix/a/b", 100_000)
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert headers["x-amz-security-token"] == TOKEN
    assert "Credential=AKIDEXAMPLE/" in headers["authorization"]
    assert "/cn-hangzhou/s3/aws4_request" in headers["authorization"]


def test_a_large_object_is_one_request(service: Service, store: S3Store) -> None:
    store.put("a", bytes(40 << 20))
    assert [(request[0], request[3]) for request in service.requests] == [("PUT", 40 << 20)]


def test_the_environment_does_not_change_where_requests_go_or_who_signs_them(
    service: Service, address: S3Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_BUCKET": "other",
        "AWS_REGION": "other",
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_S3_EXPRESS": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }.items():
        monkeypatch.setenv(name, value)
    S3Store(replace(address, session_token=None)).put("a", b"1")
    (_, path, headers, _) = service.requests[0]
    assert path == "/bucket/Some/prefix/a"
    assert "Credential=AKIDEXAMPLE/" in headers["authorization"]
    assert "/cn-hangzhou/s3/" in headers["authorization"]
    assert "x-amz-security-token" not in headers


@pytest.mark.parametrize("host", ["oss.example", "bucket.oss.example"])
def test_the_bucket_can_be_in_the_host_name(
    service: Service, address: S3Address, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", service.url)  # no name server knows these hosts
    monkeypatch.setenv("NO_PROXY", "")
    virtual = replace(address, endpoint=f"http://{host}", virtual_hosted=True)
    S3Store(virtual).put("a", b"1")
    (_, path, headers, _) = service.requests[0]
    assert path == "http://bucket.oss.example/Some/prefix/a"
    assert headers["host"] == "bucket.oss.example"


def test_nothing_shows_a_secret(address: S3Address) -> None:
    store = S3Store(address)
    for text in (repr(address), str(address), repr(store), store.describe(), repr(store._client)):
        assert SECRET not in text
        assert TOKEN not in text


def test_wrong_credentials_are_refused_by_a_real_service(seaweedfs: SeaweedServer) -> None:
    right = S3Address(
        bucket=seaweedfs.bucket,
        prefix="wrong",
        endpoint=seaweedfs.endpoint,
        region="us-east-1",
        access_key_id=seaweedfs.access_key_id,
        secret_access_key=seaweedfs.secret_access_key,
    )
    S3Store(right).put_new("a", b"1")
    for wrong in (replace(right, access_key_id="nobody"), replace(right, secret_access_key="nothing")):
        for call in CALLS.values():
            with pytest.raises(Fault, match=r"answered 403 .*check the access key") as caught:
                call(S3Store(wrong))
            assert not caught.value.retryable
    with pytest.raises(Fault, match="create the bucket"):
        S3Store(replace(right, bucket="no-such-bucket")).put("a", b"1")
    with pytest.raises(ObjectExistsError):
        S3Store(right).put_new("a", b"2")
