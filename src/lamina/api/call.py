"""What an action is given beside its request: who calls, where, and the parts of the installation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from lamina.api.codes import (
    ACCESS_KEY_DISABLED,
    SUSPENDED,
    UNKNOWN_ACCESS_KEY,
    UNKNOWN_ACCESS_KEY_2026,
    ApiError,
)
from lamina.api.nonces import NonceStore
from lamina.api.paging import Pager
from lamina.api.rate_limit import RateLimiter
from lamina.clock import Clock
from lamina.control.accounts.access_keys import AccessKey, find_access_key
from lamina.control.audit.journal import AuditJournal
from lamina.control.buckets.opening import Buckets
from lamina.control.disks.volumes import Volumes
from lamina.control.long_lists import LongLists
from lamina.control.preferences import Compatibility
from lamina.control.repositories import Repositories
from lamina.control.root_key import Vault
from lamina.control.scope import Limits, Scope
from lamina.control.tariff.tariff import Tariff
from lamina.database import Database, insist
from lamina.ids import AccessKeyId, RegionId, RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of an installation that the API works with; put together by `lamina.processes`.

    Attributes:
        database: rows.
        vault: opens the secrets of access keys.
        volumes: where the bytes of disks are.
        buckets: the bucket services of the regions.
        repositories: the data of snapshots.
        clock: the installation's time, which a test installation can move.
        wall_clock: real time, for signatures: clients sign with theirs.
        limits: quotas.
        region_id: where calls are made that name no region.
        nonces: replay protection.
        limiter: rate limits.
        audit: where every call is written down.
        paging_key: 32 secret bytes that authenticate paging tokens.
        tariff: what the storage of snapshots costs.
        lists: what is remembered of long lists.
        public_url: what clients reach the service by, if not by the name that they address.
    """

    database: Database
    vault: Vault
    volumes: Volumes
    buckets: Buckets
    repositories: Repositories
    clock: Clock
    wall_clock: Clock
    limits: Limits
    region_id: RegionId
    nonces: NonceStore
    limiter: RateLimiter
    audit: AuditJournal
    tariff: Tariff
    paging_key: bytes = field(repr=False)
    lists: LongLists = field(default_factory=LongLists)
    public_url: str | None = None

    def find_key(self, access_key_id: str) -> AccessKey:
        """The access key that a call says to be signed with.

        Raises:
            ApiError: it is unknown, or it was disabled or rotated out.
        """
        key = insist(lambda: self._look_up(AccessKeyId(access_key_id)))
        if key is None:
            is_new = self.limits.compatibility is Compatibility.API_2026
            code = UNKNOWN_ACCESS_KEY_2026 if is_new else UNKNOWN_ACCESS_KEY
            raise ApiError(code, f"There is no access key {access_key_id}")
        if not key.is_usable(self.wall_clock.now()):
            raise ApiError(
                ACCESS_KEY_DISABLED, f"The access key {access_key_id} is disabled; use another one"
            )
        return key

    def _look_up(self, access_key_id: AccessKeyId) -> AccessKey | None:
        with self.database.glancing() as session:
            return find_access_key(session, self.vault, access_key_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One authenticated call.

    Attributes:
        services: the parts of the installation.
        request_id: identifies the call.
        key: whose call it is.
        region_id: where it was made.
        action: the name of the action.
        host: the name and port that the client addressed, without a scheme.
    """

    services: Services
    request_id: RequestId
    key: AccessKey
    region_id: RegionId
    action: str
    host: str

    def scope(self, session: Session) -> Scope:
        """The caller as verbs see it."""
        return Scope(
            session=session,
            account_id=self.key.account_id,
            region_id=self.region_id,
            clock=self.services.clock,
            limits=self.services.limits,
            lists=self.services.lists,
        )

    @contextmanager
    def transaction(self) -> Iterator[Scope]:
        """A transaction of its own, for actions that move data between transactions."""
        with self.services.database.transaction(of=self.key.account_id) as session:
            yield self.scope(session)

    @contextmanager
    def reading(self) -> Iterator[Scope]:
        """A reading session of its own."""
        with self.services.database.reading() as session:
            yield self.scope(session)

    def pager(self) -> Pager:
        """Reads and writes the paging tokens of this action's list."""
        return Pager(key=self.services.paging_key, account_id=self.key.account_id, action=self.action)

    def require_snapshot_service(self) -> None:
        """Refuse what makes or uses snapshots while the account is suspended.

        Raises:
            ApiError: `InvalidAccountStatus.NotEnoughBalance`, as the tables of all these actions list it.
        """
        if self.key.standing.is_suspended:
            raise ApiError(SUSPENDED, "The account is suspended for overdue payments; settle them first")
