"""Regions as `lamina.toml` declares them: what may be written there, and what it means.

    [regions.cn-beijing]
    local_name = "China (Beijing)"
    store = "s3://snapshots/beijing"
    time_zone = "Asia/Shanghai"
    zones = { cn-beijing-a = "Beijing Zone A" }

    [regions.cn-beijing.s3]
    endpoint = "https://rgw.example:7480"
    credentials = "beijing"

Secrets never stand in the file: `credentials` names a pair of keys in the environment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from lamina.failures import Refusal
from lamina.ids import RegionId, ZoneId
from lamina.settings import Settings

_ID: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ID_LENGTH_MAX: Final = 64
_CREDENTIALS: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class S3Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[regions.ID.s3]`: where the S3 service of a region answers, as far as that is not the common one."""

    endpoint: str | None = None
    region: str | None = None
    credentials: str | None = None
    virtual_hosted: bool | None = None


class RegionTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[regions.ID]` as it is written."""

    local_name: str | None = None
    store: str | None = None
    buckets: str | None = None
    time_zone: str | None = None
    zones: dict[str, str] | list[str] = msgspec.field(default_factory=dict)
    s3: S3Table = S3Table()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredRegion:
    """A region of the file.

    Attributes:
        id: such as `cn-beijing`.
        store: where its object store is; a path is relative to the installation's folder.
        buckets: where its bucket service is.
        local_name: for people; None leaves what is known.
        time_zone: an IANA name; None leaves what is known.
        zones: zone id to local name; zones that are known and not named here stay.
        s3: where its S3 service answers.
    """

    id: RegionId
    store: str
    buckets: str
    local_name: str | None = None
    time_zone: str | None = None
    zones: Mapping[ZoneId, str] = field(default_factory=dict)
    s3: S3Table = field(default_factory=S3Table)

    def choose_settings(self, common: Settings) -> Settings:
        """The settings with which the stores of this region are opened.

        Raises:
            Refusal: the environment lacks the credentials that the file names.
        """
        own = self.s3
        found = replace(
            common,
            s3_endpoint=own.endpoint or common.s3_endpoint,
            s3_region=own.region or common.s3_region,
            s3_virtual_hosted=common.s3_virtual_hosted if own.virtual_hosted is None else own.virtual_hosted,
        )
        if own.credentials is None:
            return found
        name = own.credentials.upper().replace("-", "_")
        keys = common.s3_credentials.get(name)
        if keys is None:
            raise Refusal(
                f"region {self.id} is let into its store by the credentials {own.credentials!r}; set "
                f"LAMINA_S3_{name}_ACCESS_KEY_ID and LAMINA_S3_{name}_SECRET_ACCESS_KEY"
            )
        return replace(
            found,
            s3_access_key_id=keys.access_key_id,
            s3_secret_access_key=keys.secret_access_key,
            s3_session_token=keys.session_token,
        )


def read_regions(tables: Mapping[str, RegionTable]) -> tuple[DeclaredRegion, ...]:
    """The regions of the file, by id.

    Raises:
        Refusal: a name, a time zone or a zone cannot be used.
    """
    regions = tuple(_read_region(name, table) for name, table in sorted(tables.items()))
    owners: dict[ZoneId, RegionId] = {}
    for region in regions:
        for zone_id in region.zones:
            owner = owners.setdefault(zone_id, region.id)
            if owner != region.id:
                raise Refusal(
                    f"regions {owner} and {region.id} both have a zone {zone_id}; rename one of them"
                )
    return regions


def _read_region(name: str, table: RegionTable) -> DeclaredRegion:
    _check_id(name, "region")
    zones = table.zones if isinstance(table.zones, dict) else {zone: zone for zone in table.zones}
    for zone in zones:
        _check_id(zone, "zone")
    if table.time_zone is not None:
        _check_time_zone(name, table.time_zone)
    credentials = table.s3.credentials
    if credentials is not None and not _CREDENTIALS.fullmatch(credentials):
        raise Refusal(
            f"the credentials {credentials!r} of region {name} cannot be named so; use letters, digits and '-'"
        )
    for place in (table.store, table.buckets):
        if place is not None and (not place or "\0" in place):
            raise Refusal(
                f"{place!r} is no place for region {name}; write a path, file:///path or s3://bucket"
            )
    return DeclaredRegion(
        id=RegionId(name),
        store=table.store or f"store/{name}",
        buckets=table.buckets or f"buckets/{name}",
        local_name=table.local_name,
        time_zone=table.time_zone,
        zones={ZoneId(zone): label for zone, label in zones.items()},
        s3=table.s3,
    )


def _check_id(name: str, kind: str) -> None:
    if not _ID.fullmatch(name) or len(name) > _ID_LENGTH_MAX:
        raise Refusal(
            f"{name!r} cannot name a {kind}; use at most {_ID_LENGTH_MAX} small letters and digits, with single "
            "hyphens in between, such as cn-beijing"
        )


def _check_time_zone(region: str, name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Refusal(
            f"the time zone {name!r} of region {region} is unknown here; write an IANA name such as Asia/Shanghai"
        ) from error
