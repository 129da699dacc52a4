"""`lamina audit`: who called what, on the data directory, whether or not the service runs."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from lamina.cli.output import json_option, print_json, print_table
from lamina.clock import SystemClock
from lamina.control.audit.queries import CallFilter, list_calls
from lamina.control.audit.records import CallRecord
from lamina.control.installation import open_metadata
from lamina.processes.data_dir import choose_data_dir, data_dir_option

_AGO: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_COLUMNS: Final = (
    "at",
    "request_id",
    "account_id",
    "access_key_id",
    "action",
    "resource",
    "status",
    "outcome",
    "client",
    "milliseconds",
)


class _Instant(click.ParamType[datetime]):
    name = "time"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        ago = _AGO.fullmatch(value)
        if ago is not None:
            return SystemClock().now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write 30m, 24h, 7d or 2026-01-31T23:59Z", param, ctx)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


@click.group()
def audit() -> None:
    """The audit log of an installation; works whether or not its service runs."""


@audit.command("list")
@click.option("--account", help="Only calls of this account.")
@click.option("--action", help="Only calls of this action, such as DeleteSnapshot.")
@click.option("--request", help="Only the call with this request id.")
@click.option(
    "--since", type=_Instant(), help="Only calls from this time on: 30m, 24h, 7d or 2026-01-31T23:59Z."
)
@click.option("--until", type=_Instant(), help="Only calls before this time.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="At most so many."
)
@data_dir_option
@json_option
def list_audit(
    *,
    account: str | None,
    action: str | None,
    request: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Show calls, the latest first. Times are in UTC."""
    wanted = CallFilter(account_id=account, action=action, request_id=request, since=since, until=until)
    with open_metadata(choose_data_dir(data_dir)) as (database, _), database.reading() as session:
        rows = [_show(call) for call in list_calls(session, wanted, limit=limit)]
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in rows])


def _show(call: CallRecord) -> dict[str, object]:
    return {
        "at": call.at.isoformat(timespec="milliseconds"),
        "request_id": call.request_id,
        "account_id": call.account_id,
        "access_key_id": call.access_key_id,
        "action": call.action,
        "resource": call.resource,
        "status": call.status,
        "outcome": call.outcome,
        "client": call.client,
        "milliseconds": call.microseconds / 1000,
    }
