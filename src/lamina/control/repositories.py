"""The repositories of the installation: one per account and region, at `<store of the region>/<account id>`."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from lamina.clock import Clock
from lamina.control.regions.places import is_remote, locate
from lamina.control.regions.queries import get_region
from lamina.control.root_key import RootKey
from lamina.database import Database
from lamina.engine.objects.location import open_store
from lamina.engine.repository import NoRepositoryError, Repository, RepositoryExistsError
from lamina.engine.seal.keys import KeyFile
from lamina.ids import AccountId, RegionId
from lamina.settings import Settings


class Repositories:
    """Opens repositories and keeps them open. Safe for any number of threads.

    An account's repository is unlocked by a key that is derived from the root key and the account's id: whoever
    has the root key and the object store can read it without the database.
    """

    def __init__(
        self,
        database: Database,
        root_key: RootKey,
        choose_settings: Callable[[RegionId], Settings],
        clock: Clock,
        directory: Path,
    ) -> None:
        self._database = database
        self._root_key = root_key
        self._choose_settings = choose_settings
        self._clock = clock
        self._directory = directory
        self._open: dict[tuple[AccountId, RegionId], Repository] = {}
        self._lock = threading.Lock()

    def ensure(self, account_id: AccountId, region_id: RegionId) -> Repository:
        """The repository of an account in a region; it is made at the first need.

        Raises:
            RegionNotFoundError: there is no such region.
            Refusal: the region's store cannot be opened, or holds another installation's repository.
            Fault: the store failed.
        """
        with self._lock:
            found = self._open.get((account_id, region_id))
            if found is None:
                found = self._create_or_open(account_id, region_id)
                self._open[account_id, region_id] = found
            return found

    def find(self, account_id: AccountId, region_id: RegionId) -> Repository | None:
        """The repository of an account in a region, or None if nothing was ever stored in it.

        Raises:
            RegionNotFoundError: there is no such region.
            Refusal: the region's store cannot be opened, or holds another installation's repository.
            Fault: the store failed.
        """
        with self._lock:
            found = self._open.get((account_id, region_id))
            if found is not None:
                return found
            location = self.locate(account_id, region_id)
            if not is_remote(location) and not Path(location).is_dir():
                return None
            try:
                found = self._open_at(account_id, location, self._choose_settings(region_id))
            except NoRepositoryError:
                return None
            self._open[account_id, region_id] = found
            return found

    def list_accounts(self, region_id: RegionId) -> list[AccountId]:
        """The accounts that have something in a region's store, whatever the database says. Lists the whole store.

        Raises:
            RegionNotFoundError: there is no such region.
            Refusal: the region's store cannot be opened.
            Fault: the store failed.
        """
        return sorted({AccountId(key.partition("/")[0]) for key in self._list_keys(region_id)})

    def is_empty(self, region_id: RegionId) -> bool:
        """Whether nothing is in a region's store. One request.

        Raises:
            RegionNotFoundError: there is no such region.
            Refusal: the region's store cannot be opened.
            Fault: the store failed.
        """
        return next(self._list_keys(region_id), None) is None

    def locate(self, account_id: AccountId, region_id: RegionId) -> str:
        """Where the repository is or would be.

        Raises:
            RegionNotFoundError: there is no such region.
        """
        return f"{self._locate_region(region_id)}/{account_id}"

    def _locate_region(self, region_id: RegionId) -> str:
        with self._database.reading() as session:
            return locate(self._directory, get_region(session, region_id).store)

    def _list_keys(self, region_id: RegionId) -> Iterator[str]:
        location = self._locate_region(region_id)
        if is_remote(location) or Path(location).is_dir():
            store = open_store(location, self._choose_settings(region_id))
            yield from (info.key for info in store.list(""))

    def _create_or_open(self, account_id: AccountId, region_id: RegionId) -> Repository:
        location, settings = self.locate(account_id, region_id), self._choose_settings(region_id)
        store = open_store(location, settings, create=True)
        try:
            return Repository.create(
                store, self._secret(account_id), clock=self._clock, cache_dir=settings.cache_dir
            )
        except RepositoryExistsError:
            return self._open_at(account_id, location, settings)

    def _open_at(self, account_id: AccountId, location: str, settings: Settings) -> Repository:
        store = open_store(location, settings)
        return Repository.open(
            store, self._secret(account_id), clock=self._clock, cache_dir=settings.cache_dir
        )

    def _secret(self, account_id: AccountId) -> KeyFile:
        return KeyFile(self._root_key.derive(f"repository/{account_id}"))
