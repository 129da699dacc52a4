"""What unlocks a repository: a key file, or a passphrase from the environment or a terminal."""

import sys
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import click

from lamina.engine.seal.keys import KeyFile, Passphrase, Secret
from lamina.failures import Refusal
from lamina.units import MIB

_KEY_FILE_BYTES_MAX: Final = MIB  # a disk named by mistake is not read into memory
_HOW: Final = (
    "name a key file with --key-file or LAMINA_KEY_FILE (make one with: head -c 32 /dev/urandom > FILE),"
    " or set LAMINA_PASSPHRASE"
)


def read_secret(location: str, key_file: Path | None, passphrase: str | None, *, is_new: bool) -> Secret:
    """The secret that the options and the environment name, or that a person types.

    Args:
        location: where the repository is; its key must be somewhere else.
        key_file: wins over a passphrase.
        passphrase: wins over asking.
        is_new: a typed passphrase is asked for twice.

    Raises:
        Refusal: there is none and nobody to ask, or the key file cannot be used.
    """
    if key_file is not None:
        return _read_key_file(location, key_file)
    if passphrase is not None:
        return Passphrase(passphrase)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refusal(
            f"nothing unlocks the repository at {location}, and there is no terminal to ask: {_HOW}"
        )
    prompt = "New passphrase" if is_new else "Passphrase"
    return Passphrase(click.prompt(prompt, hide_input=True, confirmation_prompt=is_new, err=True))


def _read_key_file(location: str, path: Path) -> KeyFile:
    folder = _find_folder(location)
    if folder is not None and folder.resolve() in path.resolve().parents:
        raise Refusal(
            f"the key file {path} lies in the repository's own folder: whoever gets a copy of the repository"
            " would get its key with it; keep the key somewhere else"
        )
    try:
        with path.open("rb") as file:
            material = file.read(_KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Refusal(f"cannot read the key file {path}: {error.strerror or error}") from error
    if len(material) > _KEY_FILE_BYTES_MAX:
        raise Refusal(f"{path} is larger than {_KEY_FILE_BYTES_MAX} bytes: that is no key file")
    return KeyFile(material)


def _find_folder(location: str) -> Path | None:
    """The folder of a repository on a file system."""
    scheme, found, rest = location.partition("://")
    if not found:
        return Path(location)
    return Path(unquote(rest)) if scheme.lower() == "file" else None
