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
            f"the bucket service refuses access to bucket {bucket}: {reason}; check the "
            "credentials or the permissions of the region's bucket service"
        )
        self.bucket = bucket


class ObjectNotFoundError(Refusal):
    """The bucket has no such object."""

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"bucket {bucket} has no object {key}")
        self.bucket = bucket
        self.key = key


class BucketNameError(Refusal):
    """A bucket cannot have this name."""

    def __init__(self, bucket: str, complaint: str) -> None:
        super().__init__(f"{bucket[:70]!r} is no name for a bucket: {complaint}")


class BucketNameTakenError(Refusal):
    """The name is in use: by another account, in another region, or in the bucket service itself."""

    def __init__(self, bucket: str) -> None:
        super().__init__(f"the name {bucket} is taken; names of buckets are unique, so choose another one")
        self.bucket = bucket


class BucketQuotaError(Refusal):
    """The account has as many buckets in the region as it may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"there are {limit} buckets in this region, and no more are allowed; delete one first"
        )


class ObjectKeyError(Refusal):
    """An object cannot have this name, or not beside those that are there."""

    def __init__(self, key: str, complaint: str) -> None:
        super().__init__(f"{key[:100]!r} cannot be the key of an object: {complaint}")


class LinkLimitUnsupportedError(Refusal):
    """The bucket service cannot limit how much is put through a link."""

    def __init__(self, bucket: str) -> None:
        super().__init__(
            f"the service of bucket {bucket} cannot limit what a link takes; leave the limit out"
        )


class LinkExpiredError(Refusal):
    """The link was good, and its time is over."""

    def __init__(self) -> None:
        super().__init__("Request has expired.")


class LinkSignatureError(Refusal):
    """The link was not made here, or was made for something else."""

    def __init__(self) -> None:
        super().__init__("The signature does not match what is asked for; ask for a new link.")


class BucketsLocationError(Refusal):
    """A region's bucket service cannot be opened as it is set."""
