"""Refusals about files of images: what is exported to a bucket and imported from one."""

from lamina.failures import Refusal
from lamina.ids import ImageId


class ForeignImageError(Refusal):
    """The image is visible to the account, and its bytes are not the account's."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(
            f"image {image_id} belongs to another account or to the service; export one of your own"
        )
        self.image_id = image_id


class ExportSizeError(Refusal):
    """The image has too many data disks, or too large ones, to be exported."""

    def __init__(self, image_id: ImageId, reason: str) -> None:
        super().__init__(f"image {image_id} cannot be exported: {reason}")
        self.image_id = image_id


class ExportQuotaError(Refusal):
    """The account exports as many images at this moment as it may."""

    def __init__(self, maximum: int) -> None:
        super().__init__(
            f"{maximum} images are being exported, the most at a time; wait until one of them is done"
        )
        self.maximum = maximum


class ScratchFullError(Refusal):
    """The folder in which files are converted has no room."""

    def __init__(self, free_bytes: int) -> None:
        super().__init__(
            f"the service has no room to convert the disk: {free_bytes >> 20} MiB are left on its file system; "
            "make room there, or ask the operator to"
        )
        self.free_bytes = free_bytes


class ImportSizeError(Refusal):
    """The disk in a file is larger than it was said to be, or than a disk may be."""

    def __init__(self, device: str, found_gib: int, allowed_gib: int) -> None:
        super().__init__(
            f"the file of {device} holds a disk of {found_gib} GiB, and at most {allowed_gib} GiB were allowed for it; "
            "set DiskImageSize to the size of the disk at least"
        )
        self.device = device


class ImportDataDiskSizeError(ImportSizeError):
    """The same, with a data disk."""


class ImportDataError(Refusal):
    """A file that is to be imported cannot be read as what it was said to be."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(f"the file of {device} cannot be imported: {reason}")
        self.device = device
