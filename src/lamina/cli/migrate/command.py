"""The command: it chooses both accounts, walks the five steps, and reports."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from lamina.cli.client import EcsClient, Profile, read_profile
from lamina.cli.migrate.clean_up import clean_up as remove_marked
from lamina.cli.migrate.migration import Migration
from lamina.cli.migrate.plan import Passenger, plan_instance, plan_snapshots
from lamina.cli.migrate.steps import keep_snapshots, make_image, run_instance, share_image, take_snapshots
from lamina.cli.output import json_option, print_json, print_table, say
from lamina.cli.stopping import StoppableClock, stopping_by
from lamina.clock import SystemClock
from lamina.failures import LaminaError, Refusal
from lamina.settings import Settings

_STEPS: Final = 5
_PROFILE: Final = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What is to migrate, and whereto.

    Attributes:
        passengers: the disks.
        instance_id: the instance that they are of; None for snapshots.
        account_id: the account that they go to.
        instance_type: of the instance on the way.
    """

    passengers: Sequence[Passenger]
    instance_id: str | None
    account_id: str
    instance_type: str


@click.command()
@click.argument("sources", metavar="SNAPSHOT...|INSTANCE", nargs=-1)
@click.option("--from", "source", type=_PROFILE, required=True, help="Profile of the account that has them.")
@click.option(
    "--to", "target", type=_PROFILE, required=True, help="Profile of the account that shall have them."
)
@click.option("--to-account", help="Its id, if its profile does not say it.")
@click.option(
    "--instance-type", default="ecs.g6.large", show_default=True, help="Of the instance on the way."
)
@click.option("--clean-up", metavar="MIGRATION", help="Remove what a migration left that was killed.")
@json_option
def migrate(
    sources: tuple[str, ...],
    *,
    clean_up: str | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Make copies of snapshots in another account, or of all disks of an instance as they are now.

    An image is made of them and shared, an instance is made of it in the other account, snapshots are taken of its
    disks, and it is released. All but the new snapshots is removed again, also after a failure or Ctrl-C.
    """
    if bool(sources) == bool(clean_up):
        raise Refusal("name snapshots or an instance to migrate, or --clean-up with the id of a migration")
    settings = Settings.from_environment()
    source_profile, target_profile = (read_profile(options[each], settings) for each in ("source", "target"))
    with ExitStack() as stack:
        migration = Migration(
            id=clean_up or f"mg-{secrets.token_hex(8)}",
            source=stack.enter_context(EcsClient(source_profile)),
            target=stack.enter_context(EcsClient(target_profile)),
            say=say,
        )
        if clean_up:
            _clean_up(migration, as_json=as_json)
            return
        order = _read_order(migration, sources, _find_account(options["to_account"], target_profile), options)
        _migrate(migration, order, as_json=as_json)


def _find_account(given: str | None, target: Profile) -> str:
    account_id = given or target.account_id
    if account_id is None:
        raise Refusal("the profile of --to says no account_id; pass --to-account with the id of that account")
    return account_id


def _read_order(
    migration: Migration, sources: Sequence[str], account_id: str, options: dict[str, Any]
) -> _Order:
    if migration.source.region_id != migration.target.region_id:
        raise Refusal("both profiles must name the same region: an image is shared within its region")
    instances = [each for each in sources if each.startswith("i-")]
    if instances and len(sources) > 1:
        raise Refusal("an instance migrates by itself; name either one instance, or snapshots")
    if instances:
        passengers = plan_instance(migration.source, instances[0])
    else:
        passengers = plan_snapshots(migration.source, sources)
    return _Order(
        passengers=passengers,
        instance_id=instances[0] if instances else None,
        account_id=account_id,
        instance_type=options["instance_type"],
    )


def _clean_up(migration: Migration, *, as_json: bool) -> None:
    removed = remove_marked(migration)
    if as_json:
        print_json({"migration": migration.id, "removed": removed})
    else:
        say(f"nothing is left of migration {migration.id}")


def _migrate(migration: Migration, order: _Order, *, as_json: bool) -> None:
    """Walk the steps; whatever happens, what was made on the way goes again."""
    say(f"migration {migration.id}; if this is killed: lamina migrate --clean-up {migration.id}")
    steps = _Steps()
    clock = StoppableClock()
    failure = None
    with stopping_by(clock.stop):
        with ExitStack() as undoing:
            undoing.callback(_undo, migration)
            made = _walk(replace(migration, clock=clock), order, steps, clock)
            undoing.pop_all()
        try:
            with steps.step("release the instance, and remove what led there"):
                remove_marked(migration)
        except LaminaError as error:  # the new snapshots are there, whatever is left beside them
            failure = error
    if as_json:
        new = [{"source": origin, "snapshot": snapshot_id} for origin, snapshot_id in made.items()]
        left = None if failure is None else str(failure)
        print_json({"migration": migration.id, "snapshots": new, "steps": steps.report, "left": left})
    else:
        print_table(("source", "new snapshot"), list(made.items()))
    if failure is not None:
        raise failure


def _undo(migration: Migration) -> None:
    say("undoing what was done")
    remove_marked(migration)


def _walk(migration: Migration, order: _Order, steps: "_Steps", clock: StoppableClock) -> dict[str, str]:
    """Take the first four steps.

    Raises:
        Cancelled: it was stopped before the new snapshots stay. Only between two calls: one that is not answered may
            still make something after the undoing has looked for it.
    """

    def step(name: str) -> AbstractContextManager[None]:
        clock.check()
        return steps.step(name)

    with step("make an image"):
        image = make_image(migration, order.passengers, order.instance_id)
    devices = {disk["Device"] for disk in image["DiskDeviceMappings"]["DiskDeviceMapping"]}
    passengers = [each for each in order.passengers if each.device in devices]
    with step(f"share image {image['ImageId']} with account {order.account_id}"):
        share_image(migration, image["ImageId"], order.account_id)
    with step("make an instance of it there"):
        disks = run_instance(migration, image["ImageId"], order.instance_type)
    with step("take snapshots of its disks"):
        made = take_snapshots(migration, passengers, disks)
        clock.check()
        keep_snapshots(migration, list(made.values()))
    return made


class _Steps:
    """Tells each step when it begins, and remembers how long it took.

    Attributes:
        report: the steps that are done, with their seconds.
    """

    def __init__(self) -> None:
        self.report: list[dict[str, object]] = []
        self._clock = SystemClock()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step, for as long as the block runs."""
        say(f"{len(self.report) + 1}/{_STEPS} {name}")
        started = self._clock.monotonic()
        yield
        self.report.append({"step": name, "seconds": round(self._clock.monotonic() - started, 3)})
