"""Refusals about buckets and their objects."""

from lamina.failures import Refusal


class BucketNotFoundError(Refusal):
    """The account has no such bucket in the region, or the bucket service has lost it."""

    def __init__(self, bucket: str) -> None:
        super().__init__(
            f"there is no bucket {bucket} in this region; `lamina bucket create {bucket}` makes one"
        )
        self.bucket = bucket


class BucketNotEmptyError(Refusal):
    """The bucket has objects."""

    def __init__(self, bucket: str) -> None:
        super().__init__(f"bucket {bucket} has objects; remove them first")
        self.bucket = bucket


class BucketFullError(Refusal):
    """There is no room in the bucket service."""

    def __init__(self, bucket: str, reason: str) -> None:
        super().__init__(f"bucket {bucket} has no room: {reason}; delete objects, or enlarge what it is on")
        self.bucket = bucket


class BucketForbiddenError(Refusal):
    """The bucket service does not let Lamina do this."""

    def __init__(self, bucket: str, reason: str) -> None:
        super().__init__(
            f"the bucket service refuses access to bucket {bucket}: {reason}; check the credentials of the region"
        )
        self.bucket = bucket


class ObjectNotFoundError(Refusal):
    """The bucket has no such object."""

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"bucket {bucket} has no object {key}")
        self.bucket = bucket
        self.key = key
