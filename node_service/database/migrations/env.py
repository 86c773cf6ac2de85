"""Alembic's environment: migrations run on the connection that the caller opened."""

from __future__ import annotations

from alembic import context

from node_service.database.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
