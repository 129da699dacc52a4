"""The tables of revision 0001 that are about snapshots, their holds, locks, groups and chains."""

import sqlalchemy as sa
from alembic import op

_ARCHIVING = sa.text("category = 'archiving'")


def create_snapshots() -> None:
    """Disks at one instant."""
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("disk_id", sa.Text(), nullable=False),
        sa.Column("disk_size_gib", sa.BigInteger(), nullable=False),
        sa.Column("disk_role", sa.String(32), nullable=False),
        sa.Column("disk_name", sa.Text(), nullable=True),
        sa.Column("retention_days", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("changed_bytes", sa.BigInteger(), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("tracking", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("is_data_missing", sa.Boolean(), nullable=False),
        sa.Column("source_snapshot_id", sa.Text(), nullable=True),
        sa.Column("source_region_id", sa.Text(), nullable=True),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.Column("incremental_bytes", sa.BigInteger(), nullable=True),
        sa.Column("exclusive_bytes", sa.BigInteger(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.CheckConstraint("length(description) <= 256", name="ck_snapshots_description_length"),
        sa.CheckConstraint("disk_role IN ('system', 'data')", name="ck_snapshots_diskrole"),
        sa.CheckConstraint("length(name) <= 128", name="ck_snapshots_name_length"),
        sa.CheckConstraint(
            "category IN ('standard', 'archiving', 'archive')", name="ck_snapshots_snapshotcategory"
        ),
        sa.CheckConstraint("kind IN ('user', 'auto')", name="ck_snapshots_snapshotkind"),
        sa.CheckConstraint(
            "state IN ('progressing', 'accomplished', 'failed', 'deleting')",
            name="ck_snapshots_snapshotstate",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_snapshots_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_snapshots_region_id_regions"),
        sa.ForeignKeyConstraint(
            ["key_id"], ["encryption_keys.id"], name="fk_snapshots_key_id_encryption_keys"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
    )
    _index_snapshots()


def _index_snapshots() -> None:
    op.create_index(
        "ix_snapshots_key",
        "snapshots",
        ["key_id", "account_id", "region_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_snapshots_account_created",
        "snapshots",
        ["account_id", "region_id", "created_at", "id", "state", "kind", "category", "disk_role"],
        unique=False,
    )
    op.create_index(
        "ix_snapshots_name",
        "snapshots",
        ["account_id", "region_id", "name", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_snapshots_state",
        "snapshots",
        ["state", "account_id", "region_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_snapshots_disk", "snapshots", ["disk_id", "created_at"], unique=False)
    op.create_index("ix_snapshots_expires_at", "snapshots", ["expires_at"], unique=False)
    op.create_index("ix_snapshots_group", "snapshots", ["group_id"], unique=False)
    op.create_index("ix_snapshots_source", "snapshots", ["source_snapshot_id"], unique=False)
    op.create_index(
        "ix_snapshots_archiving",
        "snapshots",
        ["id"],
        unique=False,
        sqlite_where=_ARCHIVING,
        postgresql_where=_ARCHIVING,
    )


def create_snapshot_holds() -> None:
    """What a snapshot is used by."""
    op.create_table(
        "snapshot_holds",
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("holder_kind", sa.String(32), nullable=False),
        sa.Column("holder_id", sa.Text(), nullable=False),
        sa.CheckConstraint("holder_kind IN ('image', 'disk')", name="ck_snapshot_holds_holderkind"),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["snapshots.id"], name="fk_snapshot_holds_snapshot_id_snapshots"
        ),
        sa.PrimaryKeyConstraint("snapshot_id", "holder_kind", "holder_id", name="pk_snapshot_holds"),
    )
    op.create_index(
        "ix_snapshot_holds_holder",
        "snapshot_holds",
        ["holder_kind", "holder_id", "snapshot_id"],
        unique=False,
    )


def create_snapshot_locks() -> None:
    """Until when nobody deletes it."""
    op.create_table(
        "snapshot_locks",
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("cool_off_hours", sa.BigInteger(), nullable=False),
        sa.Column("duration_days", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("cool_off_until", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["snapshots.id"], name="fk_snapshot_locks_snapshot_id_snapshots"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_snapshot_locks_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_snapshot_locks_region_id_regions"),
        sa.PrimaryKeyConstraint("snapshot_id", name="pk_snapshot_locks"),
    )
    op.create_index(
        "ix_snapshot_locks_account",
        "snapshot_locks",
        ["account_id", "region_id", "created_at", "snapshot_id"],
        unique=False,
    )


def create_snapshot_groups() -> None:
    """Snapshots of several disks at one instant."""
    op.create_table(
        "snapshot_groups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.CheckConstraint("length(name) <= 128", name="ck_snapshot_groups_name_length"),
        sa.CheckConstraint("length(description) <= 256", name="ck_snapshot_groups_description_length"),
        sa.CheckConstraint(
            "state IN ('progressing', 'accomplished', 'failed')", name="ck_snapshot_groups_groupstate"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_snapshot_groups_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_snapshot_groups_region_id_regions"),
        sa.PrimaryKeyConstraint("id", name="pk_snapshot_groups"),
    )
    op.create_index(
        "ix_snapshot_groups_account",
        "snapshot_groups",
        ["account_id", "region_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_snapshot_groups_state", "snapshot_groups", ["state"], unique=False)


def create_snapshot_chains() -> None:
    """What all snapshots of a disk come to."""
    op.create_table(
        "snapshot_chains",
        sa.Column("disk_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("snapshot_count", sa.BigInteger(), nullable=False),
        sa.Column("standard_bytes", sa.BigInteger(), nullable=False),
        sa.Column("archive_bytes", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("is_counted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_snapshot_chains_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_snapshot_chains_region_id_regions"),
        sa.PrimaryKeyConstraint("disk_id", "region_id", name="pk_snapshot_chains"),
    )
    op.create_index(
        "ix_snapshot_chains_account",
        "snapshot_chains",
        ["account_id", "region_id", "created_at", "disk_id"],
        unique=False,
    )
    op.create_index(
        "ix_snapshot_chains_uncounted",
        "snapshot_chains",
        ["account_id", "region_id"],
        unique=False,
        sqlite_where=sa.text("is_counted IS 0"),
        postgresql_where=sa.text("is_counted IS false"),
    )


def create_snapshot_usage() -> None:
    """What the snapshots of an account came to over time."""
    op.create_table(
        "snapshot_usage",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("measured_at", sa.BigInteger(), nullable=False),
        sa.Column("standard_bytes", sa.BigInteger(), nullable=False),
        sa.Column("archive_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_snapshot_usage_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_snapshot_usage_region_id_regions"),
        sa.PrimaryKeyConstraint("account_id", "region_id", "measured_at", name="pk_snapshot_usage"),
    )
