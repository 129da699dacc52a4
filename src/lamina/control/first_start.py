"""The start of an installation: its regions and, the first time, an account, an access key, and the file with them.

The file is written before the rows, so that a crash in between is mended by the next start: it takes the ids and
the secret from the file. When the database is lost, the account comes back the same way.
"""

from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import func, select

from lamina.control.accounts.access_keys import NewKey, add_access_key
from lamina.control.accounts.create import create_account
from lamina.control.accounts.records import AccountRecord
from lamina.control.declared_regions import declare_regions
from lamina.control.images.built_in import ensure_built_in_image
from lamina.control.installation import Installation
from lamina.control.regions.create import NewRegion, create_region
from lamina.control.regions.records import RegionRecord
from lamina.control.root_key import write_private
from lamina.failures import Refusal
from lamina.ids import AccessKeyId, AccountId, RegionId, ZoneId, mint_account_id

_FILE: Final = "credentials.json"
DEFAULT_REGION: Final = NewRegion(
    id=RegionId("cn-hangzhou"),
    local_name="China (Hangzhou)",
    store="store/cn-hangzhou",
    time_zone="Asia/Shanghai",
    zones={ZoneId("cn-hangzhou-h"): "Hangzhou Zone H", ZoneId("cn-hangzhou-i"): "Hangzhou Zone I"},
)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What `credentials.json` says: the first account's access key, and where the service answers."""

    account_id: AccountId
    access_key_id: AccessKeyId
    access_key_secret: str
    endpoint: str
    region_id: RegionId

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r}, endpoint={self.endpoint!r})"


def furnish(installation: Installation, endpoint: str | None = None) -> Credentials | None:
    """Make the declared regions and, unless there is an account already, the first region, account and access key.

    Args:
        installation: just opened.
        endpoint: where the service will answer, such as `http://127.0.0.1:8788`, for the file; None leaves it.

    Returns:
        The credentials if this was the first start.

    Raises:
        Refusal: there is a file of credentials that cannot be read, or the declared regions cannot be had; see
            `declare_regions`.
        Fault: a store failed that had to be looked at.
    """
    # One transaction, so that of two processes that start at once the second one finds what the first one made.
    with installation.database.transaction() as session:
        declare_regions(installation, session, {DEFAULT_REGION.id: DEFAULT_REGION})
        is_first = not session.scalar(select(func.count()).select_from(AccountRecord))
        known = read_credentials(installation.directory)
        if not is_first and known is None:
            return None
        credentials = known or _mint()
        if endpoint is not None:
            credentials = msgspec.structs.replace(credentials, endpoint=endpoint)
        if credentials != known:
            content = msgspec.json.format(msgspec.json.encode(credentials)) + b"\n"
            write_private(installation.directory / _FILE, content)
        if not is_first:
            return None
        clock = installation.clock
        if session.get(RegionRecord, DEFAULT_REGION.id) is None:
            ensure_built_in_image(session, clock, create_region(session, clock, DEFAULT_REGION))
        create_account(session, clock, name="default", account_id=credentials.account_id)
        key = NewKey(id=credentials.access_key_id, secret=credentials.access_key_secret)
        add_access_key(session, installation.vault, clock, credentials.account_id, key)
    return credentials


def _mint() -> Credentials:
    key = NewKey()
    return Credentials(
        account_id=mint_account_id(),
        access_key_id=key.id,
        access_key_secret=key.secret,
        endpoint="",
        region_id=DEFAULT_REGION.id,
    )


def read_credentials(directory: Path) -> Credentials | None:
    """The first account's credentials, if the file is still in the installation's folder.

    Raises:
        Refusal: the file cannot be read.
    """
    path = directory / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Credentials)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise Refusal(f"{path} is not what this service wrote ({error}); move it away or mend it") from error
