"""What a tag may look like (ECS API, tag rules: keys of 1 to 128 characters, values of up to 128)."""

from collections.abc import Mapping
from typing import Final

from lamina.control.tags.errors import TagKeyError, TagValueError

_LENGTH_MAX: Final = 128
_RESERVED: Final = ("aliyun", "acs:")
_LINKS: Final = ("http://", "https://")


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse tags that break the rules.

    Raises:
        TagKeyError: a key is empty, too long, reserved, or holds a link.
        TagValueError: a value is too long or holds a link.
    """
    for key, value in tags.items():
        if not 1 <= len(key) <= _LENGTH_MAX:
            raise TagKeyError(key, f"must have 1 to {_LENGTH_MAX} characters")
        if key.lower().startswith(_RESERVED):
            raise TagKeyError(key, "must not start with aliyun or acs:, which are reserved")
        if _holds_link(key):
            raise TagKeyError(key, "must not contain http:// or https://")
        if len(value) > _LENGTH_MAX:
            raise TagValueError(key, f"must have {_LENGTH_MAX} characters at most")
        if _holds_link(value):
            raise TagValueError(key, "must not contain http:// or https://")


def _holds_link(text: str) -> bool:
    return any(link in text.lower() for link in _LINKS)
