"""From what a person writes, such as `/srv/backup` or `s3://bucket/prefix`, to an object store."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from lamina.clock import SystemClock
from lamina.engine.objects.directory import DirectoryStore
from lamina.engine.objects.retrying import RetryingStore
from lamina.engine.objects.s3 import S3Address, S3Store
from lamina.engine.objects.store import ObjectStore
from lamina.failures import Refusal
from lamina.settings import Settings

_FORMS: Final = "a path, file:///path or s3://bucket/prefix"
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
# "Bucket naming rules" of S3; OSS has the same lengths and fewer characters.
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_PREFIX_LENGTH_MAX: Final = 500  # with the slash and our longest key of 512 below the 1,024 bytes of S3


def open_store(location: str, settings: Settings, *, create: bool = False) -> ObjectStore:
    """The object store at `location`, with retries.

    Args:
        location: a path, `file:///path` or `s3://bucket/prefix`.
        settings: endpoint and credentials of S3.
        create: make a missing directory. Buckets are never made: who pays for them should do that.

    Raises:
        Refusal: the location has none of these forms, its directory is missing, or credentials are.
        Fault: the directory could not be made or looked at.
    """
    return RetryingStore(_open(location, settings, create=create), clock=SystemClock())


def _open(location: str, settings: Settings, *, create: bool) -> ObjectStore:
    found = _SCHEME.fullmatch(location)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", location)
    match scheme:
        case "":
            return _open_directory(location, rest, create=create)
        case "file":
            if not rest.startswith("/"):
                raise Refusal(f"{location!r} names another machine; write file:///path with three slashes")
            return _open_directory(location, unquote(rest), create=create)
        case "s3":
            return S3Store(_read_address(location, rest, settings))
        case _:
            raise Refusal(f"{location!r} is not a place for a repository; write {_FORMS}")


def _open_directory(location: str, path: str, *, create: bool) -> DirectoryStore:
    if not path or "\0" in path:
        raise Refusal(f"{location!r} is not a place for a repository; write {_FORMS}")
    return DirectoryStore.create(Path(path)) if create else DirectoryStore(Path(path))


def _read_address(location: str, rest: str, settings: Settings) -> S3Address:
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.removesuffix("/")
    if not _BUCKET.fullmatch(bucket):
        raise Refusal(f"{location!r} has no valid bucket name; write s3://bucket/prefix")
    if prefix and (len(prefix) > _PREFIX_LENGTH_MAX or not _PREFIX.fullmatch(prefix)):
        raise Refusal(
            f"the prefix of {location!r} cannot be used; choose one of at most {_PREFIX_LENGTH_MAX} letters, "
            "digits, '-', '_', '.' and '/', without empty parts and without parts that start with a dot"
        )
    if settings.s3_access_key_id is None or settings.s3_secret_access_key is None:
        raise Refusal(f"{location} needs credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return S3Address(
        bucket=bucket,
        prefix=prefix,
        endpoint=_read_endpoint(settings),
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        session_token=settings.s3_session_token,
        virtual_hosted=settings.s3_virtual_hosted,
    )


def _read_endpoint(settings: Settings) -> str:
    endpoint = settings.s3_endpoint or f"https://s3.{settings.s3_region}.amazonaws.com"
    parts = urlsplit(endpoint)
    if "@" in parts.netloc:  # not repeated in the message: there is a password in it
        raise Refusal(
            "the S3 endpoint has a user name in it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise Refusal(f"the S3 endpoint {endpoint!r} is not a URL such as https://s3.example.com:9000")
    return endpoint
