"""Settings from the environment, read once. The only reader of `os.environ`."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from lamina.failures import Refusal

_NAMED_KEY: Final = re.compile(r"LAMINA_S3_(\w+)_ACCESS_KEY_ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Credentials:
    """Who asks an S3 service: a pair of keys that has a name, for stores that are not let in with the common one."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the environment may say. Command-line options win over these.

    Attributes:
        key_file: `LAMINA_KEY_FILE`, the file that unlocks a repository.
        passphrase: `LAMINA_PASSPHRASE`, the alternative to a key file.
        new_passphrase: `LAMINA_NEW_PASSPHRASE`, what `lamina repo passwd` sets.
        zstd_level: `LAMINA_ZSTD_LEVEL`, 1 (fast) to 19 (small).
        workers: `LAMINA_WORKERS`, threads of a capture or restore; by default one per core, eight at most.
        cache_dir: `XDG_CACHE_HOME`/lamina, where caches live that can be deleted at any time.
        data_dir: `XDG_DATA_HOME`/lamina, where the service keeps its data unless told otherwise.
        database: `LAMINA_DATABASE`, the URL of the service's PostgreSQL database; without one it has its own file.
        s3_endpoint: `LAMINA_S3_ENDPOINT` or `AWS_ENDPOINT_URL`, for stores other than AWS.
        s3_region: `AWS_REGION` or `AWS_DEFAULT_REGION`.
        s3_access_key_id: `AWS_ACCESS_KEY_ID`.
        s3_secret_access_key: `AWS_SECRET_ACCESS_KEY`.
        s3_session_token: `AWS_SESSION_TOKEN`.
        s3_credentials: `LAMINA_S3_<NAME>_ACCESS_KEY_ID`, `…_SECRET_ACCESS_KEY` and, if there is one, `…_SESSION_TOKEN`,
            by their names in capital letters; `lamina.toml` says which region uses which.
        s3_virtual_hosted: `LAMINA_S3_VIRTUAL_HOSTED`, whether the bucket is part of the host name (OSS wants it).
        root_key_command: `LAMINA_ROOT_KEY_COMMAND`, a program that writes the root key of the service.
        credentials_dir: `CREDENTIALS_DIRECTORY`, where systemd puts credentials; the root key may be among them.
        endpoint: `LAMINA_ENDPOINT`, where the service answers, such as `http://127.0.0.1:8788`.
        access_key_id: `ALIBABA_CLOUD_ACCESS_KEY_ID`.
        access_key_secret: `ALIBABA_CLOUD_ACCESS_KEY_SECRET`.
        region_id: `ALIBABA_CLOUD_REGION_ID`.
    """

    key_file: Path | None = None
    passphrase: str | None = field(default=None, repr=False)
    new_passphrase: str | None = field(default=None, repr=False)
    zstd_level: int = 1
    workers: int = 2
    cache_dir: Path = Path("~/.cache/lamina")
    data_dir: Path = Path("~/.local/share/lamina")
    database: str | None = field(default=None, repr=False)
    s3_endpoint: str | None = None
    s3_region: str = "us-east-1"
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = field(default=None, repr=False)
    s3_session_token: str | None = field(default=None, repr=False)
    s3_credentials: Mapping[str, S3Credentials] = field(default_factory=dict)
    s3_virtual_hosted: bool = False
    root_key_command: str | None = None
    credentials_dir: Path | None = None
    endpoint: str | None = None
    access_key_id: str | None = None
    access_key_secret: str | None = field(default=None, repr=False)
    region_id: str = "cn-hangzhou"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the process's environment (or `environ`); an empty variable counts as absent.

        Raises:
            Refusal: a number is not a number or out of its range.
        """
        env = {name: value for name, value in (os.environ if environ is None else environ).items() if value}
        key_file = env.get("LAMINA_KEY_FILE")
        return cls(
            key_file=Path(key_file) if key_file else None,
            passphrase=env.get("LAMINA_PASSPHRASE"),
            new_passphrase=env.get("LAMINA_NEW_PASSPHRASE"),
            zstd_level=_number(env, "LAMINA_ZSTD_LEVEL", default=1, low=1, high=19),
            workers=_number(env, "LAMINA_WORKERS", default=min(8, os.cpu_count() or 1), low=1, high=64),
            cache_dir=_xdg(env, "XDG_CACHE_HOME", ".cache"),
            data_dir=_xdg(env, "XDG_DATA_HOME", ".local/share"),
            database=env.get("LAMINA_DATABASE"),
            s3_endpoint=env.get("LAMINA_S3_ENDPOINT") or env.get("AWS_ENDPOINT_URL"),
            s3_region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
            s3_access_key_id=env.get("AWS_ACCESS_KEY_ID"),
            s3_secret_access_key=env.get("AWS_SECRET_ACCESS_KEY"),
            s3_session_token=env.get("AWS_SESSION_TOKEN"),
            s3_credentials=_named_credentials(env),
            s3_virtual_hosted=env.get("LAMINA_S3_VIRTUAL_HOSTED", "").lower() in ("1", "true", "yes"),
            root_key_command=env.get("LAMINA_ROOT_KEY_COMMAND"),
            credentials_dir=Path(env["CREDENTIALS_DIRECTORY"]) if "CREDENTIALS_DIRECTORY" in env else None,
            endpoint=env.get("LAMINA_ENDPOINT"),
            access_key_id=env.get("ALIBABA_CLOUD_ACCESS_KEY_ID"),
            access_key_secret=env.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
            region_id=env.get("ALIBABA_CLOUD_REGION_ID", "cn-hangzhou"),
        )


def _xdg(env: Mapping[str, str], name: str, fallback: str) -> Path:
    base = env.get(name)
    return (Path(base) if base else Path.home() / fallback) / "lamina"


def _named_credentials(env: Mapping[str, str]) -> dict[str, S3Credentials]:
    found = {}
    for variable in env:
        match = _NAMED_KEY.fullmatch(variable)
        if match is None:
            continue
        prefix = variable.removesuffix("_ACCESS_KEY_ID")
        secret = env.get(f"{prefix}_SECRET_ACCESS_KEY")
        if secret is None:
            raise Refusal(f"{variable} is set without {prefix}_SECRET_ACCESS_KEY; set both or neither")
        found[match[1]] = S3Credentials(
            access_key_id=env[variable],
            secret_access_key=secret,
            session_token=env.get(f"{prefix}_SESSION_TOKEN"),
        )
    return found


def _number(env: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    text = env.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise Refusal(f"{name} is {text!r}; it must be a whole number from {low} to {high}")
    return int(text)
