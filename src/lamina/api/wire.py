"""The wire: parameters out of a query string and a form body, and answers as JSON or XML.

What real clients send is wider than the reference: form encoding and RFC 3986 side by side, names in any
case, JSON lists as Python prints them. Everything here is pure: bytes in, values out, `ApiError` with a 4xx
otherwise.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final, Self
from urllib.parse import unquote_to_bytes

import msgspec

from lamina.api.codes import INVALID_PARAMETER, ApiError

Pair = tuple[str, str]
"""One decoded parameter: its name as the client spelled it, and its value."""

Tree = Mapping[str, "Tree"] | Sequence["Tree"] | str | int | float | bool
"""An answer before it becomes JSON or XML."""

_MAX_PARAMETERS: Final = 2000  # RunInstances with every list full has about 600
_INDEX: Final = re.compile(r"[1-9][0-9]{0,4}\Z")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LIST_ITEM: Final = re.compile(
    r"""\s*(?:u?'(?P<single>[^'\\]*)'|u?(?P<double>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9]{1,18}))\s*"""
)


def parse_pairs(raw: bytes, where: str) -> tuple[Pair, ...]:
    """Decode `a=b&c=d`: `+` is a space, `%XX` are bytes of UTF-8.

    Args:
        raw: a query string without its `?`, or a form body.
        where: what to call it in the refusal.

    Raises:
        ApiError: not UTF-8, a broken escape, a zero character, a name given twice, or more than 2000 parameters.
    """
    parts = [part for part in raw.split(b"&") if part]
    if len(parts) > _MAX_PARAMETERS:
        raise _invalid(f"the {where} has {len(parts)} parameters; at most {_MAX_PARAMETERS} are accepted")
    pairs = []
    for part in parts:
        name, _, value = part.partition(b"=")
        pairs.append((_decode(name, where), _decode(value, where)))
    if len({name for name, _ in pairs}) != len(pairs):
        # Two readers of one name may pick different values: the signature would cover one and the action
        # use the other.
        raise _invalid(
            f"the {where} gives a parameter name twice; number the entries of a list: Name.1, Name.2"
        )
    return tuple(pairs)


def merge_pairs(query: Iterable[Pair], form: Iterable[Pair]) -> tuple[Pair, ...]:
    """Query and form body as one set of parameters; the body wins where both give the same name."""
    return tuple({**dict(query), **dict(form)}.items())


@dataclass(frozen=True, slots=True)
class Parameters:
    """Decoded parameters, found by name in any case.

    When a client spells one name in two ways (`RegionId` added by the SDK, `regionId` set by the caller), the
    spelling of the reference wins, then the first one given.
    """

    _by_folded: Mapping[str, tuple[Pair, ...]] = field(repr=False)

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> Self:
        """Index the pairs."""
        found: dict[str, tuple[Pair, ...]] = {}
        for name, value in pairs:
            folded = name.casefold()
            found[folded] = (*found.get(folded, ()), (name, value))
        return cls(found)

    def get(self, name: str) -> str | None:
        """The value of `name`, or `None` if it was not given."""
        pairs = self._by_folded.get(name.casefold())
        if pairs is None:
            return None
        return dict(pairs).get(name, pairs[0][1])

    def list_indexes(self, name: str) -> list[int]:
        """The numbers N for which `name.N` or `name.N.…` was given, in numerical order; gaps are fine."""
        prefix = name.casefold() + "."
        heads = (key[len(prefix) :].split(".", 1)[0] for key in self._by_folded if key.startswith(prefix))
        return sorted({int(head) for head in heads if _INDEX.match(head)})

    def has_prefix(self, name: str) -> bool:
        """Whether any field of the object `name` was given."""
        prefix = name.casefold() + "."
        return any(key.startswith(prefix) for key in self._by_folded)


def parse_text_list(text: str, name: str) -> tuple[str, ...]:
    """A JSON array in a text parameter, such as `["s-1","s-2"]`, also `['s-1']` and `[1, 3]`.

    Raises:
        ApiError: `InvalidParameter`, it is no array of texts and whole numbers, or has more than 2000 of them.
    """
    body = text.strip()
    if not (body.startswith("[") and body.endswith("]") and len(body) > 1):
        raise _invalid(f'the parameter {name} must be a JSON array, such as ["one","two"]')
    inner = body[1:-1]
    if not inner.strip():
        return ()
    items: list[str] = []
    position = 0
    while True:
        match = _LIST_ITEM.match(inner, position)
        if match is None or (match.end() < len(inner) and inner[match.end()] != ","):
            raise _invalid(
                f"the parameter {name} is no JSON array of texts: look at element {len(items) + 1}"
            )
        items.append(_read_item(match, name))
        if match.end() == len(inner):
            return tuple(items)
        if len(items) == _MAX_PARAMETERS:
            raise _invalid(f"the parameter {name} has more than {_MAX_PARAMETERS} elements")
        position = match.end() + 1


def encode_json(tree: Tree) -> bytes:
    """The answer as JSON."""
    return msgspec.json.encode(tree)


def encode_xml(root: str, tree: Mapping[str, Tree]) -> bytes:
    """The answer as XML: a list becomes repeated elements, a boolean is lower-case.

    Characters that XML 1.0 cannot hold become U+FFFD.
    """
    parts = ['<?xml version="1.0" encoding="UTF-8"?>']
    _write_element(root, tree, parts)
    return "".join(parts).encode()


def _write_element(name: str, value: Tree, parts: list[str]) -> None:
    if isinstance(value, Mapping):
        parts.append(f"<{name}>")
        for key, child in value.items():
            _write_element(key, child, parts)
        parts.append(f"</{name}>")
    elif isinstance(value, str):
        parts.append(f"<{name}>{escape(_NOT_XML.sub(chr(0xFFFD), value), quote=False)}</{name}>")
    elif isinstance(value, Sequence):
        for item in value:
            _write_element(name, item, parts)
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        parts.append(f"<{name}>{text}</{name}>")


def _decode(raw: bytes, where: str) -> str:
    if _BAD_ESCAPE.search(raw):
        raise _invalid(f"the {where} has a % that two hexadecimal digits do not follow")
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise _invalid(f"the {where} is not UTF-8") from error
    return _without_zeros(text, where)


def _without_zeros(text: str, where: str) -> str:
    """PostgreSQL takes no zero characters in texts, so no value may have one, whatever the database."""
    if "\0" in text:
        raise _invalid(f"the {where} holds a zero character (U+0000); leave it out")
    return text


def _read_item(match: re.Match[str], name: str) -> str:
    if match["double"] is None:
        return match["single"] if match["single"] is not None else match["number"]
    try:
        text = msgspec.json.decode(match["double"].encode(), type=str)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise _invalid(f"the parameter {name} holds a text that is no JSON: {error}") from error
    return _without_zeros(text, f"parameter {name}")


def _invalid(message: str) -> ApiError:
    return ApiError(INVALID_PARAMETER, message)
