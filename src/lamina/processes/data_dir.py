"""Which installation a command works on."""

from pathlib import Path

import click

from lamina.settings import Settings

data_dir_option = click.option(
    "--data",
    "data_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the installation.  [default: lamina in the user's data folder]",
)
"""The `--data` of every command that works on an installation."""


def choose_data_dir(data_dir: Path | None) -> Path:
    """The folder that was asked for, or the default one."""
    return data_dir or Settings.from_environment().data_dir
