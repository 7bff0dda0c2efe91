"""The migrations go up and down, and what they build is what the models say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import portal.models  # noqa: F401
from portal.db import Base, create_engine, downgrade, upgrade
from portal.settings import Settings


def test_up_and_down(any_settings: Settings) -> None:
    upgrade(any_settings)
    engine = create_engine(any_settings)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()
    downgrade(any_settings, "base")
    engine = create_engine(any_settings)
    left = set(sa.inspect(engine).get_table_names()) - {"alembic_version"}
    engine.dispose()
    assert left == set()
