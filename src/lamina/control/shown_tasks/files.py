"""The files of accounts that a task writes or reads: each is a subtask, of which the API tells how it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """One file.

    Attributes:
        bucket: where it is.
        key: the object in it.
        format: what it is, such as `qcow2`.
    """

    bucket: str
    key: str
    format: str


def encode_files(files: Sequence[ShownFile]) -> str:
    """Files as text, for a row."""
    return msgspec.json.encode(tuple(files)).decode()


def decode_files(text: str) -> tuple[ShownFile, ...]:
    """What `encode_files` made the text of."""
    return msgspec.json.decode(text, type=tuple[ShownFile, ...])
