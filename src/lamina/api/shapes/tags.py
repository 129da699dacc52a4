"""Tags, as requests give them and as most answers show them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param

MAX_TAGS: Final = 20
_BAD_KEY: Final = Code(400, "InvalidTagKey.Malformed")
_BAD_VALUE: Final = Code(400, "InvalidTagValue.Malformed")
DUPLICATE_TAG: Final = Code(400, "Duplicate.TagKey")
_MISMATCH: Final = Code(400, "InvalidTag.Mismatch")
RESOURCE_TYPES: Final = (
    "instance",
    "disk",
    "snapshot",
    "snapshotpolicy",
    "snapshotgroup",
    "image",
    "securitygroup",
    "volume",
    "eni",
    "ddh",
    "ddhcluster",
    "keypair",
    "launchtemplate",
    "reservedinstance",
    "elasticityassurance",
    "capacityreservation",
    "command",
    "invocation",
)
"""Kinds of resources that the tag actions know. Of some of them there are none here, and so none is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """`Tag.N` of an action that puts tags on something."""

    key: str = param(check=rules.check_tag_key, malformed=_BAD_KEY, missing=_BAD_KEY)
    value: str = param(default="", check=rules.check_tag_value, malformed=_BAD_VALUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFilter:
    """`Tag.N` of an action that lists; without a value any value matches."""

    key: str = param(missing=_MISMATCH)
    value: str | None = param(default=None, empty_counts=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagShape:
    """One tag of an answer."""

    tag_key: str
    tag_value: str


def read_tags(tags: Iterable[Tag]) -> dict[str, str]:
    """The tags of a request by key.

    Raises:
        ApiError: a key occurs twice.
    """
    found: dict[str, str] = {}
    for tag in tags:
        if tag.key in found:
            raise ApiError(DUPLICATE_TAG, f"the tag key {tag.key!r} is given twice")
        found[tag.key] = tag.value
    return found


def show_tags(tags: Mapping[str, str]) -> tuple[TagShape, ...]:
    """The tags of a resource."""
    return tuple(TagShape(tag_key=key, tag_value=value) for key, value in tags.items())
