"""Tables of revision 0001 that are about fees: the log of sizes, and the bills that are made from it."""

import sqlalchemy as sa
from alembic import op

_STORAGE_CLASSES = "storage_class IN ('standard', 'archive')"


def create_meter() -> None:
    """What snapshots came to, and how far that is closed."""
    op.create_table(
        "meters",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("sealed_until", sa.BigInteger(), nullable=False),
        sa.Column("billed_until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_meters_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", name="pk_meters"),
    )
    op.create_index("ix_meters_billed_until", "meters", ["billed_until"], unique=False)
    op.create_table(
        "size_events",
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("disk_id", sa.Text(), nullable=False),
        sa.Column("storage_class", sa.String(32), nullable=False),
        sa.Column("bytes_before", sa.BigInteger(), nullable=True),
        sa.Column("bytes_after", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "bytes_before IS NOT NULL OR bytes_after IS NOT NULL", name="ck_size_events_something"
        ),
        sa.CheckConstraint("bytes_after >= 0", name="ck_size_events_positive"),
        sa.CheckConstraint(_STORAGE_CLASSES, name="ck_size_events_storageclass"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_size_events_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_size_events_region_id_regions"),
        sa.PrimaryKeyConstraint("snapshot_id", "number", name="pk_size_events"),
    )
    op.create_index(
        "ix_size_events_account", "size_events", ["account_id", "region_id", "ends_at", "at"], unique=False
    )


def create_bills() -> None:
    """Closed months."""
    op.create_table(
        "bills",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("month", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_bills_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_bills"),
    )
    op.create_index("ix_bills_account", "bills", ["account_id", "month", "id"], unique=True)
    op.create_index("ix_bills_number", "bills", ["account_id", "number"], unique=True)
    op.create_table(
        "bill_lines",
        sa.Column("bill_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("disk_id", sa.Text(), nullable=True),
        sa.Column("storage_class", sa.String(32), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("snapshot_count", sa.BigInteger(), nullable=False),
        sa.Column("hours", sa.BigInteger(), nullable=False),
        sa.Column("byte_hours", sa.BigInteger(), nullable=False),
        sa.Column("end_bytes", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("hours_per_month", sa.BigInteger(), nullable=False),
        sa.Column("counted_hours", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('storage', 'free')", name="ck_bill_lines_linekind"),
        sa.CheckConstraint(_STORAGE_CLASSES, name="ck_bill_lines_storageclass"),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name="fk_bill_lines_bill_id_bills"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_bill_lines_region_id_regions"),
        sa.PrimaryKeyConstraint("bill_id", "number", name="pk_bill_lines"),
    )
