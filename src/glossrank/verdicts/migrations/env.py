"""What Alembic runs; the connection comes from ``store.py``."""

from __future__ import annotations

from alembic import context

from glossrank.verdicts.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="glossrank_version",
    # SQLite changes a table by making it anew.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
