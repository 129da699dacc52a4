from pathlib import Path

import pytest

from lamina.engine.objects.location import open_store
from lamina.failures import Refusal
from lamina.settings import Settings

SECRET = "wJalrXUtnFEMI-very-secret"
KEYS = Settings(
    s3_access_key_id="AKIDEXAMPLE", s3_secret_access_key=SECRET, s3_session_token="token-" + SECRET
)


def test_a_path_opens_its_directory(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), Settings())
    store.put("a/b", b"data")
    assert (tmp_path / "a" / "b").read_bytes() == b"data"
    assert store.describe() == str(tmp_path)


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("repo", Settings(), create=True)
    monkeypatch.chdir("/")
    store.put("a", b"data")
    assert (tmp_path / "repo" / "a").exists()


@pytest.mark.parametrize("form", ["file://{}", "FILE://{}", "{}"])
def test_a_directory_is_made_on_demand(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "new" / "repo"
    with pytest.raises(Refusal, match=r"new/repo does not exist; create it"):
        open_store(form.format(folder), Settings())
    open_store(form.format(folder), Settings(), create=True)
    open_store(form.format(folder), Settings(), create=True)
    assert folder.is_dir()


def test_a_file_url_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "two words").mkdir()
    assert open_store(f"file://{tmp_path}/two%20words", Settings()).describe().endswith("/two words")


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("", "write a path, file:///path or s3://bucket/prefix"),
        ("http://host/bucket", "write a path, file:///path or s3://bucket/prefix"),
        ("sftp://host/x", "write a path, file:///path or s3://bucket/prefix"),
        ("a\0b", "write a path"),
        ("file://host/path", "three slashes"),
        ("file://", "three slashes"),
        ("s3://", "no valid bucket name"),
        ("s3:///prefix", "no valid bucket name"),
        ("s3://ab/prefix", "no valid bucket name"),
        ("s3://Bucket/prefix", "no valid bucket name"),
        ("s3://user:password@bucket/x", "no valid bucket name"),
        ("s3://bucket/a//b", "prefix of .* cannot be used"),
        ("s3://bucket/../b", "prefix of .* cannot be used"),
        ("s3://bucket/a b", "prefix of .* cannot be used"),
        ("s3://bucket/" + "a" * 501, "prefix of .* cannot be used"),
    ],
)
def test_other_places_are_refused(location: str, message: str) -> None:
    with pytest.raises(Refusal, match=message):
        open_store(location, KEYS, create=True)


def test_a_file_is_not_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for create in (False, True):
        with pytest.raises(Refusal, match="is not a directory"):
            open_store(str(tmp_path / "file"), Settings(), create=create)
    with pytest.raises(Refusal, match="does not exist"):
        open_store(str(tmp_path / "file" / "below"), Settings())
    with pytest.raises(Refusal, match="there is a file above it"):
        open_store(str(tmp_path / "file" / "below"), Settings(), create=True)


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(s3_access_key_id="A"), Settings(s3_secret_access_key="B")]
)
def test_a_bucket_needs_both_credentials(settings: Settings) -> None:
    with pytest.raises(Refusal, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_store("s3://bucket/x", settings)


@pytest.mark.parametrize(
    ("location", "description"),
    [
        ("s3://bucket", "s3://bucket at https://s3.us-east-1.amazonaws.com"),
        ("s3://bucket/", "s3://bucket at https://s3.us-east-1.amazonaws.com"),
        ("S3://bucket/Some/Prefix/", "s3://bucket/Some/Prefix at https://s3.us-east-1.amazonaws.com"),
    ],
)
def test_a_bucket_is_described_without_secrets(location: str, description: str) -> None:
    store = open_store(location, KEYS)
    assert store.describe() == description


@pytest.mark.parametrize(
    "endpoint", ["ftp://host", "host:9000", "https://", "https://host/?query", "https://host/#part"]
)
def test_an_endpoint_is_a_url(endpoint: str) -> None:
    settings = Settings(s3_endpoint=endpoint, s3_access_key_id="A", s3_secret_access_key="B")
    with pytest.raises(Refusal, match="is not a URL such as"):
        open_store("s3://bucket", settings)


def test_an_endpoint_with_a_password_is_refused_without_showing_it() -> None:
    settings = Settings(
        s3_endpoint=f"https://me:{SECRET}@host", s3_access_key_id="A", s3_secret_access_key="B"
    )
    with pytest.raises(Refusal) as caught:
        open_store("s3://bucket", settings)
    assert SECRET not in str(caught.value)
