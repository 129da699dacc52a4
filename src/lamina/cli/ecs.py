"""`lamina ecs ACTION --Param value`: any action of the API, with options that follow from its declaration."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import click

from lamina.api.registry import find_action, load_actions
from lamina.api.schema import FieldSpec, read_fields
from lamina.api.spec import Action, Kind
from lamina.cli.client import EcsClient
from lamina.cli.output import print_json
from lamina.cli.session import with_client


class _ActionGroup(click.Group):
    """One command per action; names match in any case."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(each.name for each in load_actions().values() if each.kind is not Kind.MOVES_DATA)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        found = find_action(cmd_name)
        return None if found is None or found.kind is Kind.MOVES_DATA else _make_command(found)


@click.group(cls=_ActionGroup)
def ecs() -> None:
    """Call any action of the API and print its answer as JSON.

    Parameters are written as the API names them, entries of lists with their number:
    `lamina ecs CreateSnapshot --DiskId d-1 --Tag.1.Key env --Tag.1.Value prod`.
    """


def _make_command(action: Action) -> click.Command:
    documented = list(_walk(action.request))

    @with_client
    def call(client: EcsClient, *, extra: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401 - click's options
        given = {
            spec.wire: client.region_id
            if _is_place(spec) and options[spec.name] is None
            else options[spec.name]
            for spec in read_fields(action.request)
            if spec.name in options
        }
        print_json(client.call(action.name, {**given, **_read_extra(extra)}))

    command = click.command(
        action.name,
        help=action.summary,
        epilog="Entries of lists: " + ", ".join(f"--{name}" for name, _ in documented if ".N" in name)
        if any(".N" in name for name, _ in documented)
        else None,
        context_settings={"ignore_unknown_options": True},
    )(call)
    command.params += [
        click.Option([f"--{name}", spec.name], help=_describe(spec))
        for name, spec in documented
        if "." not in name
    ]
    command.params.append(
        click.Argument(["extra"], nargs=-1, type=click.UNPROCESSED, metavar="[--List.N VALUE]...")
    )
    return command


def _walk(cls: type, prefix: str = "") -> Iterator[tuple[str, FieldSpec]]:
    for spec in read_fields(cls):
        name = prefix + spec.wire
        if spec.is_list and spec.rules.form == "repeated":
            name += ".N"
        if dataclasses.is_dataclass(spec.kind):
            yield from _walk(spec.kind, name + ".")
        elif spec.rules.form != "body":
            yield name, spec


def _is_place(spec: FieldSpec) -> bool:
    """Whether it says in which region the call is made: `RegionId`, or `regionId` of policies."""
    return spec.wire.lower() == "regionid"


def _describe(spec: FieldSpec) -> str:
    parts = ["Mandatory."] if spec.is_mandatory else []
    if _is_place(spec):
        parts = ["By default what the profile says."]
    if spec.is_list:
        parts.append(
            'A JSON array such as ["one","two"].' if spec.rules.form == "json" else "Separated by commas."
        )
    if spec.rules.choices:
        parts.append(f"One of {', '.join(spec.rules.choices)}.")
    if spec.kind is bool:
        parts.append("true or false.")
    return " ".join(parts)


def _read_extra(extra: tuple[str, ...]) -> dict[str, str]:
    """`--Tag.1.Key env` pairs; anything else is a usage error."""
    found: dict[str, str] = {}
    words = iter(extra)
    for word in words:
        name, has_value, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise click.UsageError(f"{word!r} is no parameter; write --Name value")
        if not has_value:
            following = next(words, None)
            if following is None:
                raise click.UsageError(f"--{name} needs a value")
            value = following
        found[name] = value
    return found
