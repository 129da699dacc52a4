"""Refusals about instances and the disks that they are made with."""

from lamina.control.images.states import Architecture
from lamina.failures import Refusal
from lamina.ids import ImageId, InstanceId


class ImageFamilyNotFoundError(Refusal):
    """The account has no image in this family from which instances can be made."""

    def __init__(self, family: str) -> None:
        super().__init__(f"image family {family} has no image that is Available in this region")
        self.family = family


class DiskBelowImageError(Refusal):
    """A disk was to be smaller than the image's disk whose bytes it gets. Sizes are in GiB."""

    def __init__(self, device: str, size_gib: int, least_gib: int) -> None:
        super().__init__(f"{size_gib} GiB are too small for {device}: the image's disk has {least_gib} GiB")
        self.device = device
        self.size_gib = size_gib
        self.least_gib = least_gib


class DiskSizeMissingError(Refusal):
    """An empty disk was asked for without a size."""

    def __init__(self) -> None:
        super().__init__(
            "the size of a data disk that gets no bytes from a snapshot or from the image is missing"
        )


class ImageArchitectureError(Refusal):
    """The type of instance does not run the image's programs."""

    def __init__(self, image_id: ImageId, architecture: Architecture, type_id: str) -> None:
        super().__init__(
            f"image {image_id} is for {architecture.value}, which instance type {type_id} does not run"
        )
        self.image_id = image_id
        self.architecture = architecture
        self.type_id = type_id


class NoSystemDiskError(Refusal):
    """The instance has no system disk that could be replaced."""

    def __init__(self, instance_id: InstanceId) -> None:
        super().__init__(f"instance {instance_id} has no system disk; attach one with Bootable")
        self.instance_id = instance_id
