"""Tables of revision 0001 that are about encryption keys."""

import sqlalchemy as sa
from alembic import op


def create_keys() -> None:
    """Keys of accounts; their material is not in the database."""
    op.create_table(
        "encryption_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("rotated_at", sa.BigInteger(), nullable=True),
        sa.Column("deletes_at", sa.BigInteger(), nullable=True),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.CheckConstraint("length(description) <= 8192", name="ck_encryption_keys_description_length"),
        sa.CheckConstraint("origin IN ('service', 'customer')", name="ck_encryption_keys_keyorigin"),
        sa.CheckConstraint(
            "state IN ('Enabled', 'Disabled', 'PendingDeletion', 'Destroyed')",
            name="ck_encryption_keys_keystate",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_encryption_keys_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_encryption_keys_region_id_regions"),
        sa.PrimaryKeyConstraint("id", name="pk_encryption_keys"),
    )
    op.create_index(
        "ix_encryption_keys_account",
        "encryption_keys",
        ["account_id", "region_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_encryption_keys_deletes_at", "encryption_keys", ["deletes_at"], unique=False)
