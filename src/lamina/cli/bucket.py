"""`lamina bucket`: buckets, their objects, and links to them."""

from pathlib import Path
from typing import Any, Final

import click

from lamina.cli.bucket_transfer import ObjectAddress, create_link, find_object, get_file, put_file
from lamina.cli.client import EcsClient
from lamina.cli.output import json_option, print_json, print_table, progress_bar, say
from lamina.cli.session import with_client
from lamina.failures import Refusal
from lamina.transfer.progress import Progress
from lamina.units import format_bytes

_PAGE: Final = 1000


class _Address(click.ParamType[ObjectAddress]):
    """`BUCKET/KEY`."""

    name = "BUCKET/KEY"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> ObjectAddress:
        bucket, slash, key = str(value).partition("/")
        if not (bucket and slash and key):
            self.fail(f"{value!r} names no object; write BUCKET/KEY", param, ctx)
        return ObjectAddress(bucket=bucket, key=key)


_ADDRESS: Final = _Address()


@click.group()
def bucket() -> None:
    """Buckets: where images are exported to and imported from."""


@bucket.command()
@click.argument("name", metavar="BUCKET")
@json_option
@with_client
def create(client: EcsClient, *, name: str, as_json: bool) -> None:
    """Make BUCKET: 3 to 63 lower-case letters, digits and hyphens, unique in the installation."""
    answer = client.call("CreateBucket", {"RegionId": client.region_id, "BucketName": name})
    if as_json:
        print_json(answer)
    else:
        say(f"bucket {name} is there")


@bucket.command()
@click.argument("name", metavar="BUCKET")
@with_client
def delete(client: EcsClient, *, name: str) -> None:
    """Delete BUCKET, which has to be empty."""
    client.call("DeleteBucket", {"RegionId": client.region_id, "BucketName": name})
    say(f"bucket {name} is deleted")


@bucket.command("list")
@json_option
@with_client
def list_buckets(client: EcsClient, *, as_json: bool) -> None:
    """List buckets, newest first."""
    found = _list_all(client, "ListBuckets", ("Buckets", "Bucket"), {"MaxResults": 100})
    if as_json:
        print_json(found)
        return
    print_table(("bucket", "created"), [(each["BucketName"], each["CreationTime"]) for each in found])


@bucket.command()
@click.argument("place", metavar="BUCKET[/PREFIX]")
@json_option
@with_client
def ls(client: EcsClient, *, place: str, as_json: bool) -> None:
    """List the objects in BUCKET whose keys begin with PREFIX."""
    name, _, prefix = place.partition("/")
    wanted = {"BucketName": name, "Prefix": prefix, "MaxResults": _PAGE}
    found = _list_all(client, "ListBucketObjects", ("Objects", "Object"), wanted)
    if as_json:
        print_json(found)
        return
    print_table(
        ("key", "size", "modified"),
        [(each["ObjectKey"], format_bytes(each["Size"]), each["LastModified"]) for each in found],
    )


@bucket.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("place", metavar="BUCKET[/KEY]")
@json_option
@with_client
def put(client: EcsClient, *, file: Path, place: str, as_json: bool) -> None:
    """Put FILE into BUCKET; a KEY that ends with a slash, or none, gets the name of FILE at its end."""
    name, _, key = place.partition("/")
    address = ObjectAddress(bucket=name, key=key + file.name if not key or key.endswith("/") else key)
    progress = Progress()
    with progress_bar("put", progress.read, enabled=not as_json):
        put_file(client, address, file, progress)
    if as_json:
        print_json(find_object(client, address))
    else:
        say(f"{address}: {format_bytes(progress.read().done_bytes)} put")


@bucket.command()
@click.argument("address", type=_ADDRESS)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@json_option
@with_client
def get(client: EcsClient, *, address: ObjectAddress, file: Path | None, force: bool, as_json: bool) -> None:
    """Get an object into FILE, by default one of the key's own name here; goes on where it was interrupted."""
    name = address.key.rpartition("/")[2]
    target = file or Path(name)
    target = target / name if target.is_dir() else target
    if target.exists() and not force:
        raise Refusal(f"{target} is there already; choose another name, or pass --force")
    progress = Progress()
    with progress_bar("get", progress.read, enabled=not as_json):
        get_file(client, address, target, progress)
    size = target.stat().st_size
    if as_json:
        print_json({"file": str(target), "size_bytes": size})
    else:
        say(f"{target}: {format_bytes(size)} got")


@bucket.command()
@click.argument("address", type=_ADDRESS)
@click.option("--put", "is_put", is_flag=True, help="A link to put the object instead of getting it.")
@click.option(
    "--expires",
    type=click.IntRange(1, 7 * 24 * 3600),
    default=3600,
    show_default=True,
    help="Seconds for which it is good.",
)
@click.option("--max-size", type=click.IntRange(0), help="With --put: the most bytes that it takes.")
@json_option
@with_client
def link(client: EcsClient, *, address: ObjectAddress, is_put: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Print a link with which anybody can get the object; treat it like a password until it expires."""
    answer = create_link(
        client,
        address,
        Method="PUT" if is_put else "GET",
        ExpiresInSeconds=options["expires"],
        MaxSize=options["max_size"],
    )
    if as_json:
        print_json(answer)
    else:
        say(f"good until {answer['ExpiredTime']}")
        click.echo(answer["Link"])


@bucket.command()
@click.argument("address", type=_ADDRESS)
@with_client
def rm(client: EcsClient, *, address: ObjectAddress) -> None:
    """Delete an object; one that is not there counts as deleted."""
    client.call(
        "DeleteBucketObject",
        {"RegionId": client.region_id, "BucketName": address.bucket, "ObjectKey": address.key},
    )
    say(f"{address} is deleted")


def _list_all(
    client: EcsClient, action: str, path: tuple[str, str], wanted: dict[str, object]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: str | None = None
    while token is None or token:
        page = client.call(action, {"RegionId": client.region_id, "NextToken": token, **wanted})
        found += page[path[0]][path[1]]
        token = page["NextToken"]
    return found
