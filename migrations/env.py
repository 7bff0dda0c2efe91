"""Alembic's environment: one address handed over by ``portal.db``, batch mode on SQLite."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

import portal.models  # noqa: F401  (fills the metadata)
from portal.db import Base, configure_engine, engine_options

url: str = context.config.attributes["url"]
engine = sa.create_engine(url, **engine_options(url))
configure_engine(engine)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
