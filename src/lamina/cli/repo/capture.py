"""`lamina repo capture`."""

import os
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lamina.blockio.extents import parse_extents
from lamina.blockio.raw_file import RawFileSource
from lamina.blockio.writers import list_writers
from lamina.cli.output import json_option, print_facts, print_json, progress_bar, say
from lamina.cli.repo.access import Access, with_access
from lamina.cli.repo.facts import take_inventory
from lamina.cli.repo.wording import for_people
from lamina.cli.stopping import stopping_by
from lamina.engine.repository import Repository
from lamina.failures import Refusal
from lamina.ids import SnapshotId, mint_snapshot_id
from lamina.transfer.capture import SAMPLE_BLOCKS, CaptureRequest, CaptureResult, ChangeHint, capture
from lamina.transfer.progress import Progress


@click.command("capture")
@with_access
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the disk; by default the file name of SOURCE.")
@click.option("--parent", help="Compare with this snapshot; by default with the newest one of the same name.")
@click.option("--no-parent", is_flag=True, help="Compare with nothing: a full capture.")
@click.option(
    "--changed",
    type=click.Path(path_type=Path),
    help="Read only these extents (EXTENTS.json): everything that changed since --parent.",
)
@click.option(
    "--sample",
    type=click.IntRange(0, 128),
    default=SAMPLE_BLOCKS,
    show_default=True,
    help="How many blocks outside --changed are compared with the parent; 0 trusts the list.",
)
@click.option("--level", type=click.IntRange(1, 19), help="zstd level; by default LAMINA_ZSTD_LEVEL, or 1.")
@json_option
def command(access: Access, *, source: Path, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Take a snapshot of SOURCE, a regular file or a block device.

    SOURCE is read as it is. If something writes to it meanwhile, the snapshot mixes several instants: stop the
    writer, or give a clone or a snapshot of the volume manager.
    """
    hint = _read_hint(options["changed"], options["parent"])
    if options["no_parent"] and options["parent"]:
        raise Refusal("--parent and --no-parent exclude each other: leave one of them out")
    repository = access.open()
    with RawFileSource(source) as disk:
        _warn_about_writers(source)
        name = source.name if options["name"] is None else options["name"]
        snapshot_id = mint_snapshot_id()
        request = CaptureRequest(
            snapshot_id=snapshot_id,
            name=name,
            parent=_choose_parent(repository, name, options["parent"], none=options["no_parent"]),
            hint=hint,
            tracking=snapshot_id,
            workers=access.settings.workers,
            zstd_level=options["level"] or access.settings.zstd_level,
            sample_blocks=options["sample"],
        )
        before = _fingerprint(disk)
        progress = Progress()
        with stopping_by(progress.cancel), progress_bar("capture", progress.read):
            result = capture(repository, disk, request, progress)
        source_changed = None if before is None else _fingerprint(disk) != before
    _warn(result, source_changed)
    document = _describe(request, result) | {"source_changed": source_changed}
    if as_json:
        print_json(document)
    else:
        print_facts(for_people(document))


def _read_hint(changed: Path | None, parent: str | None) -> ChangeHint | None:
    if changed is None:
        return None
    if parent is None:
        raise Refusal(
            f"{changed} says what changed, but not since when: name the snapshot that it is relative to with --parent"
        )
    try:
        document = changed.read_bytes()
    except OSError as error:
        raise Refusal(f"cannot read {changed}: {error.strerror or error}") from error
    # What this command captures is tracked under its own id, so a list is relative to the parent's id.
    return ChangeHint(relative_to=parent, extents=parse_extents(document))


def _choose_parent(repository: Repository, name: str, parent: str | None, *, none: bool) -> SnapshotId | None:
    if parent is not None or none:
        return SnapshotId(parent) if parent is not None else None
    named = [item for item in take_inventory(repository).snapshots if item.name == name]
    return SnapshotId(named[-1].snapshot) if named else None


def _fingerprint(disk: RawFileSource) -> tuple[int, int] | None:
    """Size and time of the last change; None for a block device, which keeps no such time."""
    status = os.fstat(disk.fileno())
    return None if stat.S_ISBLK(status.st_mode) else (status.st_size, status.st_mtime_ns)


def _warn_about_writers(source: Path) -> None:
    writers = ", ".join(map(str, list_writers(source)))
    if writers:
        say(f"warning: {source} is open for writing by {writers}: the snapshot may mix several instants")


def _warn(result: CaptureResult, source_changed: bool | None) -> None:
    if source_changed:
        say("warning: the source changed while it was read: the snapshot mixes several instants")
    if result.hint_lied:
        say(
            "warning: the list of changes left out a change: everything was compared, and its maker needs a look"
        )
    if result.hint_refused is not None:
        say(f"warning: the list of changes was not used: {result.hint_refused}; everything was compared")
    if result.healed_leaves:
        say(
            f"warning: {result.healed_leaves} damaged pages of the parent were captured anew; run `lamina repo verify`"
        )


def _describe(request: CaptureRequest, result: CaptureResult) -> dict[str, object]:
    facts = asdict(result) | {"mode": result.mode.value}
    del facts["snapshot_id"]
    return {"snapshot": result.snapshot_id, "name": request.name, "parent": request.parent, **facts}
