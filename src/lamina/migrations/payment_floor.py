"""Tables of revision 0001 that are about payments: the ledger, arrears, and the history of accounts."""

import sqlalchemy as sa
from alembic import op


def create_account_events() -> None:
    """What happened to accounts."""
    op.create_table(
        "account_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('standing', 'snapshot-deleted', 'policy-deleted')",
            name="ck_account_events_accounteventkind",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_account_events_account_id_accounts"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_account_events"),
    )
    op.create_index("ix_account_events_account", "account_events", ["account_id", "at", "id"], unique=False)


def create_ledger() -> None:
    """What accounts owe and paid, and what follows from it."""
    op.create_table(
        "ledger",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("balance", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('charge', 'payment', 'correction')", name="ck_ledger_entrykind"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_ledger_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
    )
    op.create_index("ix_ledger_account", "ledger", ["account_id", "recorded_at", "id"], unique=False)
    op.create_index("ix_ledger_reference", "ledger", ["account_id", "kind", "reference"], unique=True)
    op.create_table(
        "arrears",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("overdue_at", sa.BigInteger(), nullable=True),
        sa.Column("stage_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_arrears_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", name="pk_arrears"),
    )
    op.create_index("ix_arrears_next_at", "arrears", ["next_at"], unique=False)
    op.create_index("ix_arrears_stage_at", "arrears", ["stage_at"], unique=False)
