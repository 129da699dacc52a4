"""Migrations of the metadata database (Alembic). `lamina.database` applies them when it opens."""
