"""`lamina repo sweep`."""

from dataclasses import asdict

import click

from lamina.cli.output import json_option, print_facts, print_json, say
from lamina.cli.repo.access import Access, with_access
from lamina.cli.stopping import raise_cancelled, stopping_by
from lamina.engine.maintenance.compaction import CompactionReport, compact
from lamina.engine.maintenance.sweep import SweepReport, sweep
from lamina.failures import Corruption, Refusal
from lamina.units import format_bytes


@click.command("sweep")
@with_access
@click.option("--dry-run", is_flag=True, help="Only tell what nothing needs any more.")
@click.option("--compact", "with_compaction", is_flag=True, help="First empty packs that are mostly unused.")
@json_option
def command(access: Access, *, dry_run: bool, with_compaction: bool, as_json: bool) -> None:
    """Free the space that nothing in STORE needs any more.

    May run beside captures, restores and other sweeps. What running sessions may still need waits for a later sweep.
    """
    if dry_run and with_compaction:
        raise Refusal(
            "--dry-run and --compact exclude each other: a compaction that writes nothing tells nothing"
        )
    repository = access.open()
    with stopping_by(raise_cancelled):
        moved = compact(repository, level=access.settings.zstd_level) if with_compaction else None
        report = sweep(repository, dry_run=dry_run)
    if as_json:
        print_json({**asdict(report), "compaction": asdict(moved) if moved is not None else None})
    else:
        _print(report, moved)
    if report.damage:
        raise Corruption(f"no pack was removed, since something cannot be read: {'; '.join(report.damage)}")


def _print(report: SweepReport, moved: CompactionReport | None) -> None:
    facts: dict[str, object] = {}
    if moved is not None:
        facts["compacted"] = f"{moved.sparse_packs} packs, {format_bytes(moved.sparse_bytes)}"
        facts["moved"] = format_bytes(moved.moved_bytes)
        facts["rewritten"] = f"{moved.rewritten_snapshots} snapshots"
    removed = f"{report.removed_packs} packs, {format_bytes(report.removed_bytes)}"
    waiting = f"{report.waiting_packs} packs, {format_bytes(report.waiting_bytes)}"
    facts["removed"] = f"{removed}; {report.removed_manifests} manifests"
    facts["would be freed" if report.dry_run else "waiting"] = (
        f"{waiting}; {report.waiting_manifests} manifests"
    )
    print_facts(facts)
    if moved is not None and moved.skipped is not None:
        say(f"nothing was compacted: {moved.skipped}")
    for session in report.ended_sessions:
        say(f"session {session} was taken out: its process is gone")
    for session in report.waiting_for:
        say(f"what is waiting waits for session {session}")
