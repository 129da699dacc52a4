"""A snapshot as what a capture reads from: the way from one repository into another."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from lamina.blockio.extents import Extent, ExtentKind
from lamina.blockio.nbd.constants import BASE_ALLOCATION, AllocationFlag
from lamina.engine.repository import Repository
from lamina.ids import SnapshotId
from lamina.transfer.export import CHANGED_SINCE, ExportRequest, SnapshotExport


class SnapshotSource:
    """A snapshot as a `BlockSource`. While it is open, no sweep removes what it reads.

    Every byte is authenticated on the way: damage is a `DamagedSnapshotError`, and never a wrong byte.
    """

    def __init__(
        self, repository: Repository, snapshot_id: SnapshotId, *, since: SnapshotId | None = None
    ) -> None:
        """Open a snapshot.

        Args:
            repository: where it is.
            snapshot_id: the snapshot.
            since: an earlier snapshot, for `list_changed`.

        Raises:
            SnapshotNotFoundError: one of the snapshots does not exist.
            Corruption: a manifest is damaged.
        """
        self._since = since
        self._export = SnapshotExport(repository, snapshot_id, ExportRequest(changed_since=since))

    @property
    def size_bytes(self) -> int:
        """The size of the disk in bytes."""
        return self._export.size_bytes

    def list_extents(self, offset: int, length: int) -> Iterator[Extent]:
        """As every `BlockSource`; written zeros are told apart from what was never written."""
        for run in self._export.block_status(BASE_ALLOCATION, offset, length):
            yield Extent(offset, run.length, _KINDS[run.flags])
            offset += run.length

    def list_changed(self) -> tuple[Extent, ...]:
        """Where the disk differs from the earlier snapshot; in time proportional to the difference."""
        assert self._since is not None, "the earlier snapshot is named when the source is opened"
        found: list[Extent] = []
        offset = 0
        for run in self._export.block_status(CHANGED_SINCE + self._since, 0, self.size_bytes):
            if run.flags:
                found.append(Extent(offset, run.length))
            offset += run.length
        return tuple(found)

    def read_into(self, offset: int, buffers: Sequence[bytearray]) -> None:
        """As every `BlockSource`.

        Raises:
            DamagedSnapshotError: some of the bytes are lost or damaged.
            Fault: the store failed.
        """
        wanted = sum(map(len, buffers))
        length = max(0, min(wanted, self.size_bytes - offset))
        data = memoryview(self._export.read(offset, length))
        at = 0
        for buffer in buffers:
            piece = data[at : at + len(buffer)]
            buffer[: len(piece)] = piece
            buffer[len(piece) :] = bytes(len(buffer) - len(piece))
            at += len(buffer)

    def close(self) -> None:
        """Let sweeps go on; twice does no harm."""
        self._export.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_KINDS: Final = {
    0: ExtentKind.DATA,
    int(AllocationFlag.ZERO): ExtentKind.ZERO,
    int(AllocationFlag.HOLE | AllocationFlag.ZERO): ExtentKind.HOLE,
}
