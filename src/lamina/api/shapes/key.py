"""An encryption key, as DescribeKey shows it."""

from dataclasses import dataclass
from datetime import datetime

from lamina.control.keys.records import KeyRecord
from lamina.ids import AccountId, KeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyShape:
    """One key (KMS API, `KeyMetadata`).

    Attributes:
        creator: the account that it belongs to.
        delete_date: when it is destroyed, if that is scheduled.
        primary_key_version: the number of the version that seals from now on.
        last_rotation_date: when that version was made, if it is not the first one.
    """

    key_id: KeyId
    creator: AccountId
    description: str
    key_state: str
    key_usage: str
    origin: str
    creation_date: datetime
    delete_date: datetime | None
    primary_key_version: str
    last_rotation_date: datetime | None


def show_key(key: KeyRecord) -> KeyShape:
    """A key for an answer."""
    return KeyShape(
        key_id=key.id,
        creator=key.account_id,
        description=key.description or "",
        key_state=key.state.value,
        key_usage="ENCRYPT/DECRYPT",
        origin=key.origin.value,
        creation_date=key.created_at,
        delete_date=key.deletes_at,
        primary_key_version=str(key.version),
        last_rotation_date=key.rotated_at,
    )
