"""Refusals about images."""

from collections.abc import Sequence

from lamina.control.images.states import ImageState
from lamina.failures import Refusal
from lamina.ids import AccountId, DiskId, ImageId, SnapshotId


class ImageNotFoundError(Refusal):
    """The account has no such image in the region, and none is shared with it."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"there is no image {image_id} in this region")
        self.image_id = image_id


class ImageStateError(Refusal):
    """The image is not in a state in which this can be done.

    Attributes:
        image_id: the image.
        state: its state.
    """

    def __init__(self, image_id: ImageId, state: ImageState) -> None:
        super().__init__(f"image {image_id} is {state.value}; only an image that is Available can be used")
        self.image_id = image_id
        self.state = state


class ImageNameTakenError(Refusal):
    """The account has an image of that name in the region."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is an image {name} in this region already; choose another name")
        self.name = name


class ImageQuotaError(Refusal):
    """The account has as many images in the region as it may have."""

    def __init__(self, maximum: int) -> None:
        super().__init__(f"there are {maximum} images in this region, the most allowed; delete some first")
        self.maximum = maximum


class ImageFamilyQuotaError(Refusal):
    """The account has as many image families in the region as it may have."""

    def __init__(self, maximum: int) -> None:
        super().__init__(f"there are {maximum} image families in this region, the most allowed")
        self.maximum = maximum


class FamilyImagesQuotaError(Refusal):
    """The family has as many images as it may have."""

    def __init__(self, family: str, maximum: int) -> None:
        super().__init__(f"image family {family} has {maximum} images, the most allowed; delete some first")
        self.family = family
        self.maximum = maximum


class ImageSourceMissingError(Refusal):
    """Nothing is named that an image could be made of."""

    def __init__(self) -> None:
        super().__init__("name an InstanceId, a SnapshotId, or the disks of the image by DiskDeviceMapping.N")


class NotSystemSnapshotError(Refusal):
    """The snapshot is not one of a system disk, which every image needs."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is not from a system disk, and an image needs one; name a snapshot of a system "
            "disk, with further snapshots as DiskDeviceMapping.N"
        )
        self.snapshot_id = snapshot_id


class SystemSnapshotCountError(Refusal):
    """Among the disks of an image, exactly one must be a system disk's snapshot.

    Attributes:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} of the snapshots are from system disks; an image needs exactly one")
        self.count = count


class SystemSnapshotMissingError(Refusal):
    """The image's system disk has no snapshot: its mapping is an empty disk."""

    def __init__(self, device: str) -> None:
        super().__init__(f"the system disk {device} needs a snapshot; only a data disk can be empty")
        self.device = device


class ImageDiskTypeError(Refusal):
    """A mapping calls a snapshot something else than what it is."""

    def __init__(self, snapshot_id: SnapshotId, role: str) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is from a {role} disk; leave DiskType out, or set it to {role}"
        )
        self.snapshot_id = snapshot_id


class ImageDiskSizeError(Refusal):
    """A disk of an image is too small for its snapshot, has no size at all, or is larger than any disk."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(f"the disk {device} of the image {reason}")
        self.device = device


class ImageDeviceError(Refusal):
    """No disk of an image has such a device name."""

    def __init__(self, device: str) -> None:
        super().__init__(
            f"{device} is no device name here: /dev/xvda is the system disk, /dev/xvdb to /dev/xvdz are data disks"
        )
        self.device = device


class ImageDeviceTakenError(Refusal):
    """Two disks of an image have the same device name."""

    def __init__(self, device: str) -> None:
        super().__init__(f"two disks of the image are called {device}")
        self.device = device


class ImageDiskCountError(Refusal):
    """More data disks than an image may have."""

    def __init__(self, count: int, maximum: int) -> None:
        super().__init__(f"{count} data disks are too many for one image; at most {maximum} are taken")
        self.maximum = maximum


class ImageWithoutSystemDiskError(Refusal):
    """The instance has no system disk at the moment, and an image needs one."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(
            f"instance {instance_id} has no system disk; attach one before you make an image of it"
        )
        self.instance_id = instance_id


class ArchivedSourceError(Refusal):
    """The snapshot is archived, and images are made of standard snapshots only."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is archived and makes no image; make a disk from it, and a snapshot of that disk"
        )
        self.snapshot_id = snapshot_id


class ImageInUseError(Refusal):
    """Instances were created from the image; it goes only by force, and their disks cannot be re-initialised then.

    Attributes:
        image_id: the image.
        instance_ids: the instances.
    """

    def __init__(self, image_id: ImageId, instance_ids: Sequence[str]) -> None:
        super().__init__(
            f"{', '.join(instance_ids)} were created from image {image_id}; "
            "delete it with Force=true if their disks need not be re-initialised any more"
        )
        self.image_id = image_id
        self.instance_ids = tuple(instance_ids)


class ImageBusyError(Refusal):
    """Disks get their bytes from the image at this moment.

    Attributes:
        image_id: the image.
        disk_ids: the disks of the image's account.
        others: how many disks of other accounts; which these are is nobody else's business.
    """

    def __init__(self, image_id: ImageId, disk_ids: Sequence[DiskId], *, others: int = 0) -> None:
        foreign = [f"{others} of accounts that it was shared with"] if others else []
        super().__init__(
            f"image {image_id} is being read for disks: {', '.join([*disk_ids, *foreign])}; wait until that ends"
        )
        self.image_id = image_id
        self.disk_ids = tuple(disk_ids)
        self.others = others


class ImageSharedError(Refusal):
    """The image is shared with other accounts.

    Attributes:
        image_id: the image.
        account_ids: with whom.
    """

    def __init__(self, image_id: ImageId, account_ids: Sequence[AccountId]) -> None:
        super().__init__(f"image {image_id} is shared with {', '.join(account_ids)}; unshare it first")
        self.image_id = image_id
        self.account_ids = tuple(account_ids)


class ImagePublicError(Refusal):
    """The operator made the image public."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(f"image {image_id} is public; the operator has to unpublish it first")
        self.image_id = image_id


class ImageCreatingError(Refusal):
    """The image is being created."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(f"image {image_id} is being created; wait until that ends")
        self.image_id = image_id


class ImageCopyingError(Refusal):
    """The image is being copied, or is an unfinished copy."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(
            f"image {image_id} is being copied; wait until that ends, or cancel it with CancelCopyImage"
        )
        self.image_id = image_id


class ImageImportingError(Refusal):
    """The image is being imported."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(f"image {image_id} is being imported; wait until that ends, or cancel its task")
        self.image_id = image_id


class ImageExportingError(Refusal):
    """The image is being exported."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(f"image {image_id} is being exported; wait until that ends, or cancel its task")
        self.image_id = image_id


class OwnAccountError(Refusal):
    """An image is not shared with its owner."""

    def __init__(self, account_id: str) -> None:
        super().__init__(
            f"{account_id} is your own account; name the account that the image is to be shared with"
        )
        self.account_id = account_id


class ShareAccountError(Refusal):
    """There is no such account to share with."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"there is no account {account_id} to share an image with")
        self.account_id = account_id


class ShareQuotaError(Refusal):
    """The image would be shared with too many accounts."""

    def __init__(self, image_id: ImageId, maximum: int) -> None:
        super().__init__(
            f"image {image_id} can be shared with {maximum} accounts at most; unshare it from some"
        )
        self.image_id = image_id
        self.maximum = maximum
