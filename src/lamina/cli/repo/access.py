"""How a command of `lamina repo` gets its repository: from STORE, the secret, the settings and the cache."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lamina.cli.output import say
from lamina.cli.repo.secret import read_secret
from lamina.engine.objects.location import open_store
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import Secret
from lamina.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Which repository a command works on, and how to get in.

    Attributes:
        location: the STORE that was given.
        key_file: from `--key-file` or the environment.
        settings: the environment.
    """

    location: str
    key_file: Path | None
    settings: Settings

    def open(self) -> Repository:
        """The repository, unlocked.

        Raises:
            Refusal: there is none, or the secret is missing or wrong.
        """
        store = open_store(self.location, self.settings)
        return Repository.open(store, self._read_secret(is_new=False), cache_dir=self._find_cache())

    def create(self) -> Repository:
        """A new repository.

        Raises:
            Refusal: there is one already, or nothing was named that could unlock it.
        """
        secret = self._read_secret(is_new=True)
        store = open_store(self.location, self.settings, create=True)
        return Repository.create(store, secret, cache_dir=self._find_cache())

    def read_new_secret(self, key_file: Path | None) -> Secret:
        """What is to unlock the repository from now on: a key file, LAMINA_NEW_PASSPHRASE, or typed twice."""
        return read_secret(self.location, key_file, self.settings.new_passphrase, is_new=True)

    def _read_secret(self, *, is_new: bool) -> Secret:
        return read_secret(self.location, self.key_file, self.settings.passphrase, is_new=is_new)

    def _find_cache(self) -> Path | None:
        """The folder for caches; without one everything works, slower."""
        folder = self.settings.cache_dir
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            say(
                f"warning: no cache in {folder}: {error.strerror or error}; set XDG_CACHE_HOME to use another"
            )
            return None
        return folder


def with_access(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the argument STORE and the option `--key-file`, and an `Access` as its first argument."""

    @click.argument("location", metavar="STORE")
    @click.option(
        "--key-file",
        type=click.Path(path_type=Path),
        help="The file that unlocks the repository; by default LAMINA_KEY_FILE.",
    )
    @functools.wraps(command)
    def connected(*, location: str, key_file: Path | None, **options: Any) -> None:  # noqa: ANN401 - click's options
        settings = Settings.from_environment()
        access = Access(location=location, key_file=key_file or settings.key_file, settings=settings)
        command(access, **options)

    return connected
