"""What buckets and objects may be called.

Buckets: "Bucket naming conventions" of OSS. Objects: "Object naming conventions" of OSS, and what file systems and S3
clients need beyond them, so that a key that one service takes is taken by every other.
"""

import re
from typing import Final

from lamina.control.buckets.errors import BucketNameError, ObjectKeyError

_BUCKET: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
_KEY_BYTES_MAX: Final = 1023
_SEGMENT_BYTES_MAX: Final = 255  # NAME_MAX of Linux


def complain_about_bucket(name: str) -> str | None:
    """What is wrong with the name of a bucket, if anything is."""
    if _BUCKET.fullmatch(name):
        return None
    return "it has 3 to 63 lower-case letters, digits and hyphens, and no hyphen at its ends"


def complain_about_key(key: str) -> str | None:
    """What is wrong with the key of an object, if anything is."""
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        return "it is no text that UTF-8 can write"
    if not 1 <= length <= _KEY_BYTES_MAX:
        return f"it has 1 to {_KEY_BYTES_MAX} bytes as UTF-8, not {length}"
    if not key.isprintable():
        return "it has characters that cannot be printed"
    segments = key.split("/")
    if not {"", ".", ".."}.isdisjoint(segments) or "\\" in key:
        return "it has an empty part, a part that is . or .., a backslash, or begins with a slash"
    if any(len(segment.encode()) > _SEGMENT_BYTES_MAX for segment in segments):
        return f"a part of it, between slashes, has more than {_SEGMENT_BYTES_MAX} bytes"
    return None


def check_bucket(name: str) -> None:
    """Refuse what is no name of a bucket.

    Raises:
        BucketNameError: it breaks the rules.
    """
    complaint = complain_about_bucket(name)
    if complaint is not None:
        raise BucketNameError(name, complaint)


def check_object(bucket: str, key: str) -> None:
    """Refuse what cannot name an object in a bucket.

    Raises:
        BucketNameError: the bucket's name breaks the rules.
        ObjectKeyError: the key does.
    """
    check_bucket(bucket)
    complaint = complain_about_key(key)
    if complaint is not None:
        raise ObjectKeyError(key, complaint)
