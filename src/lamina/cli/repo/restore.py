"""`lamina repo restore`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from lamina.cli.output import json_option, print_facts, print_json, progress_bar, say
from lamina.cli.repo.access import Access, with_access
from lamina.cli.repo.restore_target import open_target
from lamina.cli.repo.wording import for_people
from lamina.cli.stopping import stopping_by
from lamina.engine.repository import Repository
from lamina.failures import Fault, LaminaError, Refusal
from lamina.ids import SnapshotId
from lamina.transfer.progress import Progress
from lamina.transfer.restore import DamagedSnapshotError, RestoreRequest, RestoreResult, restore
from lamina.transfer.stream import stream
from lamina.units import format_bytes

_STANDARD_OUTPUT: Final = "-"


@click.command("restore")
@with_access
@click.argument("snapshot")
@click.argument("target")
@click.option("--best-effort", is_flag=True, help="Write what is good although something is damaged.")
@click.option("--keep-zeros", is_flag=True, help="Written zeros become allocated zeros instead of holes.")
@click.option("--force", is_flag=True, help="Overwrite TARGET, writing only what differs.")
@json_option
def command(
    access: Access,
    *,
    snapshot: str,
    target: str,
    force: bool,
    as_json: bool,
    **options: bool,
) -> None:
    """Write SNAPSHOT to TARGET: a new file, an existing file or block device (--force), or - for standard output.

    A new file appears under its name when it is complete. With --best-effort damaged ranges of a new file are
    holes; those of an existing target keep what they held; in a stream they are zeros. The exit status is 3.
    """
    if target == _STANDARD_OUTPUT and (as_json or sys.stdout.isatty()):
        raise Refusal("standard output would carry the disk: redirect it, and leave --json out")
    request = RestoreRequest(
        workers=access.settings.workers,
        best_effort=options["best_effort"],
        keep_zeros=options["keep_zeros"],
    )
    repository, snapshot_id, progress = access.open(), SnapshotId(snapshot), Progress()

    def run() -> RestoreResult:
        if target == _STANDARD_OUTPUT:
            return stream(repository, snapshot_id, _write_out, request, progress)
        return _restore(repository, snapshot_id, Path(target), request, progress, force=force)

    with stopping_by(progress.cancel), progress_bar("restore", progress.read):
        result = _report_damage(run, target, as_json=as_json)
    if as_json:
        print_json({**_describe(snapshot, target), "complete": True, **_sizes(result), "damaged": []})
    elif target != _STANDARD_OUTPUT:
        print_facts(for_people({**_describe(snapshot, target), **_sizes(result)}))


def _restore(
    repository: Repository,
    snapshot_id: SnapshotId,
    path: Path,
    request: RestoreRequest,
    progress: Progress,
    *,
    force: bool,
) -> RestoreResult:
    size = repository.read_manifest_quickly(snapshot_id).size_bytes
    with open_target(path, size, force=force) as target:
        try:
            result = restore(repository, snapshot_id, target.disk, request, progress)
        except LaminaError as failure:
            if isinstance(failure, DamagedSnapshotError) and request.best_effort:
                target.finish()
            elif target.partial is None:
                say(f"warning: {path} is partly overwritten; restore again to finish it")
            raise
        target.finish()
        return result


def _report_damage(run: Callable[[], RestoreResult], target: str, *, as_json: bool) -> RestoreResult:
    """Tell every bad range before the failure goes on to become the exit status."""
    try:
        return run()
    except DamagedSnapshotError as damage:
        if as_json:
            print_json(
                {
                    **_describe(damage.snapshot_id, target),
                    "complete": False,
                    "damaged": [{"offset": bad.offset, "length": bad.length} for bad in damage.ranges],
                    "reasons": list(damage.reasons),
                }
            )
        for bad in damage.ranges:
            say(f"damaged: bytes {bad.offset}-{bad.end - 1} ({format_bytes(bad.length)})")
        raise


def _describe(snapshot: str, target: str) -> dict[str, object]:
    return {"snapshot": snapshot, "target": target}


def _sizes(result: RestoreResult) -> dict[str, int]:
    return {
        "size_bytes": result.size_bytes,
        "written_bytes": result.written_bytes,
        "kept_bytes": result.kept_bytes,
    }


def _write_out(data: bytes | memoryview) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(sys.stdout.fileno(), rest) :]  # unbuffered: nothing is left to fail at exit
    except OSError as error:
        # not BrokenPipeError, which the entry point forgives: half a disk in a pipe is no success
        raise Fault(
            f"cannot write to standard output: {error.strerror}; the disk is incomplete", retryable=True
        ) from error
