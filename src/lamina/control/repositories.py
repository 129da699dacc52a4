"""The repositories of the installation, at `<store of the region>/<account id>` and `<…>/<account id>.<key id>`.

There is one per account and region for snapshots of disks without a key, and one per key for those of disks with one.
The local caches of the latter lie apart, at `<cache folder>/keyed/<key id>`: they go with the key, and on every host
the name of the folder alone says which key that is.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select

from lamina.clock import Clock
from lamina.control.keys.errors import KeyDestroyedError, KeyMaterialMissingError
from lamina.control.keys.key_ring import KeyRing
from lamina.control.keys.records import KeyRecord
from lamina.control.regions.places import is_remote, locate
from lamina.control.regions.queries import get_region
from lamina.control.regions.records import RegionRecord
from lamina.control.root_key import RootKey
from lamina.database import Database
from lamina.engine.objects.location import open_store
from lamina.engine.objects.store import ObjectStore
from lamina.engine.repository import NoRepositoryError, Repository, RepositoryExistsError
from lamina.engine.seal.keys import KeyFile, WrongSecretError
from lamina.ids import AccountId, KeyId, RegionId
from lamina.settings import Settings
from lamina.telemetry import get_logger, log_failure

_LOGGER: Final = get_logger(__name__)
_KEYED: Final = "keyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a repository may be.

    Attributes:
        key_id: what unlocks it; None is a secret that only the root key knows.
    """

    account_id: AccountId
    region_id: RegionId
    key_id: KeyId | None = None

    @property
    def name(self) -> str:
        """The name of its folder in the region's store."""
        return self.account_id if self.key_id is None else f"{self.account_id}.{self.key_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What repositories are unlocked with.

    Attributes:
        root_key: for those without a key of their account.
        ring: for those with one.
    """

    root_key: RootKey
    ring: KeyRing


class Repositories:
    """Opens repositories and keeps them open. Safe for any number of threads.

    An account's repository is unlocked by a key that is derived from the root key and the account's id: whoever
    has the root key and the object store can read it without the database. One of a key is unlocked by what is derived
    from the key's material. Whether a key may be used at this moment is for the caller to know; see `keys.queries`.
    """

    def __init__(
        self,
        database: Database,
        secrets: Secrets,
        choose_settings: Callable[[RegionId], Settings],
        clock: Clock,
        directory: Path,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._choose_settings = choose_settings
        self._clock = clock
        self._directory = directory
        self._open: dict[Place, Repository] = {}
        self._lock = threading.Lock()

    def ensure(self, account_id: AccountId, region_id: RegionId, key_id: KeyId | None = None) -> Repository:
        """The repository of an account in a region, and of a key; it is made at the first need.

        Raises:
            RegionNotFoundError: there is no such region.
            KeyDestroyedError: the key was destroyed.
            KeyMaterialMissingError: the key's material is not there.
            Refusal: the region's store cannot be opened, or holds another installation's repository.
            Fault: the store failed.
        """
        place = Place(account_id=account_id, region_id=region_id, key_id=key_id)
        with self._lock:
            found = self._find_open(place)
            if found is None:
                found = self._create_or_open(place)
                self._open[place] = found
            return found

    def find(
        self, account_id: AccountId, region_id: RegionId, key_id: KeyId | None = None
    ) -> Repository | None:
        """The repository of an account in a region, and of a key, or None if nothing was ever stored in it.

        Raises:
            As `ensure`.
        """
        place = Place(account_id=account_id, region_id=region_id, key_id=key_id)
        with self._lock:
            found = self._find_open(place)
            if found is not None:
                return found
            location = self.locate(account_id, region_id, key_id)
            if not is_remote(location) and not Path(location).is_dir():
                return None
            try:
                found = self._open_at(place, open_store(location, self._choose_settings(region_id)))
            except NoRepositoryError:
                return None
            self._open[place] = found
            return found

    def is_disconnected(self, place: Place) -> bool:
        """Whether the folder of a repository is not where it would be; of a store that is no directory nobody can tell.

        Raises:
            RegionNotFoundError: there is no such region.
        """
        location = self.locate(place.account_id, place.region_id, place.key_id)
        return not is_remote(location) and not Path(location).is_dir()

    def forget_destroyed(self) -> None:
        """Let go of repositories whose key was destroyed, by whichever process, and remove their caches on this host.

        Work that was under way may make a cache anew; the next call removes it again. One that cannot be removed is
        logged and keeps nothing else from going on.
        """
        with self._lock:
            for place in [each for each in self._open if self._is_destroyed(each)]:
                del self._open[place]
        for cache in self._list_keyed_caches():
            if self._secrets.ring.is_destroyed(KeyId(cache.name)):
                _remove_cache(cache)

    def remove(self, place: Place) -> int:
        """Remove every object of a repository, as of one whose key was destroyed; answers how many there were.

        Raises:
            RegionNotFoundError: there is no such region.
            Refusal: the region's store cannot be opened.
            Fault: the store failed.
        """
        with self._lock:
            self._open.pop(place, None)
        location = self.locate(place.account_id, place.region_id, place.key_id)
        if not is_remote(location) and not Path(location).is_dir():
            return 0
        store = open_store(location, self._choose_settings(place.region_id))
        keys = [info.key for info in store.list("")]
        for key in keys:
            store.delete(key)
        return len(keys)

    def list_places(self, region_id: RegionId) -> list[Place]:
        """The repositories in a region's store, whatever the database says. Lists the whole store.

        Raises:
            RegionNotFoundError: there is no such region.
            Refusal: the region's store cannot be opened.
            Fault: the store failed.
        """
        places = []
        for name in sorted({key.partition("/")[0] for key in self._list_keys(region_id)}):
            account_id, _, key_id = name.partition(".")
            places.append(
                Place(
                    account_id=AccountId(account_id),
                    region_id=region_id,
                    key_id=KeyId(key_id) if key_id else None,
                )
            )
        return places

    def is_empty(self, region_id: RegionId) -> bool:
        """Whether nothing is in a region's store. One request.

        Raises:
            RegionNotFoundError: there is no such region.
            Refusal: the region's store cannot be opened.
            Fault: the store failed.
        """
        return next(self._list_keys(region_id), None) is None

    def locate(self, account_id: AccountId, region_id: RegionId, key_id: KeyId | None = None) -> str:
        """Where the repository is or would be.

        Raises:
            RegionNotFoundError: there is no such region.
        """
        place = Place(account_id=account_id, region_id=region_id, key_id=key_id)
        return f"{self._locate_region(region_id)}/{place.name}"

    def derive_secret(self, place: Place, version: int) -> KeyFile:
        """What unlocks a repository that a version of its key protects.

        Raises:
            KeyDestroyedError: the key was destroyed.
            KeyMaterialMissingError: the key's material is not there.
        """
        assert place.key_id is not None, "only keys have versions"
        purpose = f"repository/{place.account_id}/{place.region_id}"
        return KeyFile(self._secrets.ring.derive(place.key_id, version, purpose))

    def _find_open(self, place: Place) -> Repository | None:
        if self._is_destroyed(place):
            self._open.pop(place, None)
            assert place.key_id is not None, "only keys are destroyed"
            raise KeyDestroyedError(place.key_id)
        return self._open.get(place)

    def _is_destroyed(self, place: Place) -> bool:
        return place.key_id is not None and self._secrets.ring.is_destroyed(place.key_id)

    def _locate_region(self, region_id: RegionId) -> str:
        with self._database.reading() as session:
            return locate(self._directory, get_region(session, region_id).store)

    def _list_keys(self, region_id: RegionId) -> Iterator[str]:
        location = self._locate_region(region_id)
        if is_remote(location) or Path(location).is_dir():
            store = open_store(location, self._choose_settings(region_id))
            yield from (info.key for info in store.list(""))

    def _create_or_open(self, place: Place) -> Repository:
        settings = self._choose_settings(place.region_id)
        location = self.locate(place.account_id, place.region_id, place.key_id)
        store = open_store(location, settings, create=True)
        try:
            if place.key_id is None:
                return self._create(store, place, self._derive_common(place.account_id))
            with self._secrets.ring.sealing(place.key_id, self._find_version(place.key_id)) as version:
                return self._create(store, place, self.derive_secret(place, version))
        except RepositoryExistsError:
            return self._open_at(place, store)

    def _create(self, store: ObjectStore, place: Place, secret: KeyFile) -> Repository:
        return Repository.create(store, secret, clock=self._clock, cache_dir=self._choose_cache(place))

    def _open_at(self, place: Place, store: ObjectStore) -> Repository:
        """Open a repository; while its key is rotated, with whichever version unlocks it."""
        cache_dir = self._choose_cache(place)
        if place.key_id is None:
            secret = self._derive_common(place.account_id)
            return Repository.open(store, secret, clock=self._clock, cache_dir=cache_dir)
        failure: WrongSecretError | KeyMaterialMissingError = KeyMaterialMissingError(
            place.key_id, self._find_version(place.key_id), "it is not there"
        )
        versions = self._secrets.ring.list_versions(place.key_id)
        for version in [*versions, *versions[:1]]:  # the newest once more: the secret may change meanwhile
            try:
                secret = self.derive_secret(place, version)
                return Repository.open(store, secret, clock=self._clock, cache_dir=cache_dir)
            except (WrongSecretError, KeyMaterialMissingError) as error:
                failure = error
        raise failure

    def _choose_cache(self, place: Place) -> Path:
        folder = self._choose_settings(place.region_id).cache_dir
        return folder if place.key_id is None else folder / _KEYED / place.key_id

    def _list_keyed_caches(self) -> list[Path]:
        with self._database.reading() as session:
            regions = session.scalars(select(RegionRecord.id)).all()
        folders = {self._choose_settings(region_id).cache_dir / _KEYED for region_id in regions}
        return [cache for folder in folders if folder.is_dir() for cache in folder.iterdir()]

    def _find_version(self, key_id: KeyId) -> int:
        with self._database.reading() as session:
            return session.get_one(KeyRecord, key_id).version

    def _derive_common(self, account_id: AccountId) -> KeyFile:
        return KeyFile(self._secrets.root_key.derive(f"repository/{account_id}"))


def _remove_cache(cache: Path) -> None:
    try:
        shutil.rmtree(cache)
    except FileNotFoundError:
        return  # another process was faster
    except OSError as error:
        log_failure(_LOGGER, "the cache of a destroyed key cannot be removed", error, key_id=cache.name)
