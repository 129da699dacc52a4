"""What a region's bucket service must give, whatever it is made of.

The service knows no accounts: which bucket is whose says the table of buckets. Every call may come again after it
was interrupted, and then leads to the same result: tasks call it.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import IO, Protocol


class LinkMethod(Enum):
    """What a signed link allows."""

    GET = "GET"
    PUT = "PUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketObject:
    """One object in a bucket.

    Attributes:
        key: its name in the bucket; may have slashes.
        size_bytes: its length.
        modified_at: when it was put there.
        etag: changes when its content does.
    """

    key: str
    size_bytes: int
    modified_at: datetime
    etag: str


class BucketService(Protocol):
    """Buckets and their objects, as one region has them.

    Guarantees: an object is there as a whole or not at all, also after a crash; a reader that has begun gets the
    bytes of one version; what `put` and `writing` left behind when they were interrupted is never listed, and is
    removed when the same key is written again.
    """

    def create(self, bucket: str) -> None:
        """Make a bucket; nothing happens if it is there.

        Raises:
            Fault: the service failed.
            Refusal: the name is taken by somebody else, or the service does not allow it.
        """
        ...

    def remove(self, bucket: str) -> None:
        """Remove an empty bucket; nothing happens if it is not there.

        Raises:
            BucketNotEmptyError: it has objects.
            Fault: the service failed.
        """
        ...

    def exists(self, bucket: str) -> bool:
        """Whether the service has the bucket, whatever the table says."""
        ...

    def list(self, bucket: str, *, prefix: str, after: str, limit: int) -> Sequence[BucketObject]:
        """At most `limit` objects whose keys begin with `prefix` and come after `after`, in the order of their keys.

        Raises:
            BucketNotFoundError: the service does not have the bucket.
            Fault: the service failed.
        """
        ...

    def stat(self, bucket: str, key: str) -> BucketObject:
        """One object.

        Raises:
            BucketNotFoundError: the service does not have the bucket.
            ObjectNotFoundError: the bucket does not have the object.
            Fault: the service failed.
        """
        ...

    def put(self, bucket: str, key: str, path: Path) -> None:
        """Have the content of a local file in the bucket; holes of the file stay holes where the service knows them.

        A service on the same file system takes the file over instead of copying it, so that `path` may be gone
        afterwards.

        Raises:
            BucketNotFoundError: the service does not have the bucket.
            BucketFullError: there is no room for it.
            BucketForbiddenError: the service does not let us.
            Fault: the service failed.
        """
        ...

    def writing(self, bucket: str, key: str) -> AbstractContextManager[IO[bytes]]:
        """A stream whose bytes, written in order, become the object when the block ends well; otherwise nothing does.

        Raises:
            As `put`, at the beginning, at any write and at the end.
        """
        ...

    def reading(self, bucket: str, key: str, offset: int = 0) -> AbstractContextManager[IO[bytes]]:
        """A stream of an object's bytes from `offset` on.

        Raises:
            BucketNotFoundError: the service does not have the bucket.
            ObjectNotFoundError: the bucket does not have the object.
            BucketForbiddenError: the service does not let us.
            Fault: the service failed.
        """
        ...

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; nothing happens if it is not there.

        Raises:
            Fault: the service failed.
        """
        ...

    def link(self, bucket: str, key: str, method: LinkMethod, lasting: timedelta) -> str:
        """A link with which anybody may read or write one object until it expires, without further credentials.

        Raises:
            Fault: the service failed.
        """
        ...
