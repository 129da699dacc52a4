"""`lamina disk import`: a file or block device becomes a disk of the service.

The file is read here and its bytes travel through the data actions, so the service needs no access to the file
and the command works from any host. Holes are not sent, zeros are sent as a range and not as bytes.
"""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

import click

from lamina.blockio.extents import Extent, ExtentKind
from lamina.blockio.raw_file import RawFileSource
from lamina.cli.client import EcsClient
from lamina.cli.disk.connection import DiskConnection, connect_disk
from lamina.cli.output import json_option, print_json, progress_bar, say
from lamina.cli.session import get_disk, wait_for_disk, with_client
from lamina.failures import LaminaError
from lamina.transfer.progress import Progress
from lamina.units import MIB, format_bytes, round_down

_PIECE_BYTES: Final = 4 * MIB  # the most that one call may carry
_THREADS: Final = 4  # hides the round trip: more do not help on two cores, since both ends hash every byte
_ZEROS: Final = bytes(_PIECE_BYTES)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="2 to 128 characters, starting with a letter.")
@click.option("--category", default="cloud_essd", show_default=True, help="The disk category.")
@click.option("--type", "role", type=click.Choice(["data", "system"]), default="data", show_default=True)
@click.option("--zone", "zone_id", help="Where it lies; by default the region's first zone.")
@json_option
@with_client
def import_file(
    client: EcsClient,
    *,
    file: Path,
    name: str | None,
    category: str,
    role: str,
    zone_id: str | None,
    as_json: bool,
) -> None:
    """Make a disk with the bytes of FILE, a raw image or a block device that nobody writes to."""
    with RawFileSource(file) as source:
        answer = client.call(
            "ImportDisk",
            {
                "RegionId": client.region_id,
                "ZoneId": zone_id or first_zone(client),
                "SizeInBytes": source.size_bytes,
                "DiskCategory": category,
                "DiskType": role,
                "DiskName": name,
                "ClientToken": secrets.token_hex(16),
            },
        )
        disk_id = answer["DiskId"]
        try:
            wait_for_disk(client, disk_id)
            progress = Progress()
            with connect_disk(client, disk_id) as connection:
                with progress_bar("import", progress.read, enabled=not as_json):
                    _copy(source, connection, progress)
                connection.flush()
        except BaseException:
            _remove_half(client, disk_id)
            raise
    if as_json:
        print_json(get_disk(client, disk_id))
    else:
        say(f"disk {disk_id}: {format_bytes(progress.read().done_bytes)} imported")
        click.echo(disk_id)


def first_zone(client: EcsClient) -> str:
    """The zone that is taken when none is given."""
    zones = client.call("DescribeZones", {"RegionId": client.region_id})["Zones"]["Zone"]
    return str(zones[0]["ZoneId"])


def _copy(source: RawFileSource, connection: DiskConnection, progress: Progress) -> None:
    """Send every extent, some pieces at a time."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="import") as pool:
        running: set[Future[None]] = set()
        try:
            for step in _plan(source, connection, progress):
                running.add(pool.submit(step))
                if len(running) > 2 * _THREADS:  # keeps memory bounded: a piece is read when its turn comes
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for each in done:
                        each.result()
            for each in running:
                each.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _plan(
    source: RawFileSource, connection: DiskConnection, progress: Progress
) -> Iterator[Callable[[], None]]:
    for extent in source.list_extents(0, source.size_bytes):
        if extent.kind is ExtentKind.HOLE:
            continue
        progress.expect(extent.length)
        if extent.kind is ExtentKind.ZERO:
            yield _ZeroStep(connection, progress, extent)
            continue
        for piece in _split(extent):
            yield _DataStep(source, connection, progress, piece)


def _split(extent: Extent) -> Iterator[Extent]:
    """Pieces that end at multiples of 4 MiB, so that none straddles two of the disk's blocks more than it must."""
    at = extent.offset
    while at < extent.end:
        end = min(extent.end, round_down(at, _PIECE_BYTES) + _PIECE_BYTES)
        yield Extent(at, end - at)
        at = end


class _DataStep:
    def __init__(
        self, source: RawFileSource, connection: DiskConnection, progress: Progress, piece: Extent
    ) -> None:
        self._source = source
        self._connection = connection
        self._progress = progress
        self._piece = piece

    def __call__(self) -> None:
        buffer = bytearray(self._piece.length)
        self._source.read_into(self._piece.offset, [buffer])
        if _ZEROS.startswith(buffer):
            self._connection.zero(self._piece.offset, self._piece.length, may_punch=False)
        else:
            self._connection.write(self._piece.offset, bytes(buffer))
        self._progress.advance(self._piece.length)


class _ZeroStep:
    def __init__(self, connection: DiskConnection, progress: Progress, extent: Extent) -> None:
        self._connection = connection
        self._progress = progress
        self._extent = extent

    def __call__(self) -> None:
        self._connection.zero(self._extent.offset, self._extent.length, may_punch=False)
        self._progress.advance(self._extent.length)


def _remove_half(client: EcsClient, disk_id: str) -> None:
    """A disk with half of its bytes must not look like one; the reason of the failure is what the user sees."""
    try:
        client.call("DeleteDisk", {"DiskId": disk_id})
    except LaminaError as failure:
        say(f"the half-imported disk {disk_id} could not be deleted: {failure}")
