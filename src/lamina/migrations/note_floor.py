"""The table of revision 0001 that is about notes of snapshots."""

import sqlalchemy as sa
from alembic import op


def create_snapshot_notes() -> None:
    """Which snapshots changed after their manifest was written."""
    op.create_table(
        "snapshot_notes",
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("is_noted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["snapshots.id"], name="fk_snapshot_notes_snapshot_id_snapshots"
        ),
        sa.PrimaryKeyConstraint("snapshot_id", name="pk_snapshot_notes"),
    )
    op.create_index(
        "ix_snapshot_notes_unnoted",
        "snapshot_notes",
        ["snapshot_id"],
        unique=False,
        sqlite_where=sa.text("is_noted IS 0"),
        postgresql_where=sa.text("is_noted IS false"),
    )
