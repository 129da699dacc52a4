"""Where the root key comes from, and whether it is the one of this installation.

    command     `LAMINA_ROOT_KEY_COMMAND`, or `root_key_command` in lamina.toml: a program that writes it, such as one
                that asks a key management service
    credential  `lamina-root-key` in `$CREDENTIALS_DIRECTORY`: systemd's `LoadCredentialEncrypted=`, sealed by a TPM
    file        `DIR/root.key`, which is made with the installation

The first one that there is counts. What a program or systemd hands over is 32 bytes, or their hex or base64 form, and
is never written anywhere. `DIR/root.check` holds a value that follows from the key and says nothing about it: another
key is refused before it seals or opens anything.
"""

import base64
import binascii
import fcntl
import hmac
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lamina.control.root_key import KEY_BYTES, RootKey, RootKeyError, write_private
from lamina.settings import Settings

KEY_FILE: Final = "root.key"
CREDENTIAL: Final = "lamina-root-key"
_CHECK_FILE: Final = "root.check"
_PURPOSE: Final = "check"
_COMMAND_SECONDS: Final = 30.0
_OUTPUT_MAX: Final = 4096


def open_root_key(directory: Path, settings: Settings, command: str | None, *, may_make: bool) -> RootKey:
    """The root key of an installation.

    Args:
        directory: of the installation.
        settings: what the environment said.
        command: what `lamina.toml` said; the environment's command wins.
        may_make: whether there is nothing yet that another key could have sealed.

    Raises:
        RootKeyError: it cannot be had, is no key, or is another installation's.
    """
    key = _find(directory, settings, command, may_make=may_make)
    check(directory, key)
    return key


def check(directory: Path, key: RootKey) -> None:
    """Refuse a key that is not the installation's; the first one that is seen is its own.

    Raises:
        RootKeyError: it is another one, or the check value cannot be read or written.
    """
    path = directory / _CHECK_FILE
    found = key.derive(_PURPOSE)
    try:
        if not path.exists():
            with _turn(directory):
                if not path.exists():
                    write_private(path, found)
        expected = path.read_bytes()
    except OSError as error:
        raise RootKeyError(f"{path} cannot be read or written: {error.strerror}") from error
    if not hmac.compare_digest(found, expected):
        raise RootKeyError(
            f"the root key is not the one of the installation in {directory}; bring back the right one: with this one "
            "nothing of it opens"
        )


def decode_key(output: bytes, source: str) -> RootKey:
    """The key in what a program or a file says: 32 bytes, 64 hexadecimal digits, or base64.

    Raises:
        RootKeyError: it is none of these. What was said is not repeated.
    """
    if len(output) == KEY_BYTES:
        return RootKey(output)
    text = output.strip()
    for decode in (bytes.fromhex, lambda each: base64.b64decode(each, validate=True)):
        try:
            material = decode(text.decode("ascii"))
        except (ValueError, binascii.Error):
            continue
        if len(material) == KEY_BYTES:
            return RootKey(material)
    raise RootKeyError(
        f"{source} must give {KEY_BYTES} bytes, raw or as hex or base64, and gave something else"
    )


def _find(directory: Path, settings: Settings, command: str | None, *, may_make: bool) -> RootKey:
    wanted = settings.root_key_command or command
    if wanted is not None:
        return _ask(wanted)
    if settings.credentials_dir is not None:
        path = settings.credentials_dir / CREDENTIAL
        if path.exists():
            return _read_credential(path)
    path = directory / KEY_FILE
    # a new key where there is data already would only hide that the old one is lost
    if path.exists() or not may_make:
        return RootKey.load(path)
    with _turn(directory):
        return RootKey.load(path) if path.exists() else RootKey.create(path)


@contextmanager
def _turn(directory: Path) -> Iterator[None]:
    """Of several processes that start at once, one makes a file."""
    with (directory / "root.key.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def _read_credential(path: Path) -> RootKey:
    try:
        return decode_key(path.read_bytes(), f"the credential {path}")
    except OSError as error:
        raise RootKeyError(f"the credential {path} cannot be read: {error.strerror}") from error


def _ask(command: str) -> RootKey:
    """The key that a program writes to its standard output; what else it says goes where the service's errors go."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise RootKeyError(f"the command for the root key cannot be read: {error}") from error
    if not words:
        raise RootKeyError("the command for the root key is empty")
    name = Path(words[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RootKeyError(
            f"the command for the root key ({name}) did not end within {_COMMAND_SECONDS:.0f} seconds"
        ) from error
    except OSError as error:
        raise RootKeyError(
            f"the command for the root key ({name}) cannot be run: {error.strerror}"
        ) from error
    if done.returncode != 0:
        raise RootKeyError(f"the command for the root key ({name}) failed with status {done.returncode}")
    if len(done.stdout) > _OUTPUT_MAX:
        raise RootKeyError(f"the command for the root key ({name}) wrote more than a key")
    return decode_key(done.stdout, f"the command for the root key ({name})")
