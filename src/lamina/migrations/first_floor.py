"""Tables of revision 0001 that are not about disks: accounts and their keys, tags, shown tasks, the audit log."""

import sqlalchemy as sa
from alembic import op


def create_accounts() -> None:
    """Who owns things."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("standing", sa.String(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "standing IN ('normal', 'overdue', 'suspended', 'purging')", name="ck_accounts_accountstanding"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
    )
    op.create_index("ix_accounts_standing", "accounts", ["standing"], unique=False)


def create_access_keys() -> None:
    """What signs calls."""
    op.create_table(
        "access_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "role IN ('read-only', 'operator', 'administrator')", name="ck_access_keys_keyrole"
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_access_keys_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_access_keys"),
    )
    op.create_index("ix_access_keys_account_id", "access_keys", ["account_id"], unique=False)


def create_tags() -> None:
    """Keys and values on resources of any kind."""
    op.create_table(
        "tags",
        sa.Column("resource_type", sa.String(32), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 128", name="ck_tags_key_length"),
        sa.CheckConstraint(
            "resource_type IN ('disk', 'snapshot', 'snapshotpolicy', 'instance', 'snapshotgroup', 'image')",
            name="ck_tags_resourcetype",
        ),
        sa.CheckConstraint("length(value) <= 128", name="ck_tags_value_length"),
        sa.PrimaryKeyConstraint("resource_type", "resource_id", "key", name="pk_tags"),
    )
    op.create_index(
        "ix_tags_value",
        "tags",
        ["account_id", "region_id", "resource_type", "key", "value", "resource_id"],
        unique=False,
    )
    op.create_index(
        "ix_tags_age",
        "tags",
        ["account_id", "region_id", "resource_type", "key", "value", "created_at", "resource_id"],
        unique=False,
    )
    op.create_index(
        "ix_tags_key",
        "tags",
        ["account_id", "region_id", "resource_type", "key", "resource_id"],
        unique=False,
    )


def create_shown_tasks() -> None:
    """The tasks that accounts may look at."""
    op.create_table(
        "shown_tasks",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "action IN ('ImportImage', 'ExportImage', 'RedeployInstance', 'ModifyDiskSpec', 'ArchiveSnapshot')",
            name="ck_shown_tasks_taskaction",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_shown_tasks_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_shown_tasks_region_id_regions"),
        sa.PrimaryKeyConstraint("task_id", name="pk_shown_tasks"),
    )
    op.create_index(
        "ix_shown_tasks_account_created",
        "shown_tasks",
        ["account_id", "region_id", "created_at", "task_id"],
        unique=False,
    )
    op.create_index("ix_shown_tasks_resource", "shown_tasks", ["resource_id"], unique=False)
    op.create_index("ix_shown_tasks_created_at", "shown_tasks", ["created_at"], unique=False)


def create_audit_log() -> None:
    """One row per call."""
    op.create_table(
        "calls",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("access_key_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("microseconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_calls"),
    )
    op.create_index("ix_calls_at", "calls", ["at", "request_id"], unique=False)
    op.create_index("ix_calls_account", "calls", ["account_id", "at", "request_id"], unique=False)
    op.create_index("ix_calls_action", "calls", ["action", "at", "request_id"], unique=False)
