"""The first floor: accounts, regions, disks, snapshots, tags, client tokens, tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ACTIVE = sa.text("state IN ('queued', 'running')")


def upgrade() -> None:
    """Make every table."""
    _create_accounts()
    _create_access_keys()
    _create_regions()
    _create_zones()
    _create_disks()
    _create_connections()
    _create_snapshots()
    _create_snapshot_holds()
    _create_tags()
    _create_client_tokens()
    _create_tasks()


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("standing", sa.String(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("standing IN ('normal', 'suspended')", name="ck_accounts_accountstanding"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
    )


def _create_access_keys() -> None:
    op.create_table(
        "access_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_access_keys_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_access_keys"),
    )
    op.create_index("ix_access_keys_account_id", "access_keys", ["account_id"], unique=False)


def _create_regions() -> None:
    op.create_table(
        "regions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("local_name", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_regions"),
    )


def _create_zones() -> None:
    op.create_table(
        "zones",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("local_name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_zones_region_id_regions"),
        sa.PrimaryKeyConstraint("id", name="pk_zones"),
    )
    op.create_index("ix_zones_region_id", "zones", ["region_id"], unique=False)


def _create_disks() -> None:
    op.create_table(
        "disks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("zone_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("performance_level", sa.String(32), nullable=True),
        sa.Column("size_gib", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("was_attached", sa.Boolean(), nullable=False),
        sa.Column("source_snapshot_id", sa.Text(), nullable=True),
        sa.Column("reset_snapshot_id", sa.Text(), nullable=True),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("attached_at", sa.BigInteger(), nullable=True),
        sa.Column("detached_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(description) <= 256", name="ck_disks_description_length"),
        sa.CheckConstraint(
            "category IN ('cloud', 'cloud_efficiency', 'cloud_ssd', 'cloud_essd', 'cloud_auto', 'cloud_essd_entry', "
            "'local_ssd_pro', 'local_hdd_pro', 'ephemeral', 'ephemeral_ssd', "
            "'elastic_ephemeral_disk_standard', 'elastic_ephemeral_disk_premium')",
            name="ck_disks_diskcategory",
        ),
        sa.CheckConstraint("role IN ('system', 'data')", name="ck_disks_diskrole"),
        sa.CheckConstraint(
            "state IN ('Creating', 'Available', 'Attaching', 'In_use', 'Detaching', 'ReIniting', 'Deleting')",
            name="ck_disks_diskstate",
        ),
        sa.CheckConstraint("length(name) <= 128", name="ck_disks_name_length"),
        sa.CheckConstraint(
            "performance_level IN ('PL0', 'PL1', 'PL2', 'PL3')", name="ck_disks_performancelevel"
        ),
        sa.CheckConstraint("size_gib > 0", name="ck_disks_size_positive"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_disks_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_disks_region_id_regions"),
        sa.ForeignKeyConstraint(["zone_id"], ["zones.id"], name="fk_disks_zone_id_zones"),
        sa.PrimaryKeyConstraint("id", name="pk_disks"),
    )
    op.create_index(
        "ix_disks_account_created", "disks", ["account_id", "region_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_disks_source_snapshot_id", "disks", ["source_snapshot_id"], unique=False)


def _create_connections() -> None:
    op.create_table(
        "connections",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("disk_id", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_connections_account_id_accounts"),
        sa.ForeignKeyConstraint(["disk_id"], ["disks.id"], name="fk_connections_disk_id_disks"),
        sa.PrimaryKeyConstraint("id", name="pk_connections"),
        sa.UniqueConstraint("disk_id", name="uq_connections_disk_id"),
    )


def _create_snapshots() -> None:
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
        sa.CheckConstraint("length(description) <= 256", name="ck_snapshots_description_length"),
        sa.CheckConstraint("disk_role IN ('system', 'data')", name="ck_snapshots_diskrole"),
        sa.CheckConstraint("length(name) <= 128", name="ck_snapshots_name_length"),
        sa.CheckConstraint("category IN ('standard')", name="ck_snapshots_snapshotcategory"),
        sa.CheckConstraint("kind IN ('user', 'auto')", name="ck_snapshots_snapshotkind"),
        sa.CheckConstraint(
            "state IN ('progressing', 'accomplished', 'failed', 'deleting')",
            name="ck_snapshots_snapshotstate",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_snapshots_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_snapshots_region_id_regions"),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
    )
    op.create_index(
        "ix_snapshots_account_created",
        "snapshots",
        ["account_id", "region_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_snapshots_disk", "snapshots", ["disk_id", "created_at"], unique=False)
    op.create_index("ix_snapshots_expires_at", "snapshots", ["expires_at"], unique=False)


def _create_snapshot_holds() -> None:
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
    op.create_index("ix_snapshot_holds_holder", "snapshot_holds", ["holder_kind", "holder_id"], unique=False)


def _create_tags() -> None:
    op.create_table(
        "tags",
        sa.Column("resource_type", sa.String(32), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 128", name="ck_tags_key_length"),
        sa.CheckConstraint("resource_type IN ('disk', 'snapshot')", name="ck_tags_resourcetype"),
        sa.CheckConstraint("length(value) <= 128", name="ck_tags_value_length"),
        sa.PrimaryKeyConstraint("resource_type", "resource_id", "key", name="pk_tags"),
    )
    op.create_index("ix_tags_key_value", "tags", ["resource_type", "key", "value"], unique=False)


def _create_client_tokens() -> None:
    op.create_table(
        "client_tokens",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "region_id", "action", "token", name="pk_client_tokens"),
    )
    op.create_index("ix_client_tokens_created_at", "client_tokens", ["created_at"], unique=False)


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("is_cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("is_undoing", sa.Boolean(), nullable=False),
        sa.Column("steps_done", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("progress_done", sa.BigInteger(), nullable=False),
        sa.Column("progress_known", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="ck_tasks_taskstate"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_claim", "tasks", ["state", "lane", "created_at"], unique=False)
    op.create_index("ix_tasks_finished_at", "tasks", ["finished_at"], unique=False)
    op.create_index("ix_tasks_key", "tasks", ["key"], unique=False)
    op.create_index(
        "uq_tasks_active_key", "tasks", ["key"], unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE
    )
