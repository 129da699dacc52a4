"""The bucket of a task: the account's at every step, and not only when the task was ordered."""

from lamina.control.buckets.bucket_service import BucketService
from lamina.control.buckets.queries import find_bucket
from lamina.control.installation import Installation
from lamina.ids import AccountId, RegionId


def open_own_bucket(
    plant: Installation, account_id: AccountId, region_id: RegionId, name: str
) -> BucketService:
    """The service of a region, if the bucket of that name is the account's at this moment.

    Names are free again when a bucket is deleted: by the time that a task gets to its bucket, the name may be that of
    another account's, whose objects are not to be read, and which gets nothing of this account's.

    Raises:
        BucketNotFoundError: the account has no such bucket in the region.
    """
    with plant.database.reading() as session:
        find_bucket(plant.scope(session, account_id, region_id), name)
    return plant.buckets.service(region_id)
