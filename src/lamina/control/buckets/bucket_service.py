"""What a region's bucket service must give, whatever it is made of.

The service knows no accounts: which bucket is whose says the table of buckets. Every call may come again after it
was interrupted, and then leads to the same result: tasks call it.

Names of buckets and keys that break the rules of `names` are refused before anything is touched. No key is the folder
of another one (`a` and `a/b`): a service on a file system cannot hold both, and refuses the second one.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import IO, Final, Protocol

MAX_LINK: Final = timedelta(days=7)
"""The longest that a link lasts: what SigV4 allows."""


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
    bytes of one version, or an error; what `put` and `writing` left behind when they were interrupted is never listed,
    and is removed when the same key is written again.
    """

    @property
    def links_outlive_buckets(self) -> bool:
        """Whether a link of a bucket that was deleted opens the next one of that name, until it expires."""
        ...

    def create(self, bucket: str) -> None:
        """Make a bucket; nothing happens if it is there.

        Raises:
            BucketNameTakenError: the service has the bucket, and it belongs to somebody else.
            BucketForbiddenError: the service does not let us.
            Fault: the service failed.
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

        The order is that of the keys' UTF-8 bytes; `after` does not have to be the key of an object.

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

    def scratch(self) -> Path | None:
        """Where to make files for `put` if they are to be taken over instead of copied; None where nothing is.

        A folder for folders, on the service's own file system and out of its buckets' way. It does not have to be
        there; its parent is, as soon as there is a bucket. Whoever makes something in it also removes it.
        """
        ...

    def put(self, bucket: str, key: str, path: Path) -> None:
        """Have the content of a local file in the bucket; holes of the file stay holes where the service knows them.

        A service on the same file system, see `scratch`, shares the file's blocks instead of copying them: never
        write to `path` afterwards, and remove it, whether it is still there or not.

        Raises:
            ObjectKeyError: the service cannot have an object of that name.
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

    def link(
        self,
        bucket: str,
        key: str,
        method: LinkMethod,
        lasting: timedelta,
        *,
        max_bytes: int | None = None,
    ) -> str:
        """A link with which anybody may read or write one object until it expires, without further credentials.

        One that begins with a slash is relative to the endpoint of the API.

        Args:
            bucket: which bucket.
            key: which object; it does not have to be there yet.
            method: what the link allows.
            lasting: for how long, seven days at most (SigV4, "Authenticating requests: using query parameters").
            max_bytes: for PUT, the longest object that is taken.

        Raises:
            BucketNotFoundError: the service does not have the bucket.
            LinkLimitUnsupportedError: the service cannot limit what is put; nothing was made.
            Fault: the service failed.
        """
        ...
