"""Refusals about copies of images."""

from lamina.control.images.states import ImageState
from lamina.failures import Refusal
from lamina.ids import ImageId, RegionId


class DestinationRegionError(Refusal):
    """There is no such region to copy to."""

    def __init__(self, region_id: RegionId) -> None:
        super().__init__(f"there is no region {region_id} to copy to; DescribeRegions lists them")
        self.region_id = region_id


class BuiltInCopyError(Refusal):
    """Every region has this image of its own, and it has no data."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(f"image {image_id} is part of every region already; nothing needs to be copied")
        self.image_id = image_id


class CommunityImageError(Refusal):
    """The image is another account's that everybody may use; only its owner copies it."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(
            f"image {image_id} is a public one of another account; create an instance from it, and an image of that"
        )
        self.image_id = image_id


class SharedImageRegionError(Refusal):
    """A shared image stays in its region."""

    def __init__(self, image_id: ImageId, region_id: RegionId) -> None:
        super().__init__(
            f"image {image_id} is shared with you and can only be copied within {region_id}; copy it there, and the"
            " copy, which is yours, to another region"
        )
        self.image_id = image_id


class NotCopiedError(Refusal):
    """The image is no copy, so that there is no copying to cancel."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(f"image {image_id} was not made by copying another one; there is nothing to cancel")
        self.image_id = image_id


class CopyEndedError(Refusal):
    """The copying has ended.

    Attributes:
        image_id: the copy.
        state: its state.
    """

    def __init__(self, image_id: ImageId, state: ImageState) -> None:
        super().__init__(
            f"image {image_id} is {state.value}: its copying has ended; use DeleteImage to remove it"
        )
        self.image_id = image_id
        self.state = state
