"""The table of revision 0001 that is about buckets."""

import sqlalchemy as sa
from alembic import op


def create_buckets() -> None:
    """Which bucket is whose."""
    op.create_table(
        "buckets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("is_made", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(name) <= 63", name="ck_buckets_name_length"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_buckets_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_buckets_region_id_regions"),
        sa.PrimaryKeyConstraint("name", name="pk_buckets"),
    )
    op.create_index(
        "ix_buckets_account_created",
        "buckets",
        ["account_id", "region_id", "created_at", "name"],
        unique=False,
    )
