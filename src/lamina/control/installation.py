"""One installation of the service: its folder, its key, its database, and what its tasks work with.

DIR/lock                      held by the one service that runs on DIR, or shared by those on one PostgreSQL
DIR/root.key                  32 random bytes, from which every other secret at rest is derived; see `root_key_source`
DIR/root.check                tells whether a root key is the one of this installation
DIR/lamina.sqlite             the metadata, unless it is elsewhere; see `metadata`
DIR/credentials.json          the first access key, for the command line
DIR/lamina.toml               how it shall behave; see `preferences`
DIR/clock.json                how far its clock is ahead, if that can be moved; see `movable_clock`
DIR/tasks.lock                keeps two owners of a task from working on it at once; see `lamina.tasks.alone`
DIR/keys/<key id>/<version>   the material of a key, wrapped by the root key; see `keys.key_ring`
DIR/disks/<disk id>/disk.raw  the bytes of a disk; its frozen clones in frozen/ beside it
DIR/buckets/<region>/<bucket>  the files of accounts, unless a region has its bucket service elsewhere
DIR/scratch/<task id>         files of images while they are converted; see `images.scratch`
DIR/store/<region>/<account>  the repositories, unless a region has its store elsewhere; those of a key: <account>.<key>
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from lamina.clock import Clock, SystemClock
from lamina.control.buckets.opening import Buckets
from lamina.control.disks.volumes import Volumes
from lamina.control.instances.driver import BookkeepingDriver, MachineDriver
from lamina.control.keys.key_ring import KeyRing
from lamina.control.metadata import find_url, has_metadata, open_metadata_at
from lamina.control.movable_clock import ClockNotMovableError, MovableClock, is_movable, make_movable
from lamina.control.preferences import Preferences, read_preferences
from lamina.control.repositories import Repositories, Secrets
from lamina.control.root_key import RootKey, Vault
from lamina.control.root_key_source import open_root_key
from lamina.control.scope import Limits, Scope
from lamina.control.tariff.tariff import Tariff, read_tariff
from lamina.database import Database
from lamina.failures import Refusal
from lamina.ids import AccountId, RegionId
from lamina.settings import Settings
from lamina.shared_clock import database_clock

_STORE: Final = "store"


class InstallationBusyError(Refusal):
    """Another service runs on the folder."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"another lamina service is running on {directory}; stop it or choose another folder"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What an installation consists of: the plant that tasks work with, and all that the API is built from.

    Attributes:
        directory: its folder.
        database: its rows.
        clock: its time, which a test installation may move.
        settings: what the environment said.
        preferences: what its own file said.
        limits: the quotas.
        root_key: from which further secrets are derived.
        vault: opens the secrets of access keys.
        keys: the material of its accounts' keys.
        volumes: the bytes of its disks.
        machines: runs its instances.
        repositories: the data of its snapshots.
        buckets: the services that keep its accounts' files.
        tariff: what the storage of snapshots costs.
    """

    directory: Path
    database: Database
    clock: Clock
    settings: Settings
    preferences: Preferences
    limits: Limits
    root_key: RootKey = field(repr=False)
    vault: Vault = field(repr=False)
    keys: KeyRing = field(repr=False)
    volumes: Volumes
    machines: MachineDriver
    repositories: Repositories
    buckets: Buckets
    tariff: Tariff

    def scope(self, session: Session, account_id: AccountId, region_id: RegionId) -> Scope:
        """What a verb needs to work for an account."""
        return Scope(
            session=session,
            account_id=account_id,
            region_id=region_id,
            clock=self.clock,
            limits=self.limits,
        )


@contextmanager
def open_installation(
    directory: Path,
    settings: Settings,
    clock: Clock | None = None,
    *,
    limits: Limits | None = None,
    alone: bool = False,
) -> Iterator[Installation]:
    """Open the installation in a folder, and make an empty one if there is none. See also `first_start`.

    Args:
        directory: its folder.
        settings: what the environment said.
        clock: its time; by default the system's, or that of a database which several hosts share.
        limits: the quotas; by default those of its preferences.
        alone: no other service may run on it, also where several could share its database.

    Raises:
        InstallationBusyError: another service runs on it.
        Refusal: the folder or its `lamina.toml` cannot be used, or its root key is not one.
        Fault: the database failed.
    """
    with ExitStack() as stack:
        _make_folder(directory)
        url = find_url(directory, settings.database)
        is_alone = alone or url is None or is_movable(directory)
        stack.enter_context(_locked(directory, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH))
        preferences = read_preferences(directory)
        tariff = read_tariff(preferences.prices, preferences.billing_rules)
        choose_settings = partial(preferences.choose_settings, common=settings)
        may_make = not has_metadata(directory) and not (directory / _STORE).exists()
        root_key = open_root_key(directory, settings, preferences.root_key_command, may_make=may_make)
        keys = KeyRing(directory / "keys", root_key)
        volumes = Volumes(directory / "disks", keys)
        volumes.folder.mkdir(mode=0o700, exist_ok=True)
        database = stack.enter_context(closing(open_metadata_at(directory, url)))
        if clock is None:
            clock = stack.enter_context(database_clock(database)) if database.is_shared else SystemClock()
            clock = MovableClock(directory, clock) if is_movable(directory) else clock
        yield Installation(
            directory=directory,
            database=database,
            clock=clock,
            settings=settings,
            preferences=preferences,
            limits=limits or _choose_limits(preferences),
            root_key=root_key,
            vault=Vault(root_key),
            keys=keys,
            volumes=volumes,
            machines=BookkeepingDriver(),
            repositories=Repositories(
                database, Secrets(root_key=root_key, ring=keys), choose_settings, clock, directory
            ),
            tariff=tariff,
            buckets=Buckets(database, root_key, choose_settings, SystemClock(), directory),
        )


def _choose_limits(preferences: Preferences) -> Limits:
    return Limits(
        compatibility=preferences.compatibility,
        may_copy_snapshots=preferences.copy_snapshots,
        manual_snapshots_per_disk=preferences.quotas.manual,
        automatic_snapshots_per_disk=preferences.quotas.automatic,
    )


@contextmanager
def open_metadata(directory: Path, settings: Settings | None = None) -> Iterator[tuple[Database, Vault]]:
    """The database and the vault of an installation that exists, also while its service runs.

    Args:
        directory: its folder.
        settings: what the environment said; by default that of this process.

    Raises:
        Refusal: there is no installation in the folder.
        Fault: the database failed.
    """
    if not has_metadata(directory):
        raise Refusal(f"there is no installation in {directory}; `lamina serve` makes one")
    preferences = read_preferences(directory)
    given = settings or Settings.from_environment()
    vault = Vault(open_root_key(directory, given, preferences.root_key_command, may_make=False))
    with closing(open_metadata_at(directory, find_url(directory, None))) as database:
        yield database, vault


def prepare_movable(directory: Path) -> None:
    """Have the installation that is made in a folder next get a movable clock.

    Raises:
        Refusal: there is an installation already, and its time is real.
    """
    if has_metadata(directory) and not is_movable(directory):
        raise ClockNotMovableError(directory)
    _make_folder(directory)
    make_movable(directory)


def is_serving(directory: Path) -> bool:
    """Whether a service runs on an installation that is there.

    Raises:
        Refusal: the folder cannot be used.
    """
    try:
        with _locked(directory, fcntl.LOCK_EX):
            return False
    except InstallationBusyError:
        return True


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _refuse_folder(directory, error) from error


def _refuse_folder(directory: Path, error: OSError) -> Refusal:
    return Refusal(f"{directory} cannot be used for an installation: {error.strerror}")


@contextmanager
def _locked(directory: Path, mode: int) -> Iterator[None]:
    try:
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _refuse_folder(directory, error) from error
    try:
        try:
            fcntl.flock(fd, mode | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InstallationBusyError(directory) from error
        yield
    finally:
        os.close(fd)
