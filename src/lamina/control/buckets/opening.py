"""The bucket services of the installation: one per region, as `buckets` of the region says.

A path, relative to the installation's folder, is a directory of this host, to whose objects the API itself gives
links. `s3+https://HOST[:PORT]` or `s3+http://…` is a service that speaks S3; credentials, signing region and whether
buckets are part of host names are those of the region's stores.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lamina.clock import Clock
from lamina.control.buckets.bucket_service import BucketService
from lamina.control.buckets.directory import DirectoryBuckets
from lamina.control.buckets.errors import BucketsLocationError
from lamina.control.buckets.links import LinkSigner
from lamina.control.buckets.names import complain_about_bucket
from lamina.control.buckets.records import BucketRecord
from lamina.control.buckets.s3 import S3Buckets
from lamina.control.regions.places import is_remote, locate
from lamina.control.regions.queries import get_region
from lamina.control.root_key import RootKey
from lamina.database import Database
from lamina.engine.objects.s3 import S3Address
from lamina.ids import AccountId, RegionId
from lamina.settings import Settings

_S3: Final = "s3+"


class Buckets:
    """Opens the bucket services of regions; they keep nothing open themselves. Safe for any number of threads."""

    def __init__(
        self,
        database: Database,
        root_key: RootKey,
        choose_settings: Callable[[RegionId], Settings],
        clock: Clock,
        directory: Path,
    ) -> None:
        """Put together what services are made of.

        Args:
            database: knows the regions.
            root_key: the key of links is derived from it.
            choose_settings: how stores of a region are opened.
            clock: real time, also in a test installation: who uses a link has no other.
            directory: the installation's folder.
        """
        self._database = database
        self._signer = LinkSigner(root_key.derive("bucket links"), clock)
        self._choose_settings = choose_settings
        self._clock = clock
        self._directory = directory

    def service(self, region_id: RegionId) -> BucketService:
        """The bucket service of a region.

        Raises:
            RegionNotFoundError: there is no such region.
            BucketsLocationError: its service cannot be opened as it is set.
        """
        with self._database.reading() as session:
            place = get_region(session, region_id).buckets
        if not place.startswith(_S3):
            return self._open_directory(place)
        settings = self._choose_settings(region_id)
        endpoint = place.removeprefix(_S3).rstrip("/")
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise BucketsLocationError(
                f"the bucket service of region {region_id} is no place; write a path, or s3+https://HOST:PORT"
            )
        key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
        if key_id is None or secret is None:
            raise BucketsLocationError(
                f"the bucket service of region {region_id} needs credentials; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY"
            )

        def find_address(bucket: str) -> S3Address:
            return S3Address(
                bucket=bucket,
                prefix="",
                endpoint=endpoint,
                region=settings.s3_region,
                access_key_id=key_id,
                secret_access_key=secret,
                session_token=settings.s3_session_token,
                virtual_hosted=settings.s3_virtual_hosted,
            )

        return S3Buckets(find_address, self._clock)

    def find_directory(self, bucket: str) -> tuple[AccountId, DirectoryBuckets] | None:
        """Whose bucket it is that a link names, and the directory that it lies in; None if it lies in none."""
        if complain_about_bucket(bucket) is not None:
            return None
        with self._database.reading() as session:
            record = session.get(BucketRecord, bucket)
        if record is None:
            return None
        service = self.service(record.region_id)
        return (record.account_id, service) if isinstance(service, DirectoryBuckets) else None

    def _open_directory(self, place: str) -> DirectoryBuckets:
        location = locate(self._directory, place)
        if is_remote(location):
            raise BucketsLocationError(
                f"{place!r} is no place for buckets; write a path, or s3+https://HOST:PORT"
            )
        return DirectoryBuckets(Path(location), self._signer)
