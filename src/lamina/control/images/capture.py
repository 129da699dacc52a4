"""The task that makes an image of an instance: one snapshot per disk, all of one instant. How: `together`.

The snapshots stay when the image is deleted later. When the image cannot be made, their data goes and they are failed.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.images.queries import list_image_disks
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import ImageState
from lamina.control.installation import Installation
from lamina.control.snapshots.groups.together import Together, capture_together
from lamina.control.snapshots.holds import release_holds
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import HolderKind, SnapshotState
from lamina.ids import AccountId, DiskId, ImageId, RegionId, SnapshotId
from lamina.tasks.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureImageArguments:
    """Which image; the snapshots of its disks by the instance's disks."""

    account_id: AccountId
    region_id: RegionId
    image_id: ImageId
    members: dict[DiskId, SnapshotId]

    @property
    def together(self) -> Together:
        """What is captured at one instant."""
        return Together(
            account_id=self.account_id,
            region_id=self.region_id,
            whole_id=self.image_id,
            members=self.members,
        )


def settle_image(session: Session, image: ImageRecord, failure: str | None) -> None:
    """Bring an image in state `Creating` to its end by what became of its snapshots, which are settled already.

    Args:
        session: writes.
        image: an image of an instance, every disk of which has a snapshot.
        failure: why its task failed; None if it did not.
    """
    ids = [disk.snapshot_id for disk in list_image_disks(session, image.id)]
    snapshots = [session.get(SnapshotRecord, each) if each is not None else None for each in ids]
    is_whole = all(each is not None and each.state is SnapshotState.ACCOMPLISHED for each in snapshots)
    if failure is None and is_whole:
        image.move_to(ImageState.AVAILABLE)
        return
    image.move_to(ImageState.CREATE_FAILED)
    image.failure = failure or "a snapshot of it went while it was being created"
    release_holds(session, HolderKind.IMAGE, image.id)


def _settle(_plant: Installation, session: Session, task: CaptureImageArguments, outcome: Outcome) -> None:
    image = session.get(ImageRecord, task.image_id)
    if image is not None and image.state is ImageState.CREATING:
        settle_image(session, image, outcome.failure.message if outcome.failure is not None else None)


CAPTURE_IMAGE: Final = capture_together("capture-image", CaptureImageArguments, _settle)
