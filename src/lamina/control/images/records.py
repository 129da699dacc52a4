"""The tables of images, of the disks in them, and of whom they are shared with."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.disks.states import DiskRole
from lamina.control.images.states import (
    TRANSITIONS,
    Architecture,
    BootMode,
    ImageOrigin,
    ImageState,
    LicenseType,
    OsType,
)
from lamina.control.keys.records import KeyRecord
from lamina.control.regions.records import RegionRecord
from lamina.control.snapshots.records import SnapshotRecord
from lamina.database import Record, one_of
from lamina.ids import AccountId, ImageId, KeyId, RegionId, SnapshotId, TaskId


class ImageRecord(Record):
    """One image.

    Attributes:
        account_id: who owns it; None for what is part of the region.
        name: unique among the account's images in the region.
        family: the newest available image of a family is found by its name.
        platform: such as `Ubuntu`; `os_type` follows from it.
        is_public: every account sees it and may start instances from it; the operator's word.
        source_image_id: what it is a copy of; the original may be gone.
        source_region_id: where the original is.
        task_id: the task that makes it.
        export_task_id: the latest task that exports it.
        failure: why making it failed.
        copy_key_id: what the snapshots of a copy are encrypted with.
    """

    __tablename__ = "images"
    __table_args__ = (
        CheckConstraint("length(name) <= 128", name="name_length"),
        CheckConstraint("length(description) <= 256", name="description_length"),
        Index("ix_images_account_created", "account_id", "region_id", "created_at", "id"),
        Index("ix_images_name", "account_id", "region_id", "name", unique=True),
        Index("ix_images_family", "account_id", "region_id", "family", "created_at"),
        Index("ix_images_public", "is_public", "region_id", "created_at", "id"),
        Index("ix_images_state", "state"),
    )

    id: Mapped[ImageId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId | None] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    name: Mapped[str]
    description: Mapped[str | None]
    family: Mapped[str | None]
    version: Mapped[str | None]
    platform: Mapped[str]
    os_type: Mapped[OsType] = mapped_column(one_of(OsType))
    architecture: Mapped[Architecture] = mapped_column(one_of(Architecture))
    boot_mode: Mapped[BootMode] = mapped_column(one_of(BootMode))
    license_type: Mapped[LicenseType] = mapped_column(one_of(LicenseType), default=LicenseType.AUTO)
    origin: Mapped[ImageOrigin] = mapped_column(one_of(ImageOrigin))
    state: Mapped[ImageState] = mapped_column(one_of(ImageState))
    is_public: Mapped[bool] = mapped_column(default=False)
    source_image_id: Mapped[ImageId | None]
    source_region_id: Mapped[RegionId | None]
    task_id: Mapped[TaskId | None]
    export_task_id: Mapped[TaskId | None]
    failure: Mapped[str | None]
    copy_key_id: Mapped[KeyId | None] = mapped_column(ForeignKey(KeyRecord.id))
    created_at: Mapped[datetime]

    def move_to(self, state: ImageState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in TRANSITIONS[self.state], f"image {self.id}: {self.state.value} to {state.value}"
        self.state = state


class ImageDiskRecord(Record):
    """One disk of an image (`DiskDeviceMapping` of the API). Exactly one of an image's disks is the system disk.

    Attributes:
        device: what an instance calls it, such as `/dev/xvda`.
        size_gib: how large a disk that is made from it is at least.
        snapshot_id: whose bytes it has, a snapshot of the image's account and region; None for an empty disk. Only
            a snapshot whose creation failed goes before its image.
        bucket: which bucket it was imported from, if it was.
        object_key: and which object.
        format: of that object, as the API names it.
    """

    __tablename__ = "image_disks"
    __table_args__ = (Index("ix_image_disks_snapshot", "snapshot_id"),)

    image_id: Mapped[ImageId] = mapped_column(ForeignKey(ImageRecord.id), primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[DiskRole] = mapped_column(one_of(DiskRole))
    size_gib: Mapped[int]
    snapshot_id: Mapped[SnapshotId | None] = mapped_column(ForeignKey(SnapshotRecord.id, ondelete="SET NULL"))
    bucket: Mapped[str | None]
    object_key: Mapped[str | None]
    format: Mapped[str | None]


class ImageShareRecord(Record):
    """An account that may see an image of another account, and start instances from it."""

    __tablename__ = "image_shares"
    __table_args__ = (Index("ix_image_shares_account", "account_id", "image_id"),)

    image_id: Mapped[ImageId] = mapped_column(ForeignKey(ImageRecord.id), primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id), primary_key=True)
    shared_at: Mapped[datetime]
