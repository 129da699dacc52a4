"""Where the object stores of regions are."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from lamina.failures import Refusal
from lamina.ids import RegionId

_FILE: Final = "file"


def locate(directory: Path, place: str) -> str:
    """A place of a region, so that `open_store` finds it from any working directory.

    Args:
        directory: the installation's folder.
        place: a path, which may be relative to that folder, `file:///path`, or `s3://bucket/prefix`.

    Returns:
        An absolute path, or the URL of a remote place, without a slash at its end.
    """
    if not is_remote(place):
        return str(directory / place)
    parts = urlsplit(place)
    if (
        parts.scheme.lower() != _FILE or parts.netloc
    ):  # a file of another machine is refused where it is opened
        return place.rstrip("/")
    return str(Path(unquote(parts.path)))


def is_remote(location: str) -> bool:
    """Whether a place is written as a URL; of a located one, whether it is elsewhere than in the file system."""
    return "://" in location


def check_apart(places: Mapping[RegionId, str]) -> None:
    """Let no store lie within another one, where two regions would take each other's data for their own.

    Args:
        places: located stores, those of different S3 services told apart by a prefix.

    Raises:
        Refusal: two stores are the same, or one is within another.
    """
    in_order = sorted((f"{place}/", region_id) for region_id, place in places.items())
    for (outer, first), (inner, second) in pairwise(in_order):
        if inner.startswith(outer):
            raise Refusal(
                f"the store of region {second} is within that of region {first} ({inner.rstrip('/')}); "
                "give each region a place of its own in lamina.toml"
            )
