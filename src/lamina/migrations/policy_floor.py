"""Tables of revision 0001 that are about automatic snapshot policies."""

import sqlalchemy as sa
from alembic import op

_OF_POLICY = sa.text("disk_id IS NULL")


def create_policies() -> None:
    """Automatic snapshot policies, and which one a disk has."""
    op.create_table(
        "policies",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("hours", sa.Text(), nullable=False),
        sa.Column("weekdays", sa.Text(), nullable=False),
        sa.Column("retention_days", sa.BigInteger(), nullable=True),
        sa.Column("copies", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_run_at", sa.BigInteger(), nullable=False),
        sa.Column("planned_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_until", sa.BigInteger(), nullable=True),
        sa.Column("copy_region_id", sa.Text(), nullable=True),
        sa.Column("copy_retention_days", sa.BigInteger(), nullable=True),
        sa.Column("copy_is_encrypted", sa.Boolean(), nullable=False),
        sa.Column("copy_key_id", sa.Text(), nullable=True),
        sa.CheckConstraint("length(name) <= 128", name="ck_policies_name_length"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_policies_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_policies_region_id_regions"),
        sa.PrimaryKeyConstraint("id", name="pk_policies"),
    )
    op.create_index(
        "ix_policies_account_created",
        "policies",
        ["account_id", "region_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_policies_next_run_at", "policies", ["next_run_at"], unique=False)
    op.create_index("ix_policies_planned_at", "policies", ["planned_at"], unique=False)
    op.add_column("disks", sa.Column("policy_id", sa.Text(), nullable=True))
    op.add_column("disks", sa.Column("policy_applied_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_disks_policy", "disks", ["policy_id", "id"], unique=False)


def create_policy_runs() -> None:
    """What policies did."""
    op.create_table(
        "policy_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("policy_id", sa.Text(), nullable=False),
        sa.Column("disk_id", sa.Text(), nullable=True),
        sa.Column("point", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("snapshot_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("copy_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("copy_region_id", sa.Text(), nullable=True),
        sa.Column("copy_retention_days", sa.BigInteger(), nullable=True),
        sa.Column("copy_is_encrypted", sa.Boolean(), nullable=False),
        sa.Column("copy_key_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('running', 'finished', 'failed', 'missed', 'suspended', 'started', 'skipped')",
            name="ck_policy_runs_runoutcome",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_policy_runs_account_id_accounts"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_policy_runs_region_id_regions"),
        sa.PrimaryKeyConstraint("id", name="pk_policy_runs"),
        sa.UniqueConstraint("disk_id", "point", name="uq_policy_runs_disk_id_point"),
    )
    op.create_index(
        "ix_policy_runs_account", "policy_runs", ["account_id", "region_id", "point", "id"], unique=False
    )
    op.create_index("ix_policy_runs_copy_region_id", "policy_runs", ["copy_region_id"], unique=False)
    op.create_index("ix_policy_runs_point", "policy_runs", ["point"], unique=False)
    op.create_index("ix_policy_runs_policy", "policy_runs", ["policy_id", "point", "id"], unique=False)
    op.create_index(
        "uq_policy_runs_policy_point",
        "policy_runs",
        ["policy_id", "point"],
        unique=True,
        sqlite_where=_OF_POLICY,
        postgresql_where=_OF_POLICY,
    )
