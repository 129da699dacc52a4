"""`lamina image publish` and `unpublish`: what only the operator says, on the data directory, also beside a service."""

from pathlib import Path

import click

from lamina.cli.output import say
from lamina.control.images.publish import set_public
from lamina.control.installation import open_metadata
from lamina.ids import ImageId
from lamina.processes.data_dir import choose_data_dir, data_dir_option


@click.command()
@click.argument("image_id")
@data_dir_option
def publish(image_id: str, data_dir: Path | None) -> None:
    """Let every account see an image and create instances from it."""
    _set_public(image_id, data_dir, is_public=True)
    say(f"image {image_id} is public")


@click.command()
@click.argument("image_id")
@data_dir_option
def unpublish(image_id: str, data_dir: Path | None) -> None:
    """Leave a public image to its owner, and to whom that shares it with. Instances that were made from it stay."""
    _set_public(image_id, data_dir, is_public=False)
    say(f"image {image_id} is not public")


def _set_public(image_id: str, data_dir: Path | None, *, is_public: bool) -> None:
    with open_metadata(choose_data_dir(data_dir)) as (database, _), database.transaction() as session:
        set_public(session, ImageId(image_id), is_public=is_public)
