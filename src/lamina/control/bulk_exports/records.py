"""The tables of bulk exports and of what each of them consists of."""

from datetime import datetime

import msgspec
from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.blockio.qemu.formats import ImageFormat
from lamina.control.accounts.records import AccountRecord
from lamina.control.bulk_exports.states import (
    BULK_TRANSITIONS,
    ITEM_TRANSITIONS,
    BulkState,
    ItemState,
    SourceKind,
)
from lamina.control.regions.records import RegionRecord
from lamina.database import Record, one_of
from lamina.ids import AccountId, BulkExportId, ImageId, RegionId, TaskId


class ExportedObject(msgspec.Struct, frozen=True, kw_only=True):
    """One object that an item left in the bucket.

    Attributes:
        key: its name.
        size_bytes: its length.
        etag: what the bucket service says of its content: the MD5 checksum where an S3 service took it in one piece.
    """

    key: str
    size_bytes: int
    etag: str


class BulkExportRecord(Record):
    """One bulk export.

    Attributes:
        bucket: where to, by name: the bucket may be deleted when all is done.
        prefix: what the names of the objects begin with.
        concurrency: at most so many items are worked on at once.
        deletes_images: the images that were made for it go when they are exported, with the snapshots taken for them.
        finished_at: when its last item had ended.
    """

    __tablename__ = "bulk_exports"
    __table_args__ = (
        Index("ix_bulk_exports_account_created", "account_id", "region_id", "created_at", "id"),
        Index("ix_bulk_exports_state", "state"),
        Index("ix_bulk_exports_finished_at", "finished_at"),
    )

    id: Mapped[BulkExportId] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    bucket: Mapped[str]
    prefix: Mapped[str | None]
    format: Mapped[ImageFormat] = mapped_column(one_of(ImageFormat))
    concurrency: Mapped[int]
    deletes_images: Mapped[bool]
    state: Mapped[BulkState] = mapped_column(one_of(BulkState))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    def move_to(self, state: BulkState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in BULK_TRANSITIONS[self.state], f"{self.id}: {self.state.value} to {state.value}"
        self.state = state


class BulkItemRecord(Record):
    """One item of a bulk export: something of which an image is made, and exported.

    Attributes:
        number: its place in the list, from 1.
        source_id: the instance, the snapshot or the image.
        image_id: the image; its row may be gone.
        export_task_id: the task that exports it.
        is_removal_due: it has ended, and the image that was made for it is still to be removed.
        failure: why it failed.
        note: what else its owner has to know, such as why its image was not removed.
        stored: JSON list of `ExportedObject`, once it is finished.
    """

    __tablename__ = "bulk_export_items"

    bulk_export_id: Mapped[BulkExportId] = mapped_column(ForeignKey(BulkExportRecord.id), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    source_kind: Mapped[SourceKind] = mapped_column(one_of(SourceKind))
    source_id: Mapped[str]
    state: Mapped[ItemState] = mapped_column(one_of(ItemState))
    image_id: Mapped[ImageId | None]
    export_task_id: Mapped[TaskId | None]
    is_removal_due: Mapped[bool] = mapped_column(default=False)
    failure: Mapped[str | None]
    note: Mapped[str | None]
    stored: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    def move_to(self, state: ItemState) -> None:
        """Change the state; a change that the table of states does not have is a bug."""
        assert state in ITEM_TRANSITIONS[self.state], (
            f"{self.bulk_export_id}/{self.number}: {self.state.value} to {state.value}"
        )
        self.state = state

    @property
    def objects(self) -> tuple[ExportedObject, ...]:
        """What it left in the bucket; none before it is finished."""
        if self.stored is None:
            return ()
        return msgspec.json.decode(self.stored, type=tuple[ExportedObject, ...])
