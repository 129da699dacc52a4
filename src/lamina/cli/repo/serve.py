"""`lamina repo serve`."""

import logging
import threading
from pathlib import Path

import click

from lamina import telemetry
from lamina.blockio.nbd.listening import Address, LoopbackAddress, UnixAddress
from lamina.blockio.nbd.server import NbdServer
from lamina.cli.output import json_option, print_json, say
from lamina.cli.repo.access import Access, with_access
from lamina.cli.stopping import stopping_by
from lamina.failures import Refusal
from lamina.ids import SnapshotId
from lamina.transfer.export import CACHE_BYTES, ExportRequest, SnapshotExport
from lamina.units import MIB

_THREADS = 16  # requests wait for the store most of the time


@click.command("serve")
@with_access
@click.argument("snapshot")
@click.option("--socket", type=click.Path(path_type=Path), help="Listen at a Unix socket of this path.")
@click.option("--listen", metavar="HOST:PORT", help="Listen at a loopback address; port 0 takes a free one.")
@click.option("--changed-since", metavar="SNAPSHOT", help="Also tell what differs from this snapshot.")
@click.option(
    "--cache-mib",
    type=click.IntRange(1, 65536),
    default=CACHE_BYTES // MIB,
    show_default=True,
    help="Memory for blocks that were read.",
)
@json_option
def command(
    access: Access,
    *,
    snapshot: str,
    changed_since: str | None,
    cache_mib: int,
    as_json: bool,
    **place: str | Path | None,
) -> None:
    """Serve SNAPSHOT as a read-only NBD disk until Ctrl-C or SIGTERM.

    Nothing is copied first: clients such as nbdcopy, qemu-img, qemu-nbd and the kernel's nbd-client read what they
    need. The export's name is the snapshot's id; it is the default export as well.
    """
    address = _read_address(place["socket"], place["listen"])
    telemetry.configure(level=logging.WARNING)
    request = ExportRequest(
        name=snapshot,
        changed_since=SnapshotId(changed_since) if changed_since else None,
        cache_bytes=cache_mib * MIB,
    )
    stop = threading.Event()

    def tell(uri: str) -> None:
        if as_json:
            print_json({"snapshot": snapshot, "uri": uri, "size_bytes": export.size_bytes})
        else:
            say(f"serving {export.description}")
            click.echo(uri)

    with SnapshotExport(access.open(), SnapshotId(snapshot), request) as export, stopping_by(stop.set):
        NbdServer({snapshot: export}, address, threads=_THREADS).serve_forever(stop, on_ready=tell)


def _read_address(socket: str | Path | None, listen: str | Path | None) -> Address:
    if (socket is None) == (listen is None):
        raise Refusal("say where to listen: either --socket PATH or --listen HOST:PORT")
    if socket is not None:
        return UnixAddress(path=Path(socket))
    host, colon, port = str(listen).rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise Refusal(f"{listen!r} is not HOST:PORT, such as 127.0.0.1:10809")
    return LoopbackAddress(host=host.strip("[]") or "127.0.0.1", port=int(port))
