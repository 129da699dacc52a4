"""Tables of revision 0001 that are about images."""

import sqlalchemy as sa
from alembic import op


def create_images() -> None:
    """Images, the disks in them, and whom they are shared with."""
    op.create_table(
        "images",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("family", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("os_type", sa.String(32), nullable=False),
        sa.Column("architecture", sa.String(32), nullable=False),
        sa.Column("boot_mode", sa.String(32), nullable=False),
        sa.Column("license_type", sa.String(32), nullable=False),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("source_image_id", sa.Text(), nullable=True),
        sa.Column("source_region_id", sa.Text(), nullable=True),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("export_task_id", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("copy_key_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(name) <= 128", name="ck_images_name_length"),
        sa.CheckConstraint("length(description) <= 256", name="ck_images_description_length"),
        sa.CheckConstraint("os_type IN ('linux', 'windows')", name="ck_images_ostype"),
        sa.CheckConstraint("architecture IN ('i386', 'x86_64', 'arm64')", name="ck_images_architecture"),
        sa.CheckConstraint("boot_mode IN ('BIOS', 'UEFI', 'UEFI-Preferred')", name="ck_images_bootmode"),
        sa.CheckConstraint("license_type IN ('Auto', 'Aliyun', 'BYOL')", name="ck_images_licensetype"),
        sa.CheckConstraint(
            "origin IN ('built-in', 'created', 'copied', 'imported')", name="ck_images_imageorigin"
        ),
        sa.CheckConstraint(
            "state IN ('Waiting', 'Creating', 'Available', 'UnAvailable', 'CreateFailed', 'Deprecated')",
            name="ck_images_imagestate",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_images_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_images_region_id_regions"),
        sa.ForeignKeyConstraint(
            ["copy_key_id"], ["encryption_keys.id"], name="fk_images_copy_key_id_encryption_keys"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
    )
    op.create_index(
        "ix_images_account_created", "images", ["account_id", "region_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_images_name", "images", ["account_id", "region_id", "name"], unique=True)
    op.create_index(
        "ix_images_family", "images", ["account_id", "region_id", "family", "created_at"], unique=False
    )
    op.create_index(
        "ix_images_public", "images", ["is_public", "region_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_images_state", "images", ["state"], unique=False)
    _create_disks()
    _create_shares()


def _create_disks() -> None:
    op.create_table(
        "image_disks",
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("size_gib", sa.BigInteger(), nullable=False),
        sa.Column("snapshot_id", sa.Text(), nullable=True),
        sa.Column("bucket", sa.Text(), nullable=True),
        sa.Column("object_key", sa.Text(), nullable=True),
        sa.Column("format", sa.Text(), nullable=True),
        sa.CheckConstraint("role IN ('system', 'data')", name="ck_image_disks_diskrole"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_image_disks_image_id_images"),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["snapshots.id"],
            name="fk_image_disks_snapshot_id_snapshots",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("image_id", "device", name="pk_image_disks"),
    )
    op.create_index("ix_image_disks_snapshot", "image_disks", ["snapshot_id"], unique=False)


def _create_shares() -> None:
    op.create_table(
        "image_shares",
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("shared_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_image_shares_image_id_images"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_image_shares_account_id_accounts"),
        sa.PrimaryKeyConstraint("image_id", "account_id", name="pk_image_shares"),
    )
    op.create_index("ix_image_shares_account", "image_shares", ["account_id", "image_id"], unique=False)
