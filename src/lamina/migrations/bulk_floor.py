"""Tables of revision 0001 that are about exports of many images in one go."""

import sqlalchemy as sa
from alembic import op


def create_bulk_exports() -> None:
    """Bulk exports, and what each of them consists of."""
    op.create_table(
        "bulk_exports",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=True),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("concurrency", sa.BigInteger(), nullable=False),
        sa.Column("deletes_images", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "format IN ('raw', 'qcow2', 'vhd', 'vmdk', 'vdi')", name="ck_bulk_exports_imageformat"
        ),
        sa.CheckConstraint(
            "state IN ('Running', 'Cancelling', 'Finished', 'Cancelled')", name="ck_bulk_exports_bulkstate"
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_bulk_exports_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_bulk_exports_region_id_regions"),
        sa.PrimaryKeyConstraint("id", name="pk_bulk_exports"),
    )
    op.create_index(
        "ix_bulk_exports_account_created",
        "bulk_exports",
        ["account_id", "region_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_bulk_exports_state", "bulk_exports", ["state"], unique=False)
    op.create_index("ix_bulk_exports_finished_at", "bulk_exports", ["finished_at"], unique=False)
    op.create_table(
        "bulk_export_items",
        sa.Column("bulk_export_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("source_kind", sa.String(32), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("image_id", sa.Text(), nullable=True),
        sa.Column("export_task_id", sa.Text(), nullable=True),
        sa.Column("is_removal_due", sa.Boolean(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("stored", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "source_kind IN ('Instance', 'Snapshot', 'Image')", name="ck_bulk_export_items_sourcekind"
        ),
        sa.CheckConstraint(
            "state IN ('Waiting', 'CreatingImage', 'Ready', 'Exporting', 'Finished', 'Failed', 'Cancelled')",
            name="ck_bulk_export_items_itemstate",
        ),
        sa.ForeignKeyConstraint(
            ["bulk_export_id"], ["bulk_exports.id"], name="fk_bulk_export_items_bulk_export_id_bulk_exports"
        ),
        sa.PrimaryKeyConstraint("bulk_export_id", "number", name="pk_bulk_export_items"),
    )
