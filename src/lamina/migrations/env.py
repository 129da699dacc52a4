"""Alembic's entry: apply the revisions on the connection that `lamina.database` opened, in its transaction."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("metadata"),
    render_as_batch=True,  # SQLite cannot alter most things in place
    transactional_ddl=True,  # it can, once its driver does not interfere; see lamina.database
)
context.run_migrations()
