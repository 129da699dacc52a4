"""Buckets as folders of a directory on this host.

<root>/<bucket>/id          made with the bucket, and last: what has no `id` is no bucket
<root>/<bucket>/new/        what is being written; nothing in it is ever listed
<root>/<bucket>/objects/    the objects: the key is the path below it
<root>/.scratch/            for files that are to become objects; no bucket has such a name

A file gets its name when it is complete and synced, and its folders are synced after that.
"""

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Final

from lamina.control.buckets.bucket_service import BucketObject, LinkMethod
from lamina.control.buckets.errors import (
    BucketForbiddenError,
    BucketFullError,
    BucketNameTakenError,
    BucketNotEmptyError,
    BucketNotFoundError,
    LinkSignatureError,
    ObjectKeyError,
    ObjectNotFoundError,
)
from lamina.control.buckets.files import (
    copy_sparse,
    linked_file,
    move_durably,
    new_file,
    remove_durably,
    walk,
    write_all,
)
from lamina.control.buckets.links import Grant, LinkSigner
from lamina.control.buckets.names import check_bucket, check_object, complain_about_key
from lamina.control.buckets.streams import stream_from, stream_into
from lamina.engine.objects.file_system import FOLDER_MODE, open_file, sync_folder
from lamina.engine.objects.temporary import sweep_leftovers
from lamina.failures import Fault, LaminaError, Refusal

_OBJECTS: Final = "objects"
_NEW: Final = "new"
_IDENTITY: Final = "id"
_SCRATCH: Final = ".scratch"
# A file may not grow beyond what its system or its process allows: no room, as far as the caller can tell.
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
# What stands at the place of an object, or of one of its folders, is something else.
_NO_OBJECT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
_MISPLACED: Final = frozenset({errno.ENOTDIR, errno.EISDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenObject:
    """An object that is being read: one version of it, whatever becomes of its name.

    Attributes:
        file: its bytes.
        facts: what it is.
    """

    file: io.FileIO
    facts: BucketObject


class DirectoryBuckets:
    """A `BucketService` on a directory. Safe for any number of threads and processes of this host."""

    def __init__(self, root: Path, signer: LinkSigner) -> None:
        """Use a directory, which is made with its first bucket."""
        self._root = root
        self._signer = signer

    @property
    def links_outlive_buckets(self) -> bool:
        """Never: they are signed for the identity of the bucket."""
        return False

    def create(self, bucket: str) -> None:
        """Make a bucket, or complete one whose making was interrupted.

        Raises:
            BucketNameTakenError: something else stands in its place.
            BucketFullError, BucketForbiddenError, Fault: the file system refused.
        """
        check_bucket(bucket)
        home = self._root / bucket
        with self._faults(bucket):
            if _is_foreign(home):
                raise BucketNameTakenError(bucket)
            home.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            for name in (_NEW, _OBJECTS):
                (home / name).mkdir(FOLDER_MODE, exist_ok=True)
            with new_file(home / _NEW) as (path, fd):
                write_all(fd, memoryview(secrets.token_hex(16).encode()), 0)
                os.fsync(fd)
                with suppress(FileExistsError):
                    (home / _IDENTITY).hardlink_to(path)
            for folder in (home, self._root, self._root.parent):
                sync_folder(folder)

    def remove(self, bucket: str) -> None:
        """Remove an empty bucket. Its `objects` go first: after that nobody can put anything into it."""
        check_bucket(bucket)
        home = self._root / bucket
        with self._faults(bucket):
            if not home.is_dir():
                return
            if next(walk(str(home / _OBJECTS), "", ""), None) is not None:
                raise BucketNotEmptyError(bucket)
            try:
                for folder, _, _ in os.walk(home / _OBJECTS, topdown=False):
                    Path(folder).rmdir()
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                raise BucketNotEmptyError(bucket) from error
            for leftover in (home / _NEW).glob("*"):
                leftover.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                (home / _NEW).rmdir()
            (home / _IDENTITY).unlink(missing_ok=True)
            home.rmdir()
            sync_folder(self._root)

    def exists(self, bucket: str) -> bool:
        """Whether the bucket is there as a whole."""
        check_bucket(bucket)
        with self._faults(bucket):
            return (self._root / bucket / _IDENTITY).is_file()

    def list(self, bucket: str, *, prefix: str, after: str, limit: int) -> Sequence[BucketObject]:
        """Objects in the order of their keys; files that somebody else put there count if their names are keys."""
        top = self._find(bucket)
        with self._faults(bucket):
            keys = (found for found in walk(str(top), prefix, after) if complain_about_key(found[0]) is None)
            return [_describe(key, facts) for key, facts in islice(keys, limit)]

    def stat(self, bucket: str, key: str) -> BucketObject:
        """One object."""
        opened = self.open(bucket, key)
        opened.file.close()
        return opened.facts

    def scratch(self) -> Path | None:
        """A folder beside the buckets: on the one file system on which all of them are."""
        return self._root / _SCRATCH

    def put(self, bucket: str, key: str, path: Path) -> None:
        """Have a file's content in the bucket: as a second name of it, a clone, or a copy without its holes."""
        top = self._find(bucket, key)
        with _open_source(path) as source, self._faults(bucket, key):
            sweep_leftovers(top.parent / _NEW)
            with linked_file(top.parent / _NEW, path, source.fileno()) as name:
                if name is not None:
                    os.fchmod(source.fileno(), 0o600)
                    os.fsync(source.fileno())
                    move_durably(name, top / key, top)
                    return
            with new_file(top.parent / _NEW) as (copy, fd):
                copy_sparse(source.fileno(), fd)
                os.fsync(fd)
                move_durably(copy, top / key, top)

    @contextmanager
    def writing(self, bucket: str, key: str) -> Iterator[IO[bytes]]:
        """A stream into a file that gets its name at the end."""
        top = self._find(bucket, key)
        written = 0
        with ExitStack() as stack:
            with self._faults(bucket, key):
                sweep_leftovers(top.parent / _NEW)
                name, fd = stack.enter_context(new_file(top.parent / _NEW))

            def write(data: memoryview) -> None:
                nonlocal written
                with self._faults(bucket, key):
                    write_all(fd, data, written)
                written += len(data)

            with stream_into(write) as stream:
                yield stream
            with self._faults(bucket, key):
                os.fsync(fd)
                move_durably(name, top / key, top)

    @contextmanager
    def reading(self, bucket: str, key: str, offset: int = 0) -> Iterator[IO[bytes]]:
        """A stream of the version that is there now."""
        with self.open(bucket, key).file as file:
            file.seek(offset)

            def read(buffer: memoryview) -> int:
                with self._faults(bucket, key):
                    return file.readinto(buffer) or 0

            with stream_from(read) as stream:
                yield stream

    def open(self, bucket: str, key: str) -> OpenObject:
        """The version of an object that is there now; whoever asked closes its file.

        Raises:
            BucketNotFoundError: there is no such bucket.
            ObjectNotFoundError: it has no such object.
            BucketForbiddenError: the file system does not let us.
            Fault: it failed.
        """
        top = self._find(bucket, key)
        with self._faults(bucket, key):
            try:
                fd = open_file(top / key)
            except OSError as error:
                if error.errno not in _NO_OBJECT:
                    raise
                raise ObjectNotFoundError(bucket, key) from error
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode):
                os.close(fd)
                raise ObjectNotFoundError(bucket, key)
            return OpenObject(file=io.FileIO(fd), facts=_describe(key, facts))

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object, and the folders that only it needed."""
        try:
            top = self._find(bucket, key)
        except BucketNotFoundError:
            return
        with self._faults(bucket, key):
            if (top / key).is_file():
                remove_durably(top / key, top)

    def link(
        self,
        bucket: str,
        key: str,
        method: LinkMethod,
        lasting: timedelta,
        *,
        max_bytes: int | None = None,
    ) -> str:
        """A link that the API answers, from the slash on."""
        check_object(bucket, key)
        grant = Grant(
            method=method,
            bucket=bucket,
            key=key,
            expires_at=(self._signer.clock.now() + lasting).replace(microsecond=0),
            max_bytes=max_bytes,
        )
        return self._signer.write(grant, self._identify(bucket))

    def read_link(self, method: LinkMethod, bucket: str, key: str, query: Mapping[str, str]) -> Grant:
        """What a link allows that is used now; see `LinkSigner.read`.

        Raises:
            LinkSignatureError: it was not written here, or for something else; the bucket may be gone.
            LinkExpiredError: its time is over.
            Fault: the file system failed.
        """
        try:
            check_object(bucket, key)
            identity = self._identify(bucket)
        except Refusal as refusal:
            raise LinkSignatureError from refusal
        return self._signer.read(method, bucket, key, query, identity)

    def _find(self, bucket: str, key: str | None = None) -> Path:
        """The folder of a bucket's objects."""
        if key is None:
            check_bucket(bucket)
        else:
            check_object(bucket, key)
        if not self.exists(bucket):
            raise BucketNotFoundError(bucket)
        return self._root / bucket / _OBJECTS

    def _identify(self, bucket: str) -> str:
        with self._faults(bucket):
            return (self._root / bucket / _IDENTITY).read_text(encoding="ascii")

    @contextmanager
    def _faults(self, bucket: str, key: str | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._explain(error, bucket, key) from error

    def _explain(self, error: OSError, bucket: str, key: str | None) -> LaminaError:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            return BucketFullError(bucket, reason)
        if error.errno in _FORBIDDEN:
            return BucketForbiddenError(bucket, reason)
        if error.errno == errno.ENOENT and not (self._root / bucket / _OBJECTS).exists():
            return BucketNotFoundError(bucket)
        if key is not None and error.errno in _MISPLACED:
            return ObjectKeyError(key, "a part of it is an object, or it is the folder of other objects")
        return Fault(f"bucket {bucket} in {self._root} failed: {reason}; check its disk", retryable=True)


def _is_foreign(home: Path) -> bool:
    """Whether something has the place of a bucket that is no bucket: not even one that was made or removed in part."""
    try:
        return not {entry.name for entry in home.iterdir()} <= {_NEW, _OBJECTS, _IDENTITY}
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True


@contextmanager
def _open_source(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise Fault(f"{path} cannot be put into a bucket: {error.strerror}", retryable=False) from error
    with file:
        yield file


def _describe(key: str, facts: os.stat_result) -> BucketObject:
    return BucketObject(
        key=key,
        size_bytes=facts.st_size,
        modified_at=datetime.fromtimestamp(facts.st_mtime, UTC),
        etag=f"{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}",
    )
