"""What the NBD server serves: the contract between the protocol and whatever holds the bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StatusRun:
    """A run of bytes with one status in one metadata context.

    Attributes:
        length: bytes, above zero.
        flags: the context's status word; for `base:allocation` bit 0 is "hole" and bit 1 is "reads as zero".
    """

    length: int
    flags: int


class NbdExport(Protocol):
    """One disk behind the NBD server.

    All methods are synchronous and may be called from several threads at once; the server runs them outside
    its event loop, the properties within it. Requests are already checked against the size, and writes
    against `is_read_only`.
    A `Fault` becomes EIO for the client, a `Refusal` EINVAL or EPERM, a `Corruption` EIO and an alarm.
    """

    @property
    def name(self) -> str:
        """The export's name; the empty string is the default export."""
        ...

    @property
    def description(self) -> str:
        """A line for people, shown by `nbdinfo`."""
        ...

    @property
    def size_bytes(self) -> int:
        """The size of the disk in bytes."""
        ...

    @property
    def is_read_only(self) -> bool:
        """Whether writes are refused."""
        ...

    @property
    def has_fast_zero(self) -> bool:
        """Whether `zero` with `may_punch` is much faster than writing zeros (NBD_CMD_FLAG_FAST_ZERO)."""
        ...

    @property
    def contexts(self) -> Sequence[str]:
        """The metadata contexts on offer, such as `base:allocation`."""
        ...

    def read(self, offset: int, length: int) -> bytes | memoryview:
        """Exactly `length` bytes."""
        ...

    def write(self, offset: int, data: memoryview) -> None:
        """Write; durable only after `flush`."""
        ...

    def zero(self, offset: int, length: int, *, may_punch: bool) -> None:
        """Make a range read as zero, as a hole if `may_punch` allows."""
        ...

    def trim(self, offset: int, length: int) -> None:
        """The contents of a range do not matter any more."""
        ...

    def flush(self) -> None:
        """Make every completed write durable."""
        ...

    def prefetch(self, offset: int, length: int) -> None:
        """The client will read this range soon (NBD_CMD_CACHE); a hint."""
        ...

    def block_status(self, context: str, offset: int, length: int) -> Iterator[StatusRun]:
        """Runs from `offset` on that together cover at most `length` bytes and at least one run."""
        ...
