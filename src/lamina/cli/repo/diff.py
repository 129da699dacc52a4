"""`lamina repo diff`."""

from collections.abc import Iterator

import click

from lamina.blockio.extents import Extent, ExtentKind, merge_extents
from lamina.cli.output import json_option, print_json, print_table
from lamina.cli.repo.access import Access, with_access
from lamina.cli.stopping import raise_cancelled, stopping_by
from lamina.engine.blockmap.diff import diff
from lamina.engine.blockmap.page import Stored
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.repository import Repository
from lamina.engine.sessions import SessionKind
from lamina.ids import SnapshotId
from lamina.units import format_bytes


@click.command("diff")
@with_access
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@json_option
def command(access: Access, *, before: str, after: str, as_json: bool) -> None:
    """Show where snapshot B differs from snapshot A: its extents, in whole blocks."""
    repository = access.open()
    with stopping_by(raise_cancelled), repository.session(SessionKind.READ, after):
        extents = list(_list_differences(repository, SnapshotId(before), SnapshotId(after)))
    changed = sum(extent.length for extent in extents)
    rows = [(extent.offset, extent.length, extent.kind is not ExtentKind.DATA) for extent in extents]
    if as_json:
        listed = [{"offset": offset, "length": length, "zero": zero} for offset, length, zero in rows]
        print_json({"before": before, "after": after, "changed_bytes": changed, "extents": listed})
        return
    print_table(
        ("offset", "length", "size", "now"),
        [(offset, length, format_bytes(length), "zero" if zero else "data") for offset, length, zero in rows],
    )


def _list_differences(
    repository: Repository, before_id: SnapshotId, after_id: SnapshotId
) -> Iterator[Extent]:
    before = repository.read_manifest(before_id)
    after = repository.read_manifest(after_id)
    size = max(before.size_bytes, after.size_bytes)

    def list_changes() -> Iterator[Extent]:
        for change in diff(before.root, after.root, repository.pages):
            offset = change.block * BLOCK_BYTES
            kind = ExtentKind.DATA if isinstance(change.after, Stored) else ExtentKind.ZERO
            yield Extent(offset, min(BLOCK_BYTES, size - offset), kind)

    return merge_extents(list_changes())
