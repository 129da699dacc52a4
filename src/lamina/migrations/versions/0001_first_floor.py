"""The first floor: all tables of the first release; see also `lamina.migrations.first_floor`."""

import sqlalchemy as sa
from alembic import op

from lamina.migrations import (
    billing_floor,
    bucket_floor,
    bulk_floor,
    first_floor,
    image_floor,
    key_floor,
    note_floor,
    payment_floor,
    policy_floor,
    snapshot_floor,
)

revision = "0001"
down_revision = None

_ACTIVE = sa.text("state IN ('queued', 'running')")


def upgrade() -> None:
    """Make every table."""
    first_floor.create_accounts()
    first_floor.create_access_keys()
    _create_regions()
    _create_zones()
    key_floor.create_keys()
    _create_instances()
    _create_disks()
    _create_connections()
    snapshot_floor.create_snapshots()
    snapshot_floor.create_snapshot_holds()
    snapshot_floor.create_snapshot_locks()
    snapshot_floor.create_snapshot_groups()
    note_floor.create_snapshot_notes()
    snapshot_floor.create_snapshot_chains()
    snapshot_floor.create_snapshot_usage()
    policy_floor.create_policies()
    policy_floor.create_policy_runs()
    image_floor.create_images()
    bucket_floor.create_buckets()
    bulk_floor.create_bulk_exports()
    billing_floor.create_meter()
    billing_floor.create_bills()
    payment_floor.create_account_events()
    payment_floor.create_ledger()
    first_floor.create_tags()
    _create_client_tokens()
    _create_tasks()
    first_floor.create_shown_tasks()
    first_floor.create_audit_log()


def _create_regions() -> None:
    op.create_table(
        "regions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("local_name", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("buckets", sa.Text(), nullable=False),
        sa.Column("is_declared", sa.Boolean(), nullable=False),
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


def _create_instances() -> None:
    op.create_table(
        "instances",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("zone_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("host_name", sa.Text(), nullable=False),
        sa.Column("image_id", sa.Text(), nullable=True),
        sa.Column("image_family", sa.Text(), nullable=True),
        sa.Column("os_name", sa.Text(), nullable=True),
        sa.Column("os_type", sa.Text(), nullable=True),
        sa.Column("instance_type", sa.Text(), nullable=False),
        sa.Column("key_pair_name", sa.Text(), nullable=True),
        sa.Column("security_group_id", sa.Text(), nullable=True),
        sa.Column("v_switch_id", sa.Text(), nullable=True),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("is_deletion_protected", sa.Boolean(), nullable=False),
        sa.Column("is_security_locked", sa.Boolean(), nullable=False),
        sa.Column("stopped_mode", sa.String(32), nullable=False),
        sa.Column("starts_when_made", sa.Boolean(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("auto_release_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(description) <= 256", name="ck_instances_description_length"),
        sa.CheckConstraint(
            "state IN ('Pending', 'Stopped', 'Starting', 'Running', 'Stopping', 'Releasing')",
            name="ck_instances_instancestate",
        ),
        sa.CheckConstraint("length(name) <= 128", name="ck_instances_name_length"),
        sa.CheckConstraint(
            "stopped_mode IN ('KeepCharging', 'StopCharging', 'Not-applicable')",
            name="ck_instances_stoppedmode",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_instances_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_instances_region_id_regions"),
        sa.ForeignKeyConstraint(["zone_id"], ["zones.id"], name="fk_instances_zone_id_zones"),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
    )
    op.create_index(
        "ix_instances_account_created",
        "instances",
        ["account_id", "region_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_instances_image", "instances", ["image_id", "account_id"], unique=False)
    op.create_index("ix_instances_state", "instances", ["state"], unique=False)
    op.create_index("ix_instances_expires", "instances", ["expires_at"], unique=False)
    op.create_index("ix_instances_auto_release", "instances", ["auto_release_at"], unique=False)


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
        sa.Column("source_disk_id", sa.Text(), nullable=True),
        sa.Column("image_id", sa.Text(), nullable=True),
        sa.Column("image_device", sa.Text(), nullable=True),
        sa.Column("instance_id", sa.Text(), nullable=True),
        sa.Column("origin_instance_id", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("delete_with_instance", sa.Boolean(), nullable=False),
        sa.Column("delete_auto_snapshot", sa.Boolean(), nullable=False),
        sa.Column("enable_auto_snapshot", sa.Boolean(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
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
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name="fk_disks_instance_id_instances"),
        sa.ForeignKeyConstraint(["zone_id"], ["zones.id"], name="fk_disks_zone_id_zones"),
        sa.ForeignKeyConstraint(["key_id"], ["encryption_keys.id"], name="fk_disks_key_id_encryption_keys"),
        sa.PrimaryKeyConstraint("id", name="pk_disks"),
    )
    _index_disks()


def _index_disks() -> None:
    op.create_index(
        "ix_disks_account_created",
        "disks",
        ["account_id", "region_id", "created_at", "id", "state"],
        unique=False,
    )
    op.create_index(
        "ix_disks_name", "disks", ["account_id", "region_id", "name", "created_at", "id"], unique=False
    )
    op.create_index("ix_disks_key_id", "disks", ["key_id"], unique=False)
    op.create_index("ix_disks_instance_id", "disks", ["instance_id"], unique=False)
    op.create_index("ix_disks_origin_instance_id", "disks", ["origin_instance_id"], unique=False)
    op.create_index("ix_disks_state", "disks", ["state"], unique=False)
    op.create_index("ix_disks_image", "disks", ["image_id", "account_id"], unique=False)
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
        sa.Column("is_background", sa.Boolean(), nullable=False),
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
    op.create_index(
        "ix_tasks_claim",
        "tasks",
        ["state", "lane", "is_background", "created_at", "id", "run_at"],
        unique=False,
    )
    op.create_index("ix_tasks_finished_at", "tasks", ["finished_at"], unique=False)
    op.create_index("ix_tasks_key", "tasks", ["key"], unique=False)
    op.create_index(
        "uq_tasks_active_key", "tasks", ["key"], unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE
    )
