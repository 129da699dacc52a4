"""What an installation is set to: `lamina.toml` in its folder, read once at start.

Settings from the environment say where things are on this machine; preferences say how the service behaves, and
belong to the installation, wherever it is moved.
"""

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from lamina.failures import Refusal

PREFERENCES_FILE: Final = "lamina.toml"


class Compatibility(Enum):
    """Which description of the service counts where the two differ."""

    FAQ = "faq"  # the Snapshot FAQ, and the API reference of its time
    API_2026 = "2026"  # the API as the vendor documents it in 2026


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """How an installation behaves.

    Attributes:
        compatibility: which description of the service counts.
        audit_retention: how long the audit log is kept.
        copy_snapshots: whether snapshots are copied between regions. Unless the file says so, not with the FAQ, which
            knows images for this, and with the API of 2026.
    """

    compatibility: Compatibility = Compatibility.FAQ
    audit_retention: timedelta = timedelta(days=180)
    copy_snapshots: bool = False


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    compatibility: Compatibility = Compatibility.FAQ
    audit_days: int = 180
    copy_snapshots: bool | None = None


def read_preferences(directory: Path) -> Preferences:
    """The preferences of an installation; the defaults if it has no file.

    Raises:
        Refusal: the file cannot be read, or says something that is not known.
    """
    path = directory / PREFERENCES_FILE
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except FileNotFoundError:
        return Preferences()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Refusal(f"{path} cannot be used: {error}; mend it, or move it away for the defaults") from error
    if found.audit_days < 1:
        raise Refusal(f"{path} cannot be used: audit_days is {found.audit_days} and must be 1 at least")
    copies = found.copy_snapshots
    return Preferences(
        compatibility=found.compatibility,
        audit_retention=timedelta(days=found.audit_days),
        copy_snapshots=found.compatibility is Compatibility.API_2026 if copies is None else copies,
    )
