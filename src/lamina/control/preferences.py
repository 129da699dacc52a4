"""What an installation is set to: `lamina.toml` in its folder, read once at start.

Settings from the environment say where things are on this machine; preferences say how the service behaves, and
belong to the installation, wherever it is moved.
"""

import re
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import msgspec

from lamina.control.regions.declared import DeclaredRegion, RegionTable, read_regions
from lamina.failures import Refusal
from lamina.ids import RegionId
from lamina.settings import Settings

PREFERENCES_FILE: Final = "lamina.toml"
_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


class Compatibility(Enum):
    """Which description of the service counts where the two differ."""

    FAQ = "faq"  # the Snapshot FAQ, and the API reference of its time
    API_2026 = "2026"  # the API as the vendor documents it in 2026


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRates:
    """How often the API may be called, in calls per second. The defaults are far above what scripts and controllers do.

    Attributes:
        per_action: one action, by one account.
        per_key: all actions together, with one access key.
    """

    per_action: float = 500.0
    per_key: float = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotQuotas:
    """How many snapshots a disk may have. The defaults are those of the Snapshot FAQ.

    Attributes:
        manual: at this many, CreateSnapshot is refused.
        automatic: at this many, a policy deletes the earliest one before it makes another.
    """

    manual: int = 256
    automatic: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """How an installation behaves.

    Attributes:
        compatibility: which description of the service counts.
        audit_retention: how long the audit log is kept.
        copy_snapshots: whether snapshots are copied between regions. Unless the file says so, not with the FAQ, which
            knows images for this, and with the API of 2026.
        public_url: what clients reach the service by, such as `https://lamina.example`: links to objects in buckets
            begin with it. None is the name and port that whoever asks for a link addressed, without TLS.
        regions: those that the file declares, by id.
        prices: the operator's own price list; None is the one that comes with the package.
        billing_rules: the operator's own rules of billing; None as above.
        collect_payments: whether bills are to be paid, and what the rules say happens to accounts that do not. Off
            unless the file says so: who runs this for themselves must never lose snapshots to a bill.
        rates: how often the API may be called.
        quotas: how many snapshots a disk may have.
        root_key_command: a program that writes the root key; None is the file in the installation's folder.
    """

    compatibility: Compatibility = Compatibility.FAQ
    audit_retention: timedelta = timedelta(days=180)
    copy_snapshots: bool = False
    public_url: str | None = None
    regions: tuple[DeclaredRegion, ...] = ()
    prices: Path | None = None
    billing_rules: Path | None = None
    collect_payments: bool = False
    rates: CallRates = CallRates()
    quotas: SnapshotQuotas = SnapshotQuotas()
    root_key_command: str | None = None

    def choose_settings(self, region_id: RegionId, common: Settings) -> Settings:
        """The settings with which the stores of a region are opened: the common ones, unless the file says otherwise.

        Raises:
            Refusal: the environment lacks the credentials that the file names.
        """
        for region in self.regions:
            if region.id == region_id:
                return region.choose_settings(common)
        return common


_RATES: Final = CallRates()
_Rate = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
_QUOTAS: Final = SnapshotQuotas()
_Quota = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class _LimitsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    calls_per_second: _Rate = _RATES.per_action
    key_calls_per_second: _Rate = _RATES.per_key
    manual_snapshots_per_disk: _Quota = _QUOTAS.manual
    automatic_snapshots_per_disk: _Quota = _QUOTAS.automatic


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    compatibility: Compatibility = Compatibility.FAQ
    audit_days: int = 180
    copy_snapshots: bool | None = None
    public_url: str | None = None
    regions: dict[str, RegionTable] = msgspec.field(default_factory=dict)
    prices: str | None = None
    billing_rules: str | None = None
    collect_payments: bool = False
    limits: _LimitsTable = _LimitsTable()
    root_key_command: str | None = None


def read_preferences(directory: Path) -> Preferences:
    """The preferences of an installation; the defaults if it has no file.

    Raises:
        Refusal: the file cannot be read, or says something that is not known.
    """
    path = directory / PREFERENCES_FILE
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
        regions = read_regions(found.regions)
    except FileNotFoundError:
        return Preferences()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, Refusal) as error:
        raise Refusal(f"{path} cannot be used: {error}; mend it, or move it away for the defaults") from error
    if found.audit_days < 1:
        raise Refusal(f"{path} cannot be used: audit_days is {found.audit_days} and must be 1 at least")
    if found.public_url is not None and not _URL.fullmatch(found.public_url):
        raise Refusal(f"{path} cannot be used: public_url must be a URL such as https://lamina.example")
    copies = found.copy_snapshots
    return Preferences(
        compatibility=found.compatibility,
        audit_retention=timedelta(days=found.audit_days),
        copy_snapshots=found.compatibility is Compatibility.API_2026 if copies is None else copies,
        public_url=found.public_url,
        regions=regions,
        prices=None if found.prices is None else directory / found.prices,
        billing_rules=None if found.billing_rules is None else directory / found.billing_rules,
        collect_payments=found.collect_payments,
        rates=CallRates(per_action=found.limits.calls_per_second, per_key=found.limits.key_calls_per_second),
        quotas=SnapshotQuotas(
            manual=found.limits.manual_snapshots_per_disk,
            automatic=found.limits.automatic_snapshots_per_disk,
        ),
        root_key_command=found.root_key_command,
    )
