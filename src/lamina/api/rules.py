"""What names, descriptions and tags may look like. Source: the parameter tables of the ECS API reference."""

from typing import Final

_NAME_MIN, _NAME_MAX = 2, 128
_DESCRIPTION_MIN, _DESCRIPTION_MAX = 2, 256
_TAG_MAX: Final = 128
_TOKEN_MAX: Final = 64
_HOST_NAME_MAX: Final = 64
_PREFIX_MAX: Final = 30
_PASSWORD_MIN, _PASSWORD_MAX, _PASSWORD_KINDS = 8, 30, 3
_URLS: Final = ("http://", "https://")
_RESERVED: Final = ("aliyun", "acs:")
_NAME_MARKS: Final = frozenset(":_.-0123456789")


def check_name(text: str) -> str | None:
    """The rule for names of disks, policies and groups: 2 to 128 characters, starting with a letter."""
    if not _NAME_MIN <= len(text) <= _NAME_MAX:
        return f"a name has {_NAME_MIN} to {_NAME_MAX} characters, not {len(text)}"
    if text.lower().startswith(_URLS):
        return "a name must not start with http:// or https://"
    if not text[0].isalpha():
        return "a name starts with a letter"
    if not all(mark.isalpha() or mark in _NAME_MARKS for mark in text):
        return "a name holds letters, digits and the marks : _ . - only"
    return None


def check_snapshot_name(text: str) -> str | None:
    """The rule for names of snapshots: `auto` at the start is kept for automatic ones."""
    if text.lower().startswith("auto"):
        return "names that start with auto are kept for automatic snapshots"
    return check_name(text)


def check_image_name(text: str) -> str | None:
    """The rule for names of images and image families: no reserved prefix, and no URL inside."""
    if text.lower().startswith(_RESERVED):
        return "names that start with aliyun or acs: are reserved"
    if any(url in text.lower() for url in _URLS):
        return "a name must not hold http:// or https://"
    return check_name(text)


def check_description(text: str) -> str | None:
    """2 to 256 characters that are no URL."""
    if not _DESCRIPTION_MIN <= len(text) <= _DESCRIPTION_MAX:
        return f"a description has {_DESCRIPTION_MIN} to {_DESCRIPTION_MAX} characters, not {len(text)}"
    if text.lower().startswith(_URLS):
        return "a description must not start with http:// or https://"
    return None


def check_host_name(text: str) -> str | None:
    """2 to 64 characters: letters, digits, dots and hyphens, of which none stands at an end or beside another."""
    if not _NAME_MIN <= len(text) <= _HOST_NAME_MAX:
        return f"a host name has {_NAME_MIN} to {_HOST_NAME_MAX} characters, not {len(text)}"
    parts = text.replace("-", ".").split(".")
    if not all(part.isascii() and part.isalnum() for part in parts):
        return "a host name holds letters and digits, with single dots or hyphens in between"
    return None


def check_password(text: str) -> str | None:
    """8 to 30 characters of at least three kinds: capital letters, small letters, digits, marks."""
    if not _PASSWORD_MIN <= len(text) <= _PASSWORD_MAX:
        return f"a password has {_PASSWORD_MIN} to {_PASSWORD_MAX} characters"
    kinds = (str.isupper, str.islower, str.isdecimal, lambda mark: not mark.isalnum())
    if sum(any(map(is_kind, text)) for is_kind in kinds) < _PASSWORD_KINDS:
        return "a password holds three of: capital letters, small letters, digits, marks"
    return None


def check_tag_key(text: str) -> str | None:
    """1 to 128 characters, no reserved prefix, no URL inside."""
    if not 1 <= len(text) <= _TAG_MAX:
        return f"a tag key has 1 to {_TAG_MAX} characters, not {len(text)}"
    if text.lower().startswith(_RESERVED):
        return "tag keys that start with aliyun or acs: are reserved"
    return check_tag_value(text)


def check_tag_value(text: str) -> str | None:
    """Up to 128 characters, no URL inside."""
    if len(text) > _TAG_MAX:
        return f"a tag value has at most {_TAG_MAX} characters, not {len(text)}"
    if any(url in text.lower() for url in _URLS):
        return "a tag must not hold http:// or https://"
    return None


def check_object_prefix(text: str) -> str | None:
    """What the names of an exported image's objects may begin with: 1 to 30 letters and digits."""
    if not (1 <= len(text) <= _PREFIX_MAX and text.isascii() and text.isalnum()):
        return f"it has 1 to {_PREFIX_MAX} letters and digits"
    return None


def check_client_token(text: str) -> str | None:
    """Up to 64 ASCII characters."""
    if len(text) > _TOKEN_MAX or not text.isascii():
        return f"a ClientToken has at most {_TOKEN_MAX} ASCII characters"
    return None
