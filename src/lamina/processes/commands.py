"""The commands that put the whole service together: `lamina serve` and `lamina recover`."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import click

from lamina.cli.output import json_option, print_facts, print_json
from lamina.control.first_start import furnish
from lamina.control.installation import open_installation, prepare_movable
from lamina.control.recover import recover as recover_rows
from lamina.processes.all_in_one import Address
from lamina.processes.all_in_one import serve as serve_all
from lamina.processes.data_dir import data_dir_option
from lamina.settings import Settings
from lamina.telemetry import configure

_DEFAULT_LISTEN: Final = "127.0.0.1:8788"


@click.command()
@data_dir_option
@click.option("--listen", default=_DEFAULT_LISTEN, show_default=True, help="HOST:PORT to answer on.")
@click.option(
    "--database",
    metavar="URL",
    help="A PostgreSQL database for the metadata, such as postgresql://lamina@db.example/lamina; it is remembered.  "
    "[default: a file in the installation's folder]",
)
@click.option(
    "--movable-clock",
    is_flag=True,
    help="Make a new installation for tests, whose time `lamina clock advance` moves; for life.",
)
def serve(data_dir: Path | None, listen: str, database: str | None, *, movable_clock: bool) -> None:
    """Run the service until it is interrupted. Logs are JSON lines on standard error."""
    settings = Settings.from_environment()
    if database is not None:
        settings = replace(settings, database=database)
    configure()
    directory = data_dir or settings.data_dir
    if movable_clock:
        prepare_movable(directory)
    serve_all(directory, Address.parse(listen), settings, say=click.echo)


@click.command()
@data_dir_option
@json_option
def recover(data_dir: Path | None, *, as_json: bool) -> None:
    """Rebuild the database from the object stores. The service must not run; root.key must be there."""
    settings = Settings.from_environment()
    with open_installation(data_dir or settings.data_dir, settings, alone=True) as installation:
        furnish(installation)
        report = asdict(recover_rows(installation))
    if as_json:
        print_json(report)
    else:
        print_facts({name: " ".join(ids) for name, ids in report.items()})
