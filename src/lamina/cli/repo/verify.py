"""`lamina repo verify`."""

from dataclasses import asdict

import click

from lamina.cli.output import json_option, print_facts, print_json, progress_bar, say
from lamina.cli.repo.access import Access, with_access
from lamina.cli.stopping import raise_cancelled, stopping_by
from lamina.engine.maintenance.condemn import condemn_damaged
from lamina.engine.maintenance.verify import VerifyReport, verify
from lamina.failures import Corruption, Refusal
from lamina.ids import SnapshotId
from lamina.transfer.progress import Reading
from lamina.units import format_bytes


@click.command("verify")
@with_access
@click.argument("snapshot", required=False)
@click.option("--full", is_flag=True, help="Read and authenticate every byte.")
@click.option(
    "--sample",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    help="Read and authenticate this share of the packs, chosen at random.",
)
@click.option("--condemn", is_flag=True, help="Let later captures store anew what lies in damaged packs.")
@json_option
def command(
    access: Access, *, snapshot: str | None, full: bool, sample: float | None, condemn: bool, as_json: bool
) -> None:
    """Check SNAPSHOT, or everything in STORE. Nothing is changed unless --condemn is given.

    Without --full or --sample the structure is checked: that manifests and block maps open, and that every record
    lies within a pack that is there.

    --condemn is for ever: first try to bring damaged objects back from a copy of the store.
    """
    if full and sample is not None:
        raise Refusal("--full and --sample exclude each other: leave one of them out")
    meter = _Meter()
    repository = access.open()
    with stopping_by(raise_cancelled), progress_bar("verify", meter.read):
        report = verify(
            repository,
            SnapshotId(snapshot) if snapshot else None,
            percent=100.0 if full else sample or 0.0,
            workers=access.settings.workers,
            on_read=meter.set,
        )
    condemned = condemn_damaged(repository, report.damaged_packs) if condemn else []
    if as_json:
        print_json({"sound": report.is_sound, **asdict(report), "condemned": condemned})
    else:
        _print(report)
        for key in condemned:
            say(f"condemned: {key}")
    if not report.is_sound:
        ranges, objects = len(report.damaged_ranges), len(report.damaged_objects)
        raise Corruption(f"damage was found: {ranges} ranges of snapshots, {objects} objects or places")


class _Meter:
    """Takes what a verification says of its progress to the bar."""

    def __init__(self) -> None:
        self._reading = Reading(done_bytes=0, known_bytes=0, stored_bytes=0)

    def set(self, done: int, known: int) -> None:
        self._reading = Reading(done_bytes=done, known_bytes=known, stored_bytes=0)

    def read(self) -> Reading:
        return self._reading


def _print(report: VerifyReport) -> None:
    print_facts(
        {
            "snapshots": report.snapshots,
            "blocks": report.blocks,
            "packs": report.packs,
            "read in full": f"{report.packs_read} packs, {format_bytes(report.read_bytes)}",
            "sound": "yes" if report.is_sound else "no",
        }
    )
    for bad in report.damaged_ranges:
        say(
            f"damaged: snapshot {bad.snapshot_id}, bytes {bad.offset}-{bad.offset + bad.length - 1}: {bad.reason}"
        )
    for reason in report.damaged_objects:
        say(f"damaged: {reason}")
